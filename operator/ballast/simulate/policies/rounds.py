"""Which GPUs the jobs of a round get: largest jobs first, each where it ran before if it can.

This is how Gavel assigns workers: going through the sizes from the largest, jobs that ran on the same GPUs before keep
them, then the others of that size are placed; so that large jobs find whole nodes, and few jobs move.

What must hold: no GPU is given twice. A job that does not fit beside the others gets nothing in this round.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ballast.simulate.job import TraceJob
from ballast.simulate.policies.packing import Placement, Room
from ballast.simulate.policy import SimNode


def pack(chosen: Mapping[str, Sequence[TraceJob]], before: Mapping[str, Placement], room: Room) -> dict[str, Placement]:
    """Return the placements by job.

    Args:
        chosen: The jobs of the round, by GPU model.
        before: Where jobs run now.
        room: The whole cluster, empty; what the jobs get is taken.
    """
    placed: dict[str, Placement] = {}
    for model in sorted(chosen):
        nodes = [node for node in room.nodes.values() if node.gpu_model == model]
        jobs = chosen[model]
        names = {node.name for node in nodes}
        held = {job.name: before[job.name] for job in jobs if job.name in before and names.issuperset(before[job.name])}
        for size in sorted({job.gpus for job in jobs}, reverse=True):
            same_size = [job for job in jobs if job.gpus == size]
            for job in same_size:
                if job.name in held and _is_free(held[job.name], room):
                    room.take(held[job.name])
                    placed[job.name] = dict(held.pop(job.name))
            for job in same_size:
                if job.name not in placed:
                    held.pop(job.name, None)
                    placement = _place(size, nodes, held.values(), room)
                    if placement is not None:
                        room.take(placement)
                        placed[job.name] = placement
    return placed


def _is_free(placement: Placement, room: Room) -> bool:
    return all(room.free[name] >= gpus for name, gpus in placement.items())


def _place(gpus: int, nodes: Sequence[SimNode], held: Iterable[Placement], room: Room) -> dict[str, int] | None:
    """Return where a job disturbs the fewest others that still hold GPUs, and fits most tightly; None if nowhere."""
    kept = {node.name: 0 for node in nodes}
    for one in held:
        for name, count in one.items():
            kept[name] += count

    def cost(node: SimNode) -> tuple[int, bool, int, str]:
        free = room.free[node.name]
        disturbed = max(0, min(gpus, node.gpus) + kept[node.name] - free)
        return disturbed, node.name in room.off, free, node.name

    fitting = [node for node in nodes if room.free[node.name] >= gpus]
    if fitting:
        return {min(fitting, key=cost).name: gpus}
    if any(node.gpus >= gpus for node in nodes):
        return None
    placement: dict[str, int] = {}
    for node in sorted((node for node in nodes if room.free[node.name] == node.gpus), key=cost):
        if gpus <= 0:
            break
        placement[node.name] = min(gpus, node.gpus)
        gpus -= node.gpus
    return placement if gpus <= 0 else None
