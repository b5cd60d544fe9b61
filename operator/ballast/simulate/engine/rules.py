"""What a cluster can be asked: inputs that fit together, and steps that it would not refuse.

What must hold: these are the physical facts, the same for every arm; what is wise is a policy's affair.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from ballast.errors import UserError
from ballast.simulate.curves import Curves
from ballast.simulate.job import TraceJob
from ballast.simulate.policy import SimNode

_AT_THE_LIMIT = 1e-9
"""Share by which a power limit may miss its range: 0.7 * 300 is not quite 210."""


def models_that_hold(gpus: int, nodes: Iterable[SimNode]) -> dict[str, float]:
    """GPU models with so many GPUs in the cluster, with the highest power limit of each."""
    count: dict[str, int] = {}
    limit: dict[str, float] = {}
    for node in nodes:
        count[node.gpu_model] = count.get(node.gpu_model, 0) + node.gpus
        limit[node.gpu_model] = max(limit.get(node.gpu_model, 0.0), node.max_limit_watts)
    return {model: limit[model] for model, has in count.items() if has >= gpus}


def check_inputs(jobs: Sequence[TraceJob], nodes: Sequence[SimNode], curves: Curves) -> None:
    """See that every job could run on this cluster.

    Raises:
        UserError: Not all could, or names are not unique; the message says what to change.
    """
    if not jobs:
        raise UserError("the trace has no jobs: give at least one")
    if not nodes:
        raise UserError("the cluster has no nodes: give at least one")
    for what, names in (("job", [job.name for job in jobs]), ("node", [node.name for node in nodes])):
        name, count = Counter(names).most_common(1)[0]
        if count > 1:
            raise UserError(f"{what} {name} is given {count} times: give each a name of its own")
    for job in jobs:
        _check_job(job, nodes)
    for kind in sorted({job.kind for job in jobs}):
        for model in sorted({node.gpu_model for node in nodes}):
            curves.of(kind, model)


def _check_job(job: TraceJob, nodes: Sequence[SimNode]) -> None:
    if not (math.isfinite(job.submitted_at) and job.submitted_at >= 0):
        raise UserError(f"job {job.name}: submitted_at is {job.submitted_at:g}: must be 0 or later")
    if not (math.isfinite(job.reference_seconds) and job.reference_seconds > 0):
        raise UserError(f"job {job.name}: reference_seconds is {job.reference_seconds:g}: must be above 0")
    if job.gpus < 1:
        raise UserError(f"job {job.name}: gpus is {job.gpus}: must be at least 1")
    if not models_that_hold(job.gpus, nodes):
        raise UserError(
            f"job {job.name}: gpus is {job.gpus}: no GPU model of the cluster has so many; drop the job or add nodes"
        )


def why_not_there(
    job: TraceJob, asked: Mapping[str, int], nodes: Mapping[str, SimNode], free: Mapping[str, int]
) -> str | None:
    """Why a job cannot get GPUs ``asked`` by node name; None where it can."""
    for name, count in asked.items():
        if name not in nodes:
            return f"there is no node {name!r}"
        if count < 1 or count > free[name]:
            return f"{free[name]} GPUs are free on {name}"
    if sum(asked.values()) != job.gpus:
        return f"the job needs {job.gpus} GPUs"
    if len({nodes[name].gpu_model for name in asked}) > 1:
        return "the nodes have different GPU models"
    in_part = [nodes[name].gpus for name, count in asked.items() if count < nodes[name].gpus]
    if len(asked) > 1 and (len(in_part) > 1 or any(gpus >= job.gpus for gpus in in_part)):
        return "a job that fits on a node stays on one, and a larger one takes whole nodes, but for the last"
    return None


def why_not_so_many_watts(limit_watts: float, nodes: Iterable[SimNode]) -> str | None:
    """Why the GPUs of ``nodes`` refuse a power limit; None where they take it."""
    ranges = [(node.min_limit_watts, node.max_limit_watts) for node in nodes]
    low, high = max(low for low, _ in ranges), min(high for _, high in ranges)
    if low * (1 - _AT_THE_LIMIT) <= limit_watts <= high * (1 + _AT_THE_LIMIT):
        return None
    return f"the GPUs take power limits from {low:g} to {high:g} W"
