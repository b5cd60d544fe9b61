"""Whose the joules of an interval are: a GPU's among the pods that hold it, the CPUs' among the pods that ran.

Pure. What must hold (G4): no share is negative, and the shares with what stays unattributed add up to the joules that
went in. The rules:

- What a held GPU would draw without load (idle) is split equally among the pods that hold it; of a GPU that MIG
  divides, by slices, and free slices stay unattributed.
- What it draws above that (active) is split by use. If nobody shows use, all holders are taken to have used it alike
  (of MIG: by slices). What processes of others than the holders used stays unattributed.
- A pod that alone holds a whole GPU is charged for all of it; a GPU that nobody holds stays unattributed.
- Of CPUs and memory, idle power stays unattributed: it belongs to the node, since pods hold no cores, and a pod that
  comes or goes changes nothing about it. The rest is split by CPU time among all that ran; what was not a pod's (the
  system, the kubelet, this agent) stays unattributed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ballast.agent.node.holders import Holder


@dataclass(frozen=True, slots=True)
class HolderJoules:
    """What a holder is charged for."""

    active: float
    idle: float


@dataclass(frozen=True, slots=True)
class GpuShares:
    """The joules of one GPU in one interval: of each holder, in the order given, and of nobody."""

    holders: Sequence[HolderJoules]
    unattributed: float


@dataclass(frozen=True, slots=True)
class CpuShares:
    """The joules of CPUs or memory in one interval: of each pod, in the order given, and of nobody."""

    active: Sequence[float]
    unattributed: float


def split_gpu(
    joules: float,
    seconds: float,
    idle_watts: float,
    holders: Sequence[Holder],
    usage: Sequence[float] = (),
    others: float = 0.0,
) -> GpuShares:
    """Return whose a GPU's joules are.

    Args:
        joules: that the board took in the interval.
        seconds: how long the interval is.
        idle_watts: what the board draws without load.
        holders: each pod once; each MIG device once.
        usage: how much each holder used the GPU, in the holders' order and any one unit; empty if that is not known.
        others: how much it was used by whoever does not hold it, in the same unit.
    """
    if not holders:
        return GpuShares((), joules)
    idle = min(joules, idle_watts * seconds)
    if len(holders) == 1 and holders[0].mig_device is None:
        return GpuShares((HolderJoules(joules - idle, idle),), 0.0)
    slices = [holder.slices if holder.mig_device is not None else 1 for holder in holders]
    free = max(holders[0].slices_of_gpu - sum(slices), 0) if holders[0].mig_device is not None else 0
    *idle_parts, idle_of_nobody = _parts(idle, [*slices, free])
    if usage and sum(usage) + others > 0:
        *active_parts, active_of_nobody = _parts(joules - idle, [*usage, others])
    else:
        *active_parts, active_of_nobody = _parts(joules - idle, [*slices, 0])
    shares = tuple(HolderJoules(active, idle) for active, idle in zip(active_parts, idle_parts, strict=True))
    return GpuShares(shares, idle_of_nobody + active_of_nobody)


def split_cpu(
    joules: float, seconds: float, idle_watts: float, pod_seconds: Sequence[float], busy_seconds: float
) -> CpuShares:
    """Return whose the joules of the CPU packages, or of the memory, are.

    Args:
        joules: that they took in the interval.
        seconds: how long the interval is.
        idle_watts: what they draw while next to nothing runs.
        pod_seconds: CPU time of each pod in the interval.
        busy_seconds: CPU time of everything on the node. Where it is less than the pods' (the clocks tick differently),
            the pods ran alone.
    """
    idle = min(joules, idle_watts * seconds)
    others = max(busy_seconds - sum(pod_seconds), 0.0)
    if sum(pod_seconds) <= 0:
        return CpuShares([0.0] * len(pod_seconds), joules)
    *active, of_nobody = _parts(joules - idle, [*pod_seconds, others])
    return CpuShares(active, idle + of_nobody)


def _parts(total: float, weights: Sequence[float]) -> list[float]:
    """Return `total` split by weights, of which one at least is above 0; the heaviest part takes the rounding."""
    whole = sum(weights)
    parts = [total * (weight / whole) for weight in weights]
    heaviest = max(range(len(weights)), key=weights.__getitem__)
    parts[heaviest] = 0.0
    parts[heaviest] = max(total - sum(parts), 0.0)
    return parts
