"""What a waiting gang would do on GPU models, and what is expected of the cluster, for the tests of weighing both."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ballast.api.energyprofile import EnergyProfile
from ballast.decide.gang_request import GangRequest
from ballast.decide.gpu_models import A40, V100, GpuModel
from ballast.decide.model.prediction import GpuRange
from ballast.decide.node import Release
from ballast.decide.outlook import Outlook
from ballast.decide.prospects import Prospect
from ballast.decide.weighing import Offer
from tests.auto_builders import KEY, measured_point, profile
from tests.builders import NOW, job

BOARDS: Mapping[GpuModel, GpuRange | None] = {
    V100: GpuRange("V100", 100.0, 250.0, 33.0),
    A40: GpuRange("A40", 100.0, 300.0, 30.0),
}
WORKLOAD = "team", KEY


def on(model: str, watts: float, speed: float, draw: float | None = None, **more: Any) -> EnergyProfile:
    """Return a profile of one measured point on a GPU model."""
    made = profile(measured_point(watts, speed, draw, **more))
    return made.model_copy(update={"spec": made.spec.model_copy(update={"gpu_model": model})})


def prospect(model: GpuModel, joules: float, slowdown: float = 1.0, **more: Any) -> Prospect:
    """Return a measured prospect of so many joules for a second of work on the fastest GPU model."""
    made = Prospect(model, 250.0, slowdown, slowdown, 0.0, joules / slowdown, 0.0, True, False)
    return replace(made, **more)


def offer(made: Prospect, node: str | None = None, after: float = math.inf) -> Offer:
    """Return a GPU model that has room for one pod on a node now, or so many seconds from now."""
    return Offer(made, (node,) if node is not None else None, fits_at=NOW + after)


def gang(gpus: int = 1, percent: int = 10, **more: Any) -> GangRequest:
    """Return a gang of one pod."""
    return replace(job("train").with_gpus(gpus).slowed_by_at_most(percent).gang(), **more)


def outlook(**releases: tuple[tuple[float, int], ...]) -> Outlook:
    """Return an outlook in which jobs give GPUs back: by node, pairs of seconds from now and how many."""
    told = {node: tuple(Release(NOW + after, gpus) for after, gpus in each) for node, each in releases.items()}
    return Outlook(now=NOW, releases=told)
