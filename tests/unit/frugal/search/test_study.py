"""The search: it learns where the front is, loses and repeats nothing, and goes on where it was."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from frugal.bench.trial import Interrupted
from frugal.errors import ConfigError, TechniqueError
from frugal.search.space import StackSpace
from frugal.search.study import SAMPLERS, Limits, Score, Search, Tried, only_one, solutions
from frugal.signals import StopSignals

from .synthetic import SLOTS, Synthetic, best_front, covered, run, score, search

SMALL = {"width": ["width=0", "width=1"], "depth": ["depth=0", "depth=1"], "kernel": ["kernel=3"]}


def _designs(tried: list[Tried]) -> list[tuple[str, ...]]:
    return [one.design for one in tried]


def test_tpe_finds_more_of_the_known_front_than_random_draws(tmp_path: Path) -> None:
    best = best_front()
    found: dict[str, list[int]] = {"tpe": [], "random": []}
    area: dict[str, float] = {"tpe": 0.0, "random": 0.0}
    for sampler, seed in itertools.product(found, (0, 1)):
        tried = run(tmp_path / f"{sampler}{seed}", 40, sampler=sampler, seed=seed)
        found[sampler].append(len(best.intersection(_designs(tried))))
        area[sampler] += covered(tried)
    # Of 576 designs 35 are on the front: 40 blind draws meet two or three of them on average.
    assert min(found["tpe"]) > 2 * max(found["random"])
    assert area["tpe"] > area["random"]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_resumed_search_is_the_uninterrupted_one_draw_by_draw(tmp_path: Path, sampler: str) -> None:
    whole = run(tmp_path / "whole", 26, sampler=sampler)
    first = run(tmp_path / "parts", 9, sampler=sampler)

    signals = StopSignals()

    def stop() -> None:
        signals.handle(signal.SIGTERM)
        raise Interrupted(signal.SIGTERM)

    objective = Synthetic(on_call={6: stop})
    again = search(tmp_path / "parts", sampler)
    assert again.run(objective, Limits(trials=26), signals) == "interrupted"
    assert _designs(again.tried()) == _designs(whole)[:14]
    broken_off = objective.asked[-1]

    objective = Synthetic()
    last = search(tmp_path / "parts", sampler)
    assert last.run(objective, Limits(trials=26), StopSignals()) == "completed"
    assert objective.asked[0] == broken_off
    assert [(one.design, one.score) for one in last.tried()] == [(one.design, one.score) for one in whole]
    assert _designs(whole)[:9] == _designs(first)


def test_no_design_is_scored_twice_and_an_exhausted_space_ends_the_search(tmp_path: Path) -> None:
    objective = Synthetic()
    small = search(tmp_path, slots=SMALL)
    assert small.run(objective, Limits(trials=50), StopSignals()) == "exhausted"
    assert sorted(objective.asked) == sorted(itertools.product(*SMALL.values()))
    assert sorted(_designs(small.tried())) == sorted(objective.asked)


def test_seeds_differ_and_the_same_seed_does_not(tmp_path: Path) -> None:
    one, same, other = (run(tmp_path / str(n), 5, seed=seed) for n, seed in enumerate((3, 3, 4)))
    assert _designs(one) == _designs(same) != _designs(other)


@pytest.mark.slow
def test_a_killed_search_draws_again_what_was_under_way(tmp_path: Path) -> None:
    code = (
        "import os, signal; from pathlib import Path; from tests.unit.frugal.search.synthetic import *\n"
        f"run(Path({str(tmp_path)!r}), 20, Synthetic(on_call={{4: lambda: os.kill(os.getpid(), signal.SIGKILL)}}))"
    )
    killed = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": ":".join(sys.path)})
    assert killed.returncode == -signal.SIGKILL
    assert len(search(tmp_path).tried()) == 3
    objective = Synthetic()
    resumed = run(tmp_path, 18, objective)
    assert len(objective.asked) == 15
    assert _designs(resumed) == _designs(run(tmp_path / "whole", 18))


def test_refused_combinations_are_kept_with_their_reason_and_become_rare(tmp_path: Path) -> None:
    objective = Synthetic(refused=("kernel=3", "waste=1"))
    tried = run(tmp_path, 50, objective)
    refused = [one for one in tried if one.infeasible is not None]
    assert {one.infeasible for one in refused} <= {"kernel=3 cannot be combined", "waste=1 cannot be combined"}
    assert all(one.score is None for one in refused)
    assert all(one.score == score(one.design) for one in tried if one.infeasible is None)
    assert len(tried) == len(objective.asked) == 50
    # Blindly, 5 of 9 would be refused.
    assert sum(one.infeasible is not None for one in tried[-20:]) < 8
    assert refused[0] not in solutions(tried)


def test_what_is_refused_before_training_is_no_trial_and_never_asked_for_again(tmp_path: Path) -> None:
    """Half of the designs: as many trials as wanted all the same, and a resumed search is the uninterrupted one."""
    checked: list[tuple[str, ...]] = []

    def check(design: tuple[str, ...]) -> None:
        checked.append(design)
        if "kernel=3" in design or "waste=1" in design:
            raise TechniqueError("cannot be built")

    def tried(folder: str, *counts: int) -> Search:
        checked.clear()
        for count in counts:
            one = search(tmp_path / folder)
            assert one.run(objective, Limits(trials=count), StopSignals(), check=check) == "completed"
        return one

    objective = Synthetic()
    whole = tried("whole", 20)
    assert len(whole.tried()) == len(objective.asked) == 20
    assert all(one.score is not None for one in whole.tried())
    refused = whole.refused()
    assert {one.infeasible for one in refused} == {"cannot be built"}
    assert sorted(checked) == sorted({*_designs(whole.tried()), *_designs(refused)})
    parts = tried("parts", 6, 13, 20)
    assert _designs(parts.tried()) == _designs(whole.tried())
    assert _designs(parts.refused()) == _designs(refused)
    assert len(checked) == len(set(checked))


def test_a_space_of_which_everything_is_refused_ends_the_search(tmp_path: Path) -> None:
    def check(design: tuple[str, ...]) -> None:
        raise TechniqueError("cannot be built")

    small = search(tmp_path, slots=SMALL)
    assert small.run(Synthetic(), Limits(trials=5), StopSignals(), check=check) == "exhausted"
    assert small.tried() == []
    assert len(small.refused()) == 4


def test_a_check_that_breaks_refuses_nothing(tmp_path: Path) -> None:
    def check(design: tuple[str, ...]) -> None:
        raise ZeroDivisionError

    one = search(tmp_path)
    assert one.run(Synthetic(), Limits(trials=3), StopSignals(), check=check) == "completed"
    assert (len(one.tried()), one.refused()) == (3, [])


def test_a_defect_of_one_design_is_kept_and_does_not_end_the_search_but_three_in_a_row_do(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise ZeroDivisionError("of nothing")

    objective = Synthetic(on_call=dict.fromkeys((2, 3, 5, 8, 9, 10), fail))
    one = search(tmp_path)
    with pytest.raises(ZeroDivisionError):
        one.run(objective, Limits(trials=20), StopSignals())
    assert len(objective.asked) == 10
    places = [place for place, tried in enumerate(one.tried(), start=1) if tried.infeasible]
    assert places == [2, 3, 5, 8, 9]
    assert one.tried()[1].infeasible == "ZeroDivisionError: of nothing"
    assert "of nothing" in caplog.text
    # What ended the search is drawn again.
    again = Synthetic()
    search(tmp_path).run(again, Limits(trials=10), StopSignals())
    assert again.asked == [objective.asked[-1]]


def test_solutions_keep_the_accuracy_asked_for_and_come_cheapest_first(tmp_path: Path) -> None:
    tried = run(tmp_path, 25)
    everything, good = solutions(tried), solutions(tried, least_accuracy=0.7)
    assert good == [one for one in everything if one.score is not None and one.score.accuracy >= 0.7] != everything
    joules = [one.score.joules for one in everything if one.score is not None]
    assert joules == sorted(joules)


@pytest.mark.slow
def test_a_constraint_draws_the_search_to_designs_that_keep_it(tmp_path: Path) -> None:
    def good(least: float | None, folder: str) -> int:
        one = search(tmp_path / folder)
        one.run(Synthetic(), Limits(trials=40, least_accuracy=least), StopSignals())
        return sum(tried.score is not None and tried.score.accuracy >= 0.8 for tried in one.tried())

    assert good(0.8, "constrained") > 1.3 * good(None, "free")


def test_time_budget_begins_no_trial_that_would_not_fit(tmp_path: Path) -> None:
    now = [0.0]

    class Slow(Synthetic):
        def __call__(self, design: tuple[str, ...]) -> Score:
            now[0] += 10.0
            return super().__call__(design)

    one = Search(tmp_path, StackSpace(slots=SLOTS), settings={}, clock=lambda: now[0])
    told: list[Tried] = []
    assert one.run(Slow(), Limits(trials=100, seconds=45.0), StopSignals(), told.append) == "out of time"
    assert now[0] == 40.0
    assert told == one.tried()


def test_the_baseline_is_scored_once(tmp_path: Path) -> None:
    calls: list[tuple[str, ...]] = []

    def evaluate(design: tuple[str, ...]) -> Score:
        calls.append(design)
        return Score(accuracy=0.1 * len(calls), joules=3.0, joules_by="counted")

    first = search(tmp_path).baseline(evaluate)
    assert search(tmp_path).baseline(evaluate) == first == Score(accuracy=0.1, joules=3.0, joules_by="counted")
    assert calls == [()]
    assert search(tmp_path).tried() == []


def test_a_stop_before_the_first_trial_tries_nothing(tmp_path: Path) -> None:
    signals, objective = StopSignals(), Synthetic()
    signals.handle(signal.SIGINT)
    assert search(tmp_path).run(objective, Limits(trials=5), signals) == "interrupted"
    assert objective.asked == []


def test_another_search_does_not_go_on_in_the_same_folder(tmp_path: Path) -> None:
    run(tmp_path, 2)
    with pytest.raises(ConfigError, match=r"it holds another search \(seed was 0, is 1\): name a new folder"):
        search(tmp_path, seed=1)
    with pytest.raises(ConfigError, match=r"data was 'none', is 'digits'"):
        Search(tmp_path, StackSpace(slots=SLOTS), settings={"data": "digits"})
    with pytest.raises(ConfigError, match="space was"):
        search(tmp_path, slots=SMALL)
    assert len(search(tmp_path).tried()) == 2


def test_two_searches_at_once_in_one_folder_are_refused(tmp_path: Path) -> None:
    with (
        only_one(tmp_path),
        pytest.raises(ConfigError, match="another search is at work there"),
        only_one(tmp_path),
    ):
        pass
    with only_one(tmp_path):
        pass


def test_a_folder_that_cannot_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="name a folder that can be written to"), only_one(tmp_path / "file" / "out"):
        pass
