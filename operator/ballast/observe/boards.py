"""What the boards that a job has, or will have, are: their GPU model, limits and idle power, as agents tell of them.

Pure. What must hold: of boards that differ nothing is told that holds of some of them only; there is no range of
limits where one cannot be set, or is of more than the job holds (MIG).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Final, TypeAlias, TypeVar

from ballast.api.nodestatus import Capability, GpuStatus
from ballast.decide.model.prediction import GpuRange
from ballast.decide.snapshot import Job

LEAST_IDLE_WATTS: Final = 1.0
"""A board that draws less without load than this is one that has not told it right."""


@dataclass(frozen=True, slots=True)
class Boards:
    """What some boards have in common; None for what they do not, or do not tell.

    Attributes:
        model: GPU model, as in the node's label.
        limits_watts: the lowest power limit, and the one that was found; None also where it cannot be set.
        max_hertz: the highest clock.
        idle_watts: power without load: the mean of those that tell it.
        divided: whether one of them is divided into MIG devices.
    """

    model: str | None
    limits_watts: tuple[float, float] | None
    max_hertz: int | None
    idle_watts: float | None
    divided: bool = False

    @property
    def range(self) -> GpuRange | None:
        """What choosing a power limit takes; None while something of it is not known."""
        if self.model is None or self.limits_watts is None or self.idle_watts is None or self.divided:
            return None
        least, found = self.limits_watts
        # In whole watts, as agents tell it of each board: jobs of one key then share one curve, which is dear to make.
        return GpuRange(self.model, least, found, max(float(round(self.idle_watts)), LEAST_IDLE_WATTS))


BoardsOf: TypeAlias = Callable[[str], Boards | None]
"""What all boards of a node have in common; None if it has none."""
GpusOf: TypeAlias = Callable[[str], Mapping[str, GpuStatus]]
"""The boards of a node by UUID."""
T = TypeVar("T")


def in_common(gpus: Iterable[GpuStatus]) -> Boards | None:
    """Return what boards have in common; None if there are none."""
    return _merged([_of(gpu) for gpu in gpus])


def boards_of(job: Job, of_node: BoardsOf, gpus_of: GpusOf) -> Boards | None:
    """Return what a job's boards have in common; None while nothing is known of them.

    Before its pods hold boards, those of all its nodes count, and so they do afterwards while they are all alike: where
    the boards of a node differ it depends on which of them the pods got.
    """
    nodes = {place.node for place in job.job.status.placement if place.gpus}
    found = [of_node(node) for node in nodes]
    known = [boards for boards in found if boards is not None]
    if len(known) < len(found) or not known:
        return None
    together = _merged(known)
    if together is None or together.limits_watts is not None:
        return together
    held = [
        gpu
        for pod in job.own_pods
        if pod.node is not None
        for each in job.held_gpus.get(pod.uid, ())
        if (gpu := gpus_of(pod.node).get(each.uuid)) is not None
    ]
    return in_common(held) or together


def _of(gpu: GpuStatus) -> Boards:
    limits = gpu.power_limit if Capability.POWER_LIMIT in gpu.capabilities else None
    return Boards(
        model=gpu.model,
        limits_watts=(limits.min_watts, limits.found_watts) if limits is not None else None,
        max_hertz=gpu.clock.max_hertz if gpu.clock is not None else None,
        idle_watts=gpu.idle_watts,
        divided=gpu.mig,
    )


def _merged(each: list[Boards]) -> Boards | None:
    if len(each) <= 1:
        return each[0] if each else None
    idle = [boards.idle_watts for boards in each if boards.idle_watts is not None]
    return Boards(
        model=_same(boards.model for boards in each),
        limits_watts=_same(boards.limits_watts for boards in each),
        max_hertz=_same(boards.max_hertz for boards in each),
        idle_watts=fmean(idle) if idle else None,
        divided=any(boards.divided for boards in each),
    )


def _same(values: Iterable[T | None]) -> T | None:
    """Return the value that all have; None if they differ."""
    found = set(values)
    return found.pop() if len(found) == 1 else None
