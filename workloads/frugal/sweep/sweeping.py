"""The sweep itself: rounds over all points in a shuffled order, and the GPU as it was found at the end.

What must hold: every point is measured once in each round, what was found too, so that a slow drift (the room, the
card's temperature) is in both sides of a comparison; whatever is raised, the GPU is put back first.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from frugal.sweep.points import OperatingPoint
from frugal.sweep.settings import Settings, refuse_company
from frugal.sweep.work import Window, Work


class Counted(Protocol):
    """The part of `frugal.sweep.gpu.Gpu` that is used here."""

    def energy_joules(self) -> float:
        """See `frugal.sweep.gpu.Gpu`."""
        ...

    def processes(self) -> frozenset[int]:
        """See `frugal.sweep.gpu.Gpu`."""
        ...


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """The work, once, at one point.

    Attributes:
        round: From 0; measurements of the same round are compared.
        seconds: Of the measured steps.
        joules: Of the GPU's board in them, idle power included.
        loss: Mean training loss; None where nobody knows it.
    """

    point: OperatingPoint
    round: int
    steps: int
    seconds: float
    joules: float
    loss: float | None = None


def sweep(
    gpu: Counted,
    settings: Settings,
    work: Work,
    points: Sequence[OperatingPoint],
    *,
    rounds: int,
    seed: int = 0,
    shared: bool = False,
    clock: Callable[[], float] = time.monotonic,
    tell: Callable[[Measurement], None] = lambda measurement: None,
) -> list[Measurement]:
    """Measure ``work`` at each of ``points``, ``rounds`` times.

    Args:
        gpu: The GPU.
        settings: Its settings; permission was asked for.
        work: What is done at each point.
        points: The first is the baseline.
        rounds: Repeats.
        seed: Of the order within a round.
        shared: Other processes may use the GPU.
        clock: Seconds that only pass.
        tell: Hears of each measurement.

    Raises:
        SweepError: It cannot go on; the GPU was put back, unless the message says that it was not.
    """
    shuffle = random.Random(seed)  # noqa: S311  # an order, no secret
    measurements: list[Measurement] = []
    before = gpu.processes()
    try:
        work.prepare()
        ours = gpu.processes() - before
        if len(ours) > int(work.holds_gpu):
            refuse_company(ours, shared=shared)
        for number in range(rounds):
            for point in shuffle.sample(points, len(points)):
                settings.apply(point)
                window = Window(gpu.energy_joules, clock)
                done = work.run(window)
                settings.check(point)
                refuse_company(gpu.processes() - before - ours, shared=shared)
                seconds, joules = window.measured
                measurement = Measurement(
                    point=point, round=number, steps=done.steps, seconds=seconds, joules=joules, loss=done.loss
                )
                measurements.append(measurement)
                tell(measurement)
    finally:
        settings.put_back()
    return measurements
