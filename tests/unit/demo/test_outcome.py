"""The demo's verdict as a whole: nothing is wrong, or every wrong thing is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.demo.checks import problems
from tests.demo.objects import Asked, Node
from tests.unit.demo.builders import A100, REAL, gpu_gang, job_of, outcome_of, real_gang


@pytest.mark.parametrize(("asked", "node"), [(gpu_gang(), A100), (real_gang(), REAL), (real_gang(replicas=1), REAL)])
def test_nothing_is_wrong_with_jobs_that_went_well(asked: Asked, node: Node) -> None:
    assert problems(outcome_of(asked, node)) == []


def test_a_job_that_does_not_exist_is_a_problem() -> None:
    outcome = replace(outcome_of(gpu_gang(), A100), jobs={})
    assert [str(problem) for problem in problems(outcome)] == ["gang: does not exist"]


def test_a_job_that_has_not_ended_is_told_with_its_reason() -> None:
    waits = job_of(gpu_gang(), A100, phase="Queued", reason="WaitingForCapacity", message="needs 8 GPUs")
    outcome = outcome_of(gpu_gang(), A100, job=waits, pods=[])
    assert [str(p) for p in problems(outcome)] == ["gang: is Queued (WaitingForCapacity: needs 8 GPUs)"]


def test_a_job_that_waited_without_a_reason_is_a_problem() -> None:
    outcome = replace(outcome_of(gpu_gang(), A100), unexplained=frozenset({"gang"}))
    assert [str(problem) for problem in problems(outcome)] == ["gang: waited without a reason"]
