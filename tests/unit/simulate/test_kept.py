"""What an experiment keeps is read back to the last digit, and stands beside nothing of another version."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ballast.errors import UserError
from ballast.simulate.comparison.arms import Compared
from ballast.simulate.experiments import kept as kept_module
from ballast.simulate.experiments.kept import Kept, identity_of
from tests.unit.simulate.made_up import arm, row

IDENTITY = {"experiment": "a", "code": "b"}
JOBS = (
    row("with, a comma", submitted_at=1 / 3, deadline=1e9 / 7, deadline_met=False, group="vc"),
    row("plain", slowdown_kept=False, stops=2),
)
FOUND = Compared(
    7,
    (
        replace(arm("fifo-spread", 7, kwh=100 / 3), jobs=JOBS),
        replace(arm("static-cap", 7, grams=2 / 3), jobs=JOBS[::-1]),
    ),
    (("fifo-spread", "static-cap"),),
)
POLICIES = ["fifo-spread", "static-cap"]


def _kept(folder: Path) -> Kept:
    kept = Kept(folder, IDENTITY)
    for one in FOUND.arms:
        kept.add_jobs("case-60", one.summary.policy, 7, one.jobs)
    return kept


def test_what_is_kept_is_read_back(tmp_path: Path) -> None:
    _kept(tmp_path).add("case-60", FOUND)
    again = Kept(tmp_path, IDENTITY)
    assert again.read("case-60", 7, with_jobs=True) == FOUND
    assert [one.jobs for one in again.read("case-60", 7).arms] == [(), ()]


def test_a_seed_is_done_once_its_arms_were_compared(tmp_path: Path) -> None:
    kept = _kept(tmp_path)
    assert not kept.has("case-60", 7, POLICIES)
    kept.add("case-60", FOUND)
    assert kept.has("case-60", 7, POLICIES)
    assert not kept.has("case-80", 7, POLICIES)
    assert not kept.has("case-60", 8, POLICIES)


@pytest.mark.parametrize("policies", [["fifo-spread"], POLICIES[::-1], [*POLICIES, "ballast"]])
def test_it_is_not_done_for_other_arms(tmp_path: Path, policies: list[str]) -> None:
    kept = _kept(tmp_path)
    kept.add("case-60", FOUND)
    assert not kept.has("case-60", 7, policies)


def test_it_is_not_done_without_the_jobs_of_an_arm(tmp_path: Path) -> None:
    kept = _kept(tmp_path)
    kept.add("case-60", FOUND)
    (tmp_path / "case-60" / "jobs" / "static-cap-seed-7.csv.gz").unlink()
    assert not kept.has("case-60", 7, POLICIES)


def test_the_same_rows_are_the_same_file(tmp_path: Path) -> None:
    names = "jobs/static-cap-seed-7.csv.gz"
    for folder in ("a", "b"):
        _kept(tmp_path / folder)
    assert (tmp_path / "a/case-60" / names).read_bytes() == (tmp_path / "b/case-60" / names).read_bytes()


def test_results_of_something_else_are_refused_and_left_alone(tmp_path: Path) -> None:
    _kept(tmp_path).add("case-60", FOUND)
    with pytest.raises(UserError, match="holds results with another code, python, which cannot stand beside new ones"):
        Kept(tmp_path, {"experiment": "a", "code": "c", "python": "3"})
    assert Kept(tmp_path, IDENTITY).has("case-60", 7, POLICIES)


def test_a_folder_that_cannot_be_written_to_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="name a folder that can be written to"):
        Kept(tmp_path / "file", IDENTITY)


def test_code_that_computes_decides_the_identity_and_code_that_shows_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = tmp_path / "e.yaml"
    experiment.touch()
    package = tmp_path / "ballast"
    names = (
        "decide/points/choosing.py",
        "simulate/engine/engine.py",
        "simulate/report/plots.py",
        "simulate/policies/report.py",
        "act/do.py",
    )
    for name in names:
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text("a")
    monkeypatch.setattr(kept_module, "files", lambda name: package)
    counts = {}
    for name in names:
        before = identity_of(experiment, tmp_path, ())
        (package / name).write_text("b")
        counts[name] = identity_of(experiment, tmp_path, ())["code"] != before["code"]
    assert [*counts.values()] == [True, True, False, True, False]


def test_modules_that_show_are_there() -> None:
    package = Path(kept_module.__file__).parents[2]
    assert [name for name in kept_module._SHOWS if not (package / name).exists()] == []


def test_experiment_and_data_decide_the_identity(tmp_path: Path) -> None:
    experiment = tmp_path / "e.yaml"
    experiment.write_text("a")
    for name in ("philly", "other"):
        (tmp_path / "data" / name).mkdir(parents=True)
        (tmp_path / "data" / name / "trace.csv").write_text("a")

    def identity() -> dict[str, str]:
        return identity_of(experiment, tmp_path / "data", ("philly", "zeus"))

    first = identity()
    assert {"experiment", "data", "code", "python", "numpy", "scipy"} == first.keys()
    (tmp_path / "data" / "other" / "trace.csv").write_text("b")
    assert identity() == first
    (tmp_path / "data" / "philly" / "trace.csv").write_text("b")
    second = identity()
    assert {name for name in first if first[name] != second[name]} == {"data"}
    experiment.write_text("b")
    assert {name for name in first if second[name] != identity()[name]} == {"experiment"}
