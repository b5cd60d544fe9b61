"""The rules of the harness: what makes arms comparable, and what is said where a rule did not hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from ballast.errors import UserError
from ballast.simulate.comparison import arms
from ballast.simulate.comparison.arms import Compared, Setup, Task, checks, compared, run_arm, run_arms
from ballast.simulate.comparison.processes import Doing, Done, Failed, run_each
from ballast.simulate.curves import fitted_curves
from ballast.simulate.engine.options import Options
from ballast.simulate.engine.outcome import HarnessError, Run
from ballast.simulate.job import TraceJob
from ballast.simulate.policies.catalogue import POLICIES
from tests.unit.simulate.published import a40, v100

_KINDS = ("resnet50-256", "bert-squad-32", "deepspeech2-192")
_JOBS = tuple(TraceJob(f"j{n}", _KINDS[n % 3], 60.0 * n, (4, 2, 1)[n % 3], 1200.0 + 300 * n) for n in range(6))


def _setup(seed: int = 0) -> Setup:
    return Setup(seed, _JOBS, (v100("v", gpus=4), a40("a", gpus=4)), fitted_curves(), Options())


def _run(policy: str, seed: int = 0) -> Run:
    return run_arm(Task(policy, _setup(seed)), progress=lambda share: None)


def _held(seeds: Sequence[Compared], policies: Sequence[str]) -> dict[str, bool | None]:
    return {check.rule: check.held for check in checks(seeds, policies)}


@pytest.mark.parametrize("policy", POLICIES)
def test_every_arm_runs_the_same_jobs_to_completion_and_does_the_same_work(policy: str) -> None:
    done = _run(policy)
    done.check()  # that its log has each job's whole work, among other things
    assert sorted(row.name for row in done.rows) == sorted(job.name for job in _JOBS)


def test_every_arm_gets_a_task_and_with_it_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Task] = []

    def spy(tasks: Sequence[Task], work: Callable[..., Run], processes: int = 1) -> object:
        asked.extend(tasks)
        return run_each(tasks[:0], work, processes)

    monkeypatch.setattr(arms, "run_each", spy)
    assert list(run_arms(["fifo-binpack", "static-cap"], [_setup(0), _setup(1)])) == []
    assert [str(task) for task in asked] == [
        "fifo-binpack, seed 0",
        "static-cap, seed 0",
        "fifo-binpack, seed 1",
        "static-cap, seed 1",
    ]


def test_arms_in_processes_of_their_own_come_to_what_they_come_to_in_this_one() -> None:
    events = [event for event in run_arms(["fifo-binpack", "static-cap"], [_setup()]) if not isinstance(event, Doing)]
    first, second, both = events
    assert isinstance(first, Done)
    assert isinstance(second, Done)
    assert [first.result.rows, second.result.rows] == [_run("fifo-binpack").rows, _run("static-cap").rows]
    assert both == compared([first.result, second.result])


def test_no_arm_has_a_bonus() -> None:
    cheap = replace(_setup(), nodes=tuple(replace(node, base_watts=1.0) for node in _setup().nodes))
    managed = run_arm(Task("static-cap", cheap), progress=lambda share: None)
    managed.check()  # consistent in itself
    with pytest.raises(HarnessError, match="arms fifo-binpack and static-cap differ in nodes"):
        compared([_run("fifo-binpack"), managed])


def test_idle_power_counts_in_every_arm_until_one_horizon() -> None:
    runs = [_run("fifo-binpack"), _run("static-cap")]
    found = compared(runs)
    latest = max(run.horizon for run in runs)
    assert runs[0].horizon != runs[1].horizon
    idle_watts = sum(node.gpus * node.idle_watts for node in runs[0].nodes)
    for arm in found.arms:
        assert arm.summary.horizon_seconds == latest
        assert arm.summary.idle_joules == pytest.approx(idle_watts * latest)


def test_power_that_reports_draw_is_never_below_the_idle_floor_and_has_all_joules() -> None:
    (arm,) = compared([_run("fifo-binpack")]).arms
    floor = sum(node.gpus * node.idle_watts + node.base_watts for node in _setup().nodes)
    assert min(arm.power.watts) >= floor - 1e-6
    assert sum(arm.power.watts) * arm.power.span_seconds == pytest.approx(arm.summary.joules)


def test_three_seeds_are_asked_for() -> None:
    policies = ["fifo-binpack", "static-cap"]
    seeds = [compared([_run(policy, seed) for policy in policies]) for seed in range(3)]
    assert set(_held(seeds, policies).values()) == {True}
    assert _held(seeds[:2], policies)["at least 3 seeds"] is False


def test_arms_whose_power_is_the_same_at_every_moment_are_told() -> None:
    one = _run("fifo-binpack")
    found = compared([one, replace(one, policy="another-name")])
    (check,) = [check for check in checks([found], ["fifo-binpack", "another-name"]) if "differs" in check.rule]
    assert check.held is False
    assert check.detail == "fifo-binpack = another-name"


def test_an_arm_that_is_missing_is_told() -> None:
    found = compared([_run("fifo-binpack")])
    assert _held([found], ["fifo-binpack", "static-cap"])["every arm ran the same jobs to completion"] is False


def test_an_arm_that_fails_is_left_out_of_its_seed_only() -> None:
    policies = ["fifo-binpack", "no-such-policy"]
    events = [event for event in run_arms(policies, [_setup()], processes=2) if not isinstance(event, Doing)]
    (failed,) = [event for event in events if isinstance(event, Failed)]
    assert failed.message.startswith("policy 'no-such-policy': must be one of ")
    (both,) = [event for event in events if isinstance(event, Compared)]
    assert [arm.summary.policy for arm in both.arms] == ["fifo-binpack"]


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(UserError, match="policy 'magic': must be one of fifo-spread, "):
        _run("magic")
