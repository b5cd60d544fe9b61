"""An experiment's arms run in processes of their own, are kept as they end, and are not run twice."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from ballast.simulate.comparison import arms
from ballast.simulate.comparison.arms import Compared, Event, Setup, Task
from ballast.simulate.comparison.processes import Done, Failed
from ballast.simulate.experiments.experiment import Plan, missing, run_experiment
from ballast.simulate.experiments.kept import Kept
from tests.unit.simulate.tiny_experiment import Tiny

ONE_CASE = {"loads": [0.9], "tables": [{"name": "nodes stay on"}]}


def _ended(plan: Plan, kept: Kept) -> list[Event]:
    return [told.event for told in run_experiment(plan, kept, 2) if isinstance(told.event, Done | Failed | Compared)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """One that was run to its end."""
    tiny = Tiny(tmp_path_factory.mktemp("whole"), seeds=[0, 1], **ONE_CASE)
    _ended(tiny.plan, tiny.kept)
    return tiny


def test_every_arm_of_every_seed_is_kept(whole: Tiny) -> None:
    (case,) = whole.plan.experiment.cases
    for seed in (0, 1):
        found = whole.kept.read(case.slug, seed, with_jobs=True)
        assert [arm.summary.policy for arm in found.arms] == ["fifo-spread", "per-job-limit"]
        assert len({arm.summary.horizon_seconds for arm in found.arms}) == 1
        first, second = ([(row.name, row.kind, row.gpus) for row in arm.jobs] for arm in found.arms)
        assert first == second
        assert len(first) == 6


def test_what_is_done_is_not_run_again(whole: Tiny) -> None:
    assert _ended(whole.plan, whole.kept) == []


def test_an_interrupted_experiment_goes_on_and_comes_to_the_same(whole: Tiny, tmp_path: Path) -> None:
    tiny = Tiny(tmp_path, seeds=[0, 1], **ONE_CASE)
    (case,) = tiny.plan.experiment.cases
    with closing(run_experiment(tiny.plan, tiny.kept)) as events:
        next(told for told in events if isinstance(told.event, Compared))
    assert missing(tiny.plan.experiment, case, tiny.kept) == [1]
    again = [event.task for event in _ended(tiny.plan, tiny.kept) if isinstance(event, Done)]
    assert sorted((task.policy, task.setup.seed) for task in again) == [("fifo-spread", 1), ("per-job-limit", 1)]
    for seed in (0, 1):
        theirs = whole.kept.read(case.slug, seed, with_jobs=True)
        assert tiny.kept.read(case.slug, seed, with_jobs=True) == theirs


def test_a_seed_with_a_failed_arm_is_run_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tiny = Tiny(tmp_path, seeds=[0], **ONE_CASE)
    real = arms.run_arms

    def broken(policies: Sequence[str], setups: Sequence[Setup], processes: int) -> Generator[Event, None, None]:
        yield Failed(Task(policies[1], setups[0]), "out of luck")
        yield from real(policies[:1], setups, processes)

    monkeypatch.setattr(arms, "run_arms", broken)
    kinds = [type(event) for event in _ended(tiny.plan, tiny.kept)]
    assert kinds == [Failed, Done, Compared]
    (case,) = tiny.plan.experiment.cases
    assert missing(tiny.plan.experiment, case, tiny.kept) == [0]
    monkeypatch.undo()
    _ended(tiny.plan, tiny.kept)
    assert missing(tiny.plan.experiment, case, tiny.kept) == []
