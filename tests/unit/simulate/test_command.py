"""`ballast simulate` from files to results."""

from __future__ import annotations

import csv
import io
import json
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from ballast.simulate.policies.catalogue import POLICIES
from tests.unit.simulate.commanding import files, in_this_process, simulate, without_drawings

_TWO = ("--policy", "fifo-binpack", "--policy", "static-cap")


@dataclass(frozen=True)
class _Simulated:
    """What two policies with two seeds left."""

    out: Path
    shown: str
    told: str


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> _Simulated:
    folder = tmp_path_factory.mktemp("a folder with spaces")
    shown, told = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(shown), redirect_stderr(told):
        in_this_process(patch)
        assert simulate(*files(folder), *_TWO, "--seeds", "2") == 0
    return _Simulated(folder / "out", shown.getvalue(), told.getvalue())


def _json(shown: str) -> dict[str, dict[str, float]]:
    """Means of each policy's figures, of JSON on standard output."""
    (section,) = json.loads(shown)["sections"]
    return {
        entry["policy"]: {name: found and found["mean"] for name, found in entry["figures"].items()}
        for entry in section["policies"]
    }


def test_the_table_is_shown_and_kept(simulated: _Simulated) -> None:
    assert (simulated.out / "table.txt").read_text() == simulated.shown
    assert "fifo-binpack" in simulated.shown


def test_json_csv_page_and_drawings_are_left(simulated: _Simulated) -> None:
    out = simulated.out
    assert {arm["seed"] for arm in json.loads((out / "results.json").read_text())["sections"][0]["arms"]} == {0, 1}
    assert len((out / "arms.csv").read_text().splitlines()) == 1 + 4
    assert (out / "report.html").read_text().count("<svg") == 4
    names = ("joules", "power", "pareto", "waiting-and-slowdown")
    drawings = {f"{name}.{kind}" for name in names for kind in ("png", "svg")}
    others = {"table.txt", "results.json", "arms.csv", "report.html", "jobs"}
    assert {path.name for path in out.iterdir()} == drawings | others


def test_every_job_of_every_arm_has_a_row(simulated: _Simulated) -> None:
    arms = [(policy, str(seed)) for policy in ("fifo-binpack", "static-cap") for seed in (0, 1)]
    jobs = simulated.out / "jobs"
    assert {path.name for path in jobs.iterdir()} == {f"{policy}-seed-{seed}.csv" for policy, seed in arms}
    for policy, seed in arms:
        with (jobs / f"{policy}-seed-{seed}.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert {(row["policy"], row["seed"]) for row in rows} == {(policy, seed)}
        assert sorted(row["name"] for row in rows) == ["a", "b", "c", "d"]


def test_fewer_than_three_seeds_are_told(simulated: _Simulated) -> None:
    assert "NOT HELD: at least 3 seeds (2)" in simulated.shown


def test_curves_that_were_not_measured_are_told_everywhere(simulated: _Simulated) -> None:
    page = (simulated.out / "report.html").read_text()
    for text in (simulated.told, simulated.shown.replace("\n  ", " "), page):
        assert "speed and power are our own parametric fit, not measurements" in text


def test_that_the_prior_knows_the_fitted_curves_is_told(simulated: _Simulated) -> None:
    assert "with --zeus each kind's own rows are left out" in simulated.shown.replace("\n  ", " ")


def test_progress_does_not_go_where_results_go(simulated: _Simulated) -> None:
    assert "4/4 " in simulated.told
    assert "4/4 " not in simulated.shown


def test_own_curves_are_used_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    in_this_process(monkeypatch)
    without_drawings(monkeypatch)
    curves = tmp_path / "curves.csv"
    kinds = ("resnet50-256", "bert-squad-32", "deepspeech2-192", "shufflenet-1024")
    lines = [f"{kind},{model},{limit},1,{limit}" for kind in kinds for model in ("V100", "A40") for limit in (100, 300)]
    curves.write_text("\n".join(["kind,gpu_model,limit_watts,work_per_second,watts", *lines]))
    assert simulate(*files(tmp_path), *_TWO, "--seeds", "1", "--curves", str(curves), "--json") == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["facts"]["curves"] == f"{curves}, measurements of yours"
    assert "parametric fit" not in shown.err
    # Nobody is slowed down by the GPU model, and work is as long as the trace says.
    assert _json(shown.out)["fifo-binpack"]["mean_slowdown_percent"] == pytest.approx(0.0)


def test_grams_and_cost_are_joules_times_the_series(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    in_this_process(monkeypatch)
    without_drawings(monkeypatch)
    for name, value in (("grid.csv", 500), ("tariff.csv", 0.25)):
        (tmp_path / name).write_text(f"time,value\n0,{value}\n")
    series = ("--carbon", str(tmp_path / "grid.csv"), "--price", str(tmp_path / "tariff.csv"))
    assert simulate(*files(tmp_path), "--policy", "fifo-binpack", "--seeds", "1", "--json", *series) == 0
    figures = _json(capsys.readouterr().out)["fifo-binpack"]
    assert figures["grams"] == pytest.approx(figures["joules"] / 3.6e6 * 500)
    assert figures["cost"] == pytest.approx(figures["joules"] / 3.6e6 * 0.25)


@pytest.mark.parametrize("has_carbon", [False, True])
def test_without_policies_named_all_run_for_which_all_is_given(
    has_carbon: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    in_this_process(monkeypatch)
    without_drawings(monkeypatch)
    (tmp_path / "grid.csv").write_text("time,value\n0,500\n")
    series = ("--carbon", str(tmp_path / "grid.csv")) if has_carbon else ()
    assert simulate(*files(tmp_path), "--seeds", "1", "--json", *series) == 0
    assert [*_json(capsys.readouterr().out)] == [name for name in POLICIES if has_carbon or name != "carbon-gate"]


def test_the_same_again_leaves_the_same_bytes(simulated: _Simulated, monkeypatch: pytest.MonkeyPatch) -> None:
    def left() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in simulated.out.rglob("*") if path.is_file()}

    before = left()
    in_this_process(monkeypatch)
    assert simulate(*files(simulated.out.parent), *_TWO, "--seeds", "2") == 0
    after = left()
    assert {path for path in before if before[path] != after.get(path)} == set()
    assert before.keys() == after.keys()
