"""What each GPU of the node shall have: from the NodePower's spec, who holds which GPU, and whether the operator lives.

Pure. What must hold:

- A GPU is touched only for a pod that holds it now and has an entry in the spec, or to be parked while nobody holds it.
- On a GPU that pods share, the loosest of their operating points holds, part by part; a pod without an entry asks for
  what was found, and nothing is looser. A board that is divided by MIG has one limit and one clock: it is shared by the
  holders of all its MIG devices.
- A point that the board cannot take is refused whole. Its parts were chosen together, for one throughput and one power
  that somebody predicted or measured; half of it is a point that nobody chose.
- Without a live operator, `Restore` wants nothing anywhere. `Hold` goes on by the spec as it was last seen, which the
  operator had reckoned into its budget, also for a pod that gets its GPU only now; but nothing that is set is loosened
  for as long as a pod with an entry holds that GPU. Once they are gone, their GPU gets back what was found.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ballast.agent.device import Description
from ballast.api.nodepower import FreeGpus, NodePowerSpec, WithoutOperator
from ballast.api.nodestatus import Capability
from ballast.api.operatingpoint import OperatingPoint

HERTZ_OF_MHZ: Final = 1_000_000
_ROUNDING: Final = 1e-6  # of a value: numbers go through JSON and milliwatts


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one GPU shall have.

    Attributes:
        point: its operating point; None: what was found.
        problem: why it does not get what was asked for, and the remedy.
    """

    point: OperatingPoint | None = None
    problem: str | None = None


AS_FOUND: Final = Wanted()


class _Refused(Exception):
    """The board cannot take the point; says which field, its value and the remedy."""


def assign(
    spec: NodePowerSpec | None,
    holders: Mapping[str, Collection[str]] | None,
    descriptions: Mapping[str, Description],
    *,
    operator_fresh: bool,
    enforced: Mapping[str, OperatingPoint] | None = None,
) -> Mapping[str, Wanted] | None:
    """Return what each described GPU shall have.

    Args:
        spec: the NodePower's; None while it is not known.
        holders: UIDs of the pods that hold a GPU, by its UUID; parts of a board by the board's or the MIG device's.
            None while it is not known.
        descriptions: the GPUs, by UUID.
        operator_fresh: whether the operator's Lease is renewed.
        enforced: the points that GPUs have now by the agent's doing, by UUID.

    Returns:
        By UUID; None if it cannot be known yet, so that everything must stay as it is.
    """
    if not operator_fresh and (spec is None or spec.without_operator is WithoutOperator.RESTORE):
        return dict.fromkeys(descriptions, AS_FOUND)
    if spec is None or holders is None:
        return None
    points = {entry.uid: entry.operating_point for entry in spec.pods}
    wanted = {}
    for uuid, gpu in descriptions.items():
        pods = _holders_of(gpu, holders)
        if not pods:
            wanted[uuid] = _parked(gpu) if spec.free_gpus is FreeGpus.PARK else AS_FOUND
            continue
        now = _shared_point(gpu, {pod: points.get(pod) for pod in pods})
        if not operator_fresh and any(pod in points for pod in pods):
            now = Wanted(_tightest(now.point, (enforced or {}).get(uuid)), now.problem)
        wanted[uuid] = now
    return wanted


def _holders_of(gpu: Description, holders: Mapping[str, Collection[str]]) -> list[str]:
    names = [gpu.uuid, *(part.uuid for part in gpu.mig)]
    return sorted({pod for name in names for pod in holders.get(name, ())})


def _parked(gpu: Description) -> Wanted:
    if gpu.mig_enabled or gpu.mig or gpu.clock_hertz is None or Capability.LOCKED_CLOCKS not in gpu.capabilities:
        return AS_FOUND
    lowest = int(gpu.clock_hertz.lowest)
    return Wanted(OperatingPoint(min_clock_hertz=lowest, max_clock_hertz=lowest))


# -- several pods


def _shared_point(gpu: Description, asked: Mapping[str, OperatingPoint | None]) -> Wanted:
    """Return the loosest of what the pods ask for; a point that is refused asks for nothing."""
    points: list[OperatingPoint | None] = []
    problem = None
    for pod, point in asked.items():
        try:
            points.append(_checked(gpu, point) if point is not None else None)
        except _Refused as refusal:
            points.append(None)
            problem = problem or f"the operating point of pod {pod} is not set: {refusal}"
    return Wanted(_loosest(points), problem)


