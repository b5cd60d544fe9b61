"""What the guide to `ballast explain` shows is what it prints of these decisions."""

from __future__ import annotations

import re

from ballast.api.decision import Decision, DecisionKind, LimitOption, PlacementOption
from ballast.api.trainingjob import TrainingJob
from ballast.cli.explanation import render
from ballast.decide.actions import WriteStatus
from ballast.decide.cycle import decide
from ballast.decide.points.auto_point import tuned
from tests.auto_builders import LATER, known, measured_point, profile, ready, watched
from tests.builders import NOW, JobBuilder, NodeBuilder, job, node, snapshot
from tests.cluster.paths import CHECKOUT

GUIDE = (CHECKOUT / "docs" / "guide" / "explain.md").read_text()
RESNET = job("resnet").in_namespace("vision").with_gpus(4)
A100S = (node("a100-1").with_gpus("A100", 8).using(gpus=6), node("a100-2").with_gpus("A100", 8).using(gpus=8))
V100S = node("v100-1").with_gpus("V100", 8)
H100S = node("h100-1").with_gpus("H100", 8)
POINTS = ((150.0, 7.4), (175.0, 8.5), (200.0, 9.3), (225.0, 9.7), (250.0, 9.9), (275.0, 9.95), (300.0, 10.0))
"""Watts and steps per second that were measured of the capped job."""


def decided(asking: JobBuilder, *nodes: NodeBuilder) -> TrainingJob:
    [write] = decide(snapshot(nodes, [asking])).actions
    assert isinstance(write, WriteStatus)
    return write.job.model_copy(update={"status": write.status})


def test_the_job_that_waits() -> None:
    waiting = RESNET.waiting_since(-60).at_place(3, 24)
    assert render(decided(waiting, *A100S, V100S, H100S.using(gpus=8)), NOW + 120) in GUIDE


def test_the_job_that_was_placed() -> None:
    placed = RESNET.slowed_by_at_most(100)
    assert render(decided(placed, *A100S, V100S, H100S.using(gpus=2)), NOW + 120) in GUIDE


def test_the_job_that_is_capped() -> None:
    measured = profile(*(measured_point(watts, speed) for watts, speed in POINTS))
    capped = tuned(ready(learned=known(measured)), watched())[0]
    text = render(capped.job, LATER)
    assert text[text.index("Power limit of each GPU") :] in GUIDE


def test_every_field_that_it_names_is_one_of_the_status() -> None:
    fields = {
        name
        for model in (Decision, PlacementOption, LimitOption)
        for name in (field.alias for field in model.model_fields.values())
        if name is not None
    }
    named = set(re.findall(r"^\| `(\w+)` \|", GUIDE, re.MULTILINE))
    assert named == fields
    assert all(f"`{kind}`" in GUIDE for kind in DecisionKind)
