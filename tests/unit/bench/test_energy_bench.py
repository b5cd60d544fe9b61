"""The energy benchmark's figures: of Ballast's arm, by seed, without an aim."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ballast.simulate.comparison.arms import Compared
from ballast.simulate.experiments.report import section_of
from ballast.simulate.report.report import Report
from tests.bench import __main__ as benches
from tests.bench import energy_bench
from tests.bench.energy_bench import measurements
from tests.bench.measurement import Aim, Measurement
from tests.unit.simulate.made_up import arm
from tests.unit.simulate.tiny_experiment import Tiny

POLICIES = ("fifo-spread", "per-job-limit", "ballast")
KWH = ((100, 80, 60), (100, 50, 70), (200, 100, 20))


def _lines(tmp_path: Path) -> dict[str, dict[str, object]]:
    plan = Tiny(tmp_path, loads=[0.6], policies=[*POLICIES]).plan
    found = [
        Compared(seed, tuple(arm(p, seed, kwh=kwh) for p, kwh in zip(POLICIES, of_seed, strict=True)), ())
        for seed, of_seed in enumerate(KWH)
    ]
    sections = tuple(section_of(case, found, POLICIES) for case in plan.experiment.cases)
    told = [json.loads(one.line("abc")) for one in measurements(plan, Report("", (), sections))]
    return {line["metric"]: line for line in told}


def test_savings_are_the_median_of_the_seeds(tmp_path: Path) -> None:
    lines = _lines(tmp_path)
    assert lines["saved_percent_vs_fifo_spread_60"]["value"] == pytest.approx(40)  # of 40, 30 and 90
    assert lines["saved_percent_vs_per_job_limit_60"]["value"] == pytest.approx(25)  # of 25, -40 and 80
    assert lines["saved_percent_vs_per_job_limit_60"]["runs"] == 3


def test_both_tables_and_all_figures_are_there(tmp_path: Path) -> None:
    lines = _lines(tmp_path)
    stems = {name.removesuffix("_switch_off") for name in lines}
    assert len(lines) == 2 * len(stems)
    assert stems == {
        *(
            f"{kind}saved_percent_vs_{other}_60"
            for kind in ("", "dynamic_")
            for other in ("fifo_spread", "per_job_limit")
        ),
        *(f"{name}_60" for name in ("slowdown_violations", "deadlines_missed", "mean_waited_seconds")),
        "p95_waited_seconds_60",
    }


def test_no_figure_has_an_aim_yet(tmp_path: Path) -> None:
    for line in _lines(tmp_path).values():
        assert (line["bench"], line["aim"], line["holds"], line["commit"]) == ("energy", None, None, "abc")
        assert "reason" not in line
        assert "mean over seeds" in str(line["note"])


def test_a_rule_of_the_harness_that_is_not_held_is_told(tmp_path: Path) -> None:
    plan = Tiny(tmp_path, loads=[0.6], tables=[{"name": "nodes stay on"}], policies=[*POLICIES]).plan
    found = [Compared(0, tuple(arm(policy, 0) for policy in POLICIES), ())]
    report = Report("", (), (section_of(plan.experiment.cases[0], found, POLICIES),))
    assert all("not held: at least 3 seeds" in one.note for one in measurements(plan, report))


def test_an_aim_is_still_judged() -> None:
    line = json.loads(Measurement("b", "m", "s", Aim("<", 2), [3]).line("abc"))
    assert (line["aim"], line["holds"], line["reason"]) == ("< 2", False, "the runs gave 3 s")


def test_it_runs_the_experiment_and_keeps_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = Tiny(tmp_path, loads=[0.6], tables=[{"name": "nodes stay on"}], policies=[*POLICIES])
    monkeypatch.setattr(energy_bench, "experiment_file", lambda name: tiny.path)
    monkeypatch.setattr(energy_bench, "data_folder", lambda: tiny.data / "zeus")
    metrics = {one.metric: one for one in energy_bench.measure(1, tmp_path / "kept")}
    assert len(metrics) == 8
    assert len(metrics["saved_percent_vs_fifo_spread_60"].runs) == 1
    assert (tmp_path / "kept" / "report.md").exists()
    jobs = tmp_path / "kept" / "nodes-stay-on-60" / "jobs"
    assert {path.name for path in jobs.iterdir()} == {f"{policy}-seed-0.csv.gz" for policy in POLICIES}


def test_it_is_one_of_the_benchmarks() -> None:
    assert "energy" in benches.BENCHES
    assert "ballast simulate" in benches.EXPLAINED