def _loosest(points: Iterable[OperatingPoint | None]) -> OperatingPoint | None:
    known = []
    for point in points:
        if point is None:
            return None
        known.append(point)
    return _point(
        power_limit_watts=_unless_absent(max, [point.power_limit_watts for point in known]),
        min_clock_hertz=_unless_absent(min, [point.min_clock_hertz for point in known]),
        max_clock_hertz=_unless_absent(max, [point.max_clock_hertz for point in known]),
        memory_clock_hertz=_unless_absent(max, [point.memory_clock_hertz for point in known]),
    )


def _tightest(one: OperatingPoint | None, other: OperatingPoint | None) -> OperatingPoint | None:
    if one is None or other is None:
        return one or other
    limits = [point.power_limit_watts for point in (one, other) if point.power_limit_watts is not None]
    memory = [point.memory_clock_hertz for point in (one, other) if point.memory_clock_hertz is not None]
    clocks = min(
        (point for point in (one, other) if point.max_clock_hertz is not None),
        key=lambda point: point.max_clock_hertz or 0,
        default=None,
    )
    return _point(
        power_limit_watts=min(limits, default=None),
        min_clock_hertz=clocks.min_clock_hertz if clocks else None,
        max_clock_hertz=clocks.max_clock_hertz if clocks else None,
        memory_clock_hertz=min(memory, default=None),
    )


def _unless_absent(choose: Any, values: list[Any]) -> Any:
    """Return the chosen value; None if any is absent: that pod asks for what was found."""
    return None if None in values else choose(values)


def _point(**parts: float | None) -> OperatingPoint | None:
    """Return a point of these parts; None if there are none."""
    if all(value is None for value in parts.values()):
        return None
    return OperatingPoint.model_validate(parts)


# -- one board


def _checked(gpu: Description, point: OperatingPoint) -> OperatingPoint:
    """Return the point as the board can take it.

    Raises:
        _Refused: a part of it is outside what the board takes.
    """
    changes: dict[str, Any] = {}
    if point.power_limit_watts is not None:
        changes["power_limit_watts"] = _checked_limit(gpu, point.power_limit_watts)
    if point.min_clock_hertz is not None and point.max_clock_hertz is not None:
        changes["min_clock_hertz"] = _checked_clock(gpu, "minClockHertz", point.min_clock_hertz)
        changes["max_clock_hertz"] = _checked_clock(gpu, "maxClockHertz", point.max_clock_hertz)
    if point.memory_clock_hertz is not None:
        changes["memory_clock_hertz"] = _checked_memory_clock(gpu, point.memory_clock_hertz)
    return point.model_copy(update=changes)


def _checked_limit(gpu: Description, watts: float) -> float:
    limits = gpu.power_limit_watts
    if Capability.POWER_LIMIT not in gpu.capabilities or limits is None:
        raise _Refused(f"powerLimitWatts {watts:g}: {gpu.model} takes no power limit; leave the power limit out")
    if not limits.lowest * (1 - _ROUNDING) <= watts <= limits.highest * (1 + _ROUNDING):
        raise _Refused(
            f"powerLimitWatts {watts:g} is outside the {limits.lowest:g} to {limits.highest:g} W that {gpu.model}"
            " takes; choose a power limit in that range"
        )
    return min(max(watts, limits.lowest), limits.highest)


def _checked_clock(gpu: Description, field: str, hertz: int) -> int:
    """Return the highest clock that the board knows and that is not above what was asked for."""
    clocks = gpu.clock_hertz
    if Capability.LOCKED_CLOCKS not in gpu.capabilities or clocks is None:
        raise _Refused(f"{field} {hertz}: the clocks of {gpu.model} cannot be locked; leave the clocks out")
    if not clocks.holds(hertz):
        raise _Refused(
            f"{field} {hertz} is outside the {clocks.lowest / HERTZ_OF_MHZ:g} to {clocks.highest / HERTZ_OF_MHZ:g} MHz"
            f" that {gpu.model} takes; choose a clock in that range"
        )
    at = bisect_right(gpu.clocks_hertz, hertz)
    return gpu.clocks_hertz[at - 1] if at else hertz


def _checked_memory_clock(gpu: Description, hertz: int) -> int:
    """Return the clock if the board knows it; another one would change the memory's speed by far more than asked."""
    if Capability.LOCKED_MEMORY_CLOCKS not in gpu.capabilities:
        raise _Refused(f"memoryClockHertz {hertz}: {gpu.model} cannot lock its memory clock; leave it out")
    if gpu.memory_clocks_hertz and hertz not in gpu.memory_clocks_hertz:
        known = ", ".join(f"{clock / HERTZ_OF_MHZ:g}" for clock in gpu.memory_clocks_hertz[-4:])
        raise _Refused(f"memoryClockHertz {hertz}: {gpu.model} has only memory clocks of {known} MHz; choose one")
    return hertz
