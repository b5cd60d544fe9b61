"""Meters that tell what they are told to, and a case's settings on small data."""

from __future__ import annotations

from dataclasses import dataclass

from frugal.bench.records import Energy, Phase
from frugal.bench.trial import Procedure
from frugal.search.objective import BenchObjective, Price, reduced
from frugal.signals import StopSignals

from ..builders import blobs, config

QUICK = Procedure(batch=40, seconds=1e-3, repeats=1, warm_up_seconds=0.0)


@dataclass(frozen=True)
class Fixed:
    """Every stretch of time costs the same.

    Attributes:
        joules: Counted; None without a counter.
        estimated: By the model; None without one.
    """

    joules: float | None = None
    estimated: float | None = None
    statement: str = "energy: as told"

    @property
    def source(self) -> str | None:
        return None if self.joules is None else "told"

    @property
    def model(self) -> str | None:
        return None if self.estimated is None else "guess"

    def start(self) -> Fixed:
        return self

    def keep_up(self) -> None:
        pass

    def energy(self) -> Energy:
        return Energy(
            seconds=1.0,
            cpu_seconds=1.0,
            joules=self.joules,
            source=self.source,
            estimated_joules=self.estimated,
            estimated_by=self.model,
        )


def objective(
    meter: Fixed, phase: Phase = Phase.INFERENCE, *, price: Price | None = None, epochs: int = 1
) -> BenchObjective:
    """Scores on `blobs`."""
    return BenchObjective(
        config=config(model="mlp", epochs=epochs),
        phase=phase,
        data=reduced(blobs(), 1.0),
        meter=meter,
        procedure=QUICK,
        signals=StopSignals(),
        price=price,
    )
