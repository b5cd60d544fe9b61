"""What the GPU model costs on which a job runs, of the slowdown that its user allows.

Pure. A user's `maxSlowdownPercent` counts from the fastest eligible GPU model at the limit that was found; what runs on
another one has less of it left for its power limit. Where a job runs on one that is slower than that allows, which it
does only if it would have had to wait much longer for any other (`ballast.decide.weighing`), it counts from its own: it
is done sooner than it would have been by waiting even so. What must hold: a node that comes or goes for a while,
cordoned or not ready, changes nothing of that.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace

from ballast.decide.eligibility import ineligible_because
from ballast.decide.gang_request import GangRequest
from ballast.decide.gpu_models import GpuModel, gpu_model
from ballast.decide.model.prediction import GpuRange
from ballast.decide.node import Node
from ballast.decide.prospects import prospects
from ballast.decide.resources import copies_that_fit
from ballast.decide.snapshot import Context, Job


def model_cost(job: Job, context: Context) -> float:
    """Return how many times as long the work takes on the job's GPU model as on the fastest that could take the gang.

    By what was measured of its workload, where that is known, else by the table of GPU models. At least 1, and 1 where
    nothing is known of the gang or of the model.
    """
    if job.gang is None or job.learned is None:
        return 1.0
    boards = context.boards_of.get(job.gang)
    if boards is None:
        boards = context.boards_of[job.gang] = _boards(job.gang, context.nodes)
    own = gpu_model(job.learned.gpu_model)
    together = {own: job.learned.gpu, **boards}
    found = prospects(together, job.gang.gpus, job.gang.max_slowdown_percent, job.learned.of_key, is_tuned=False)
    return next(max(each.model_slowdown, 1.0) for each in found if each.gpu_model == own)


def slowdown_left_percent(max_slowdown_percent: float, cost: float) -> float:
    """Return what a job's power limit may cost of its time, in percent, on a GPU model of this cost."""
    allowed = 1 + max_slowdown_percent / 100
    return 100 * ((allowed / cost if cost <= allowed else allowed) - 1)


def _boards(gang: GangRequest, nodes: Mapping[str, Node]) -> dict[GpuModel, GpuRange | None]:
    """Return the GPU models of which there are enough for the gang if nothing else ran, and what their boards are."""
    room: dict[GpuModel, int] = defaultdict(int)
    boards: dict[GpuModel, GpuRange | None] = {}
    for node in nodes.values():
        if node.gpu_model is not None and ineligible_because(gang, replace(node, ready=True, cordoned=False)) is None:
            room[node.gpu_model] += copies_that_fit(gang.resources, node.allocatable)
            boards.setdefault(node.gpu_model, node.board)
    return {model: boards[model] for model, copies in room.items() if copies >= gang.replicas}
