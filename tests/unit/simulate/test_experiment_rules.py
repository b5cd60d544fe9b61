"""The harness rules, held by an experiment: equal work, one horizon, the same terms, and a baseline worth beating."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from ballast.simulate.comparison import arms
from ballast.simulate.comparison.arms import Task, run_arm
from ballast.simulate.comparison.comparison import Entry
from ballast.simulate.comparison.processes import Done
from ballast.simulate.engine.events import EventKind
from ballast.simulate.engine.outcome import HarnessError, Run
from ballast.simulate.experiments.experiment import missing, run_experiment
from tests.unit.simulate.tiny_experiment import Tiny

ONE_CASE = {"loads": [3.0], "seeds": [0], "tables": [{"name": "nodes stay on"}]}


def _told(done: float) -> None:
    """Nobody listens."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """Both arms of a seed, run here."""
    plan = Tiny(tmp_path_factory.mktemp("runs"), **ONE_CASE).plan
    (setup,) = plan.setups(plan.experiment.cases[0], [0], {})
    return {policy: run_arm(Task(policy, setup), _told) for policy in plan.experiment.arms}


def _instead(runs: dict[str, Run]) -> Callable[[Sequence[Task], object, int], Iterator[Done[Task, Run]]]:
    def run_each(tasks: Sequence[Task], work: object, processes: int) -> Iterator[Done[Task, Run]]:
        yield from (Done(task, runs[task.policy], 0.0) for task in tasks)

    return run_each


def _less_work(run: Run) -> Run:
    first, *others = run.jobs
    return replace(run, jobs=(replace(first, reference_seconds=first.reference_seconds / 2), *others))


def _other_rules(run: Run) -> Run:
    return replace(run, options=replace(run.options, reading_seconds=60))


def _cheaper_idle(run: Run) -> Run:
    return replace(run, nodes=tuple(replace(node, idle_watts=1.0) for node in run.nodes))


@pytest.mark.parametrize(
    ("spoil", "told"),
    [(_less_work, "s of work, but has"), (_other_rules, "differ in options"), (_cheaper_idle, "counted .* idle")],
)
def test_an_arm_on_other_terms_stops_the_experiment_and_is_not_kept(
    runs: dict[str, Run],
    spoil: Callable[[Run], Run],
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    tiny = Tiny(tmp_path, **ONE_CASE)
    monkeypatch.setattr(arms, "run_each", _instead({**runs, "per-job-limit": spoil(runs["per-job-limit"])}))
    with pytest.raises(HarnessError, match=told):
        list(run_experiment(tiny.plan, tiny.kept))
    assert missing(tiny.plan.experiment, tiny.plan.experiment.cases[0], tiny.kept) == [0]


def test_arms_on_the_same_terms_are_kept(runs: dict[str, Run], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tiny = Tiny(tmp_path, **ONE_CASE)
    monkeypatch.setattr(arms, "run_each", _instead(runs))
    list(run_experiment(tiny.plan, tiny.kept))
    found = tiny.kept.read(tiny.plan.experiment.cases[0].slug, 0)
    assert {arm.summary.horizon_seconds for arm in found.arms} == {max(run.horizon for run in runs.values())}
    idle = Entry("any", found.arms).mean(lambda summary: summary.base_joules)
    assert idle is not None
    assert idle.mean == pytest.approx(4 * 350 * found.arms[0].summary.horizon_seconds)


def test_every_arm_of_every_seed_is_a_task_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`run_each` gives every task a fresh process."""
    tiny = Tiny(tmp_path, **{**ONE_CASE, "seeds": [0, 1, 2]})
    asked: list[tuple[str, int]] = []

    def run_each(tasks: Sequence[Task], work: object, processes: int) -> Iterator[Done[Task, Run]]:
        asked.extend((task.policy, task.setup.seed) for task in tasks)
        yield from ()

    monkeypatch.setattr(arms, "run_each", run_each)
    list(run_experiment(tiny.plan, tiny.kept))
    assert asked == [(policy, seed) for seed in (0, 1, 2) for policy in ("fifo-spread", "per-job-limit")]


def test_the_baseline_lets_nothing_wait_that_fits_and_runs_at_full_limits(runs: dict[str, Run]) -> None:
    run = runs["fifo-spread"]
    gpus = {job.name: job.gpus for job in run.jobs}
    free = {node.name: node.gpus for node in run.nodes}
    held: dict[str, tuple[tuple[str, int], ...]] = {}
    waiting: set[str] = set()
    waited = 0
    for event, after in pairwise(run.events):
        if event.kind is EventKind.SUBMITTED:
            waiting.add(event.job)
        elif event.kind is EventKind.STARTED:
            waiting.remove(event.job)
            held[event.job] = event.gpus
            free = {node: count - dict(event.gpus).get(node, 0) for node, count in free.items()}
        elif event.kind is EventKind.ENDED:
            ended = dict(held.pop(event.job))
            free = {node: count + ended.get(node, 0) for node, count in free.items()}
        if after.at > event.at:
            small = [gpus[job] for job in waiting if gpus[job] <= 8]
            assert all(count > max(free.values()) for count in small)
            waited += len(small)
    assert waited
    assert {event.limit_watts for event in run.events if event.kind is EventKind.RUNS} == {250.0}
