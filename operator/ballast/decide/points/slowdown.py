"""What the GPU model costs on which a job runs, of the slowdown that its user allows.

Pure. A user's `maxSlowdownPercent` counts from the fastest eligible GPU model at the limit that was found; what runs on
another one has less of it left for its power limit. What must hold: a node that comes or goes for a while, cordoned or
not ready, changes nothing of that.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace

from ballast.decide.eligibility import ineligible_because
from ballast.decide.gpu_models import GpuModel, gpu_model
from ballast.decide.resources import copies_that_fit
from ballast.decide.snapshot import Context, GangRequest, Job, Node


def model_cost(job: Job, context: Context) -> float:
    """Return how many times as long the work takes on the job's GPU model as on the fastest that could take the gang.

    At least 1, and 1 where nothing is known of the gang or of the model.
    """
    if job.gang is None or job.learned is None:
        return 1.0
    models = context.models_of.get(job.gang)
    if models is None:
        models = context.models_of[job.gang] = tuple(_models(job.gang, context.nodes))
    own = gpu_model(job.learned.gpu_model).relative_speed
    fastest = max((model.relative_speed for model in models), default=own)
    return max(fastest / own, 1.0)


def _models(gang: GangRequest, nodes: Mapping[str, Node]) -> Iterable[GpuModel]:
    """Return the GPU models of which there are enough for the gang, if nothing else ran."""
    room: dict[GpuModel, int] = defaultdict(int)
    for node in nodes.values():
        if node.gpu_model is not None and ineligible_because(gang, replace(node, ready=True, cordoned=False)) is None:
            room[node.gpu_model] += copies_that_fit(gang.resources, node.allocatable)
    return [model for model, copies in room.items() if copies >= gang.replicas]
