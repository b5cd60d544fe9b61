"""How busy a trace would keep a cluster, and the same trace made busier or calmer.

What must hold: load follows from the trace, the cluster and the curves alone, never from a policy: GPU-seconds that
jobs ask for at the highest power limits, over GPU-seconds that there are while jobs arrive. Scaling moves submissions
and nothing else, so that the work is the same at every load.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ballast.errors import UserError
from ballast.simulate.curves import Curves
from ballast.simulate.job import TraceJob
from ballast.simulate.policy import SimNode


def offered_load(jobs: Sequence[TraceJob], nodes: Sequence[SimNode], curves: Curves) -> float:
    """GPU-seconds that jobs ask for, over GPU-seconds that the cluster has from the first to the last submission.

    A job asks for its GPUs times its mean duration over the cluster's GPUs, each at its highest power limit.

    Raises:
        UserError: All jobs are submitted at one moment, so that there is no window, or a kind has no curve.
    """
    stretches = {kind: _mean_stretch(kind, nodes, curves) for kind in {job.kind for job in jobs}}
    asked = sum(job.gpus * job.reference_seconds * stretches[job.kind] for job in jobs)
    submissions = [job.submitted_at for job in jobs]
    window = max(submissions, default=0.0) - min(submissions, default=0.0)
    if window <= 0:
        raise UserError(f"submitted_at: all {len(jobs)} jobs come at one moment, so they have no load: spread them")
    return asked / (sum(node.gpus for node in nodes) * window)


def scaled_to_load(jobs: Sequence[TraceJob], load: float, nodes: Sequence[SimNode], curves: Curves) -> list[TraceJob]:
    """Move submissions together or apart until jobs offer a load; deadlines stay as far from submissions as they were.

    Args:
        jobs: With at least two moments of submission.
        load: What `offered_load` is to be: 0.8 asks for four fifths of the GPUs while jobs arrive.
        nodes: The cluster.
        curves: Of the jobs' kinds on the nodes' GPU models.

    Raises:
        UserError: The load is not above 0, or the jobs have none.
    """
    if not 0 < load < float("inf"):
        raise UserError(f"load: must be above 0, as 0.8 for 80 % (is {load:g})")
    factor = offered_load(jobs, nodes, curves) / load
    return [_moved(job, job.submitted_at * factor) for job in jobs]


def _moved(job: TraceJob, submitted_at: float) -> TraceJob:
    deadline = None if job.deadline is None else submitted_at + (job.deadline - job.submitted_at)
    return replace(job, submitted_at=submitted_at, deadline=deadline)


def _mean_stretch(kind: str, nodes: Sequence[SimNode], curves: Curves) -> float:
    """Seconds for a second of reference work, mean over the cluster's GPUs at their highest limits."""
    gpus: dict[tuple[str, float], int] = {}
    for node in nodes:
        board = node.gpu_model, node.max_limit_watts
        gpus[board] = gpus.get(board, 0) + node.gpus
    seconds = sum(count / curves.of(kind, model).speed(limit) for (model, limit), count in gpus.items())
    return seconds / sum(gpus.values())
