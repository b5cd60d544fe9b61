"""Trials that nobody ran, for tests of what is made of trials."""

from __future__ import annotations

from frugal.bench.comparison import Interval
from frugal.bench.records import Energy, Phase, Trial


def trial(
    case: str,
    *,
    baseline: str | None = None,
    phase: Phase = Phase.INFERENCE,
    seed: int = 0,
    joules: float | None = None,
    estimated: float | None = 1.0,
    accuracy: float = 0.9,
    samples: int = 100,
    flops: float = 1e6,
    size: int = 1000,
) -> Trial:
    """A trial that cost ``joules`` by a counter and ``estimated`` by a model, made up."""
    return Trial(
        case=case,
        phase=phase,
        seed=seed,
        energy=Energy(
            seconds=2.0,
            cpu_seconds=1.0,
            joules=joules,
            source=None if joules is None else "made-up counter",
            estimated_joules=estimated,
            estimated_by=None if estimated is None else "made-up model",
        ),
        samples=samples,
        flops=flops,
        parameters=size // 4,
        bytes=size,
        accuracy=accuracy,
        baseline=baseline,
    )


def interval(mean: float, half: float | None = None) -> Interval:
    """``mean`` plus and minus ``half``, of three seeds; without, of one."""
    if half is None:
        return Interval(mean=mean, low=None, high=None, n=1)
    return Interval(mean=mean, low=mean - half, high=mean + half, n=3)
