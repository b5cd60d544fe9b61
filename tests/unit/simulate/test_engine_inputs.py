"""Jobs, nodes and curves that do not fit together are refused before anything runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest

from ballast.errors import UserError
from ballast.simulate.engine.options import Options
from ballast.simulate.job import TraceJob
from ballast.simulate.policy import SimNode
from tests.unit.simulate.running import SLOW, job, node, ran

ONE = [node()]


@pytest.mark.parametrize(
    ("jobs", "nodes", "told"),
    [
        ([], ONE, "the trace has no jobs"),
        ([job()], [], "the cluster has no nodes"),
        ([job(), job()], ONE, "job j is given 2 times"),
        ([job()], [node(), node()], "node a is given 2 times"),
        ([job(at=-1)], ONE, "submitted_at is -1: must be 0 or later"),
        ([job(at=math.nan)], ONE, "submitted_at is nan"),
        ([job(seconds=0)], ONE, "reference_seconds is 0: must be above 0"),
        ([job(gpus=0)], ONE, "gpus is 0: must be at least 1"),
        ([job(gpus=3)], [node("a"), node("b", gpu_model=SLOW)], "gpus is 3: no GPU model of the cluster has so many"),
        ([job(kind="sing")], ONE, "no curve of kind 'sing' on GPU model 'Fast'"),
        ([job()], [replace(node(), gpu_model="New")], "no curve of kind 'train' on GPU model 'New'"),
    ],
)
def test_inputs_are_checked(jobs: Sequence[TraceJob], nodes: Sequence[SimNode], told: str) -> None:
    with pytest.raises(UserError, match=told):
        ran(*jobs, on=nodes)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("switch_off_after_seconds", -1, "at least 0"),
        ("boot_seconds", 0, "above 0"),
        ("boot_joules", -1, "at least 0"),
        ("restart_seconds", math.inf, "at least 0"),
        ("reading_seconds", 0, "above 0"),
        ("reading_every_seconds", math.nan, "above 0"),
        ("readings_noise", 0.3, "at least 0 and at most 0.25"),
    ],
)
def test_options_are_checked(name: str, value: float, told: str) -> None:
    with pytest.raises(UserError, match=f"{name} is {value:g}: must be a number {told}"):
        replace(Options(), **{name: value})
