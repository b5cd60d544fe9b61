"""What a cluster would refuse, the engine refuses, and names it; a policy that gets nowhere is told who waits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import pytest

from ballast.simulate.engine.engine import PolicyError
from ballast.simulate.policy import SetLimit, Start, Step, Stop, View, WakeUp
from tests.unit.simulate.running import SLOW, FirstFit, Only, Told, job, node, ran

TWO = [node("a"), node("b")]


@pytest.mark.parametrize(
    ("step", "told"),
    [
        (Start("nobody", {"a": 1}, 200), "there is no such job"),
        (Start("later", {"a": 1}, 200), "there is no such job"),
        (Start("one", {"nowhere": 1}, 200), "there is no node 'nowhere'"),
        (Start("one", {"a": 2}, 200), "the job needs 1 GPUs"),
        (Start("one", {}, 200), "the job needs 1 GPUs"),
        (Start("one", {"a": 3}, 200), "2 GPUs are free on a"),
        (Start("one", {"a": 0, "b": 1}, 200), "2 GPUs are free on a"),
        (Start("two", {"a": 1, "b": 1}, 200), "fits on a node stays on one"),
        (Start("three", {"a": 2, "slow": 1}, 200), "different GPU models"),
        (Start("one", {"a": 1}, 99), "power limits from 100 to 200 W"),
        (Start("one", {"a": 1}, float("nan")), "power limits from 100 to 200 W"),
        (SetLimit("one", 150), "no such job runs"),
        (Stop("one"), "no such job runs"),
        (WakeUp(0), "must be later than now"),
        (WakeUp(float("inf")), "must be later than now"),
        ("sit", "'sit' is no step"),
    ],
)
def test_an_impossible_step_is_refused(step: Step, told: str) -> None:
    jobs = [job("one"), job("two", gpus=2), job("three", gpus=3), job("later", at=50)]
    with pytest.raises(PolicyError, match=f"policy only, 0 s after the trace began: .*{told}"):
        ran(*jobs, on=[*TWO, node("slow", gpu_model=SLOW)], policy=Only(lambda view: [step]))


@pytest.mark.parametrize("gpus", [{"a": 2, "b": 1}, {"a": 1, "b": 2}])
def test_a_large_job_may_leave_a_part_of_its_last_node(gpus: dict[str, int]) -> None:
    done = ran(job(gpus=3), on=TWO, policy=Only(lambda view: [Start("j", gpus, 200)] if view.waiting else []))
    assert done.rows[0].run_seconds == 100


def test_a_large_job_may_not_take_parts_of_several_nodes() -> None:
    parts = {"a": 1, "b": 1, "c": 1}
    with pytest.raises(PolicyError, match="a larger one takes whole nodes, but for the last"):
        ran(job(gpus=3), on=[*TWO, node("c")], policy=Only(lambda view: [Start("j", parts, 200)]))


def test_a_job_that_one_of_its_nodes_holds_alone_is_not_split() -> None:
    split = Only(lambda view: [Start("j", {"a": 2, "big": 1}, 200)])
    with pytest.raises(PolicyError, match="fits on a node stays on one"):
        ran(job(gpus=3), on=[node("a"), node("big", gpus=4)], policy=split)


def test_gpus_are_given_once() -> None:
    both = [Start("i", {"a": 2}, 200), Start("j", {"a": 1}, 200)]
    with pytest.raises(PolicyError, match="0 GPUs are free on a"):
        ran(job("i", gpus=2), job("j"), policy=Only(lambda view: both))


def test_a_job_starts_once() -> None:
    with pytest.raises(PolicyError, match="the job runs already"):
        ran(job(), policy=Only(lambda view: [Start("j", {"a": 1}, 200)] * 2))


def test_an_ended_job_does_not_start_again() -> None:
    with pytest.raises(PolicyError, match=r"100 s .* the job has ended"):
        ran(job(), job("k", at=100), policy=Only(lambda view: [] if view.running else [Start("j", {"a": 1}, 200)]))


def test_a_limit_outside_the_range_of_a_running_job_is_refused() -> None:
    with pytest.raises(PolicyError, match=r"limit_watts=201.* from 100 to 200 W"):
        ran(job(), policy=Told(lambda view: [SetLimit("j", 201)]))


def test_a_share_of_the_maximum_may_miss_it_by_rounding() -> None:
    assert ran(job(), policy=FirstFit(200 * (1 + 1e-15))).rows[0].run_seconds == 100


def test_a_policy_that_lets_jobs_wait_for_ever_is_told_who_waits() -> None:
    with pytest.raises(PolicyError, match=r"nothing will happen, yet job first \(2 GPUs, submitted at 3 s\) waits"):
        ran(job("first", gpus=2, at=3), job("second", at=4), policy=Only(lambda view: []))


def test_a_policy_that_wakes_only_itself_is_told_who_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ballast.simulate.engine.engine._ALONE", 50)
    with pytest.raises(PolicyError, match="woke itself up 50 times while only job j "):
        ran(job(), policy=Only(lambda view: [WakeUp(view.now + 3600)]))


def test_nothing_that_is_seen_can_be_changed() -> None:
    def grab(view: View) -> Sequence[Step]:
        for seen, name in ((view.free, "a"), (view.nodes, "a"), (view.running, "j")):
            with pytest.raises(TypeError):
                cast("dict[str, object]", seen)[name] = 7
        with pytest.raises(TypeError):
            cast("list[object]", view.waiting)[0] = 7
        if "j" in view.running:
            with pytest.raises(TypeError):
                cast("dict[str, int]", view.running["j"].nodes)["a"] = 0
        return []

    assert ran(job(), job("k", at=5, gpus=2), policy=Told(grab)).rows
