"""The row of the survey's Table 1 that simulations of a cluster fill."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from frugal.bench import survey
from frugal.bench.table1 import Entry
from frugal.bench.table1_sources import read_simulation, with_simulations
from frugal.bench.tables import Kind
from frugal.errors import DataError

ENTRIES = [Entry(row=row, lines=()) for row in survey.ROWS if row.key in ("dvfs", "scheduling")]


def _saving(mean: float, half: float | None) -> dict[str, Any]:
    return {"mean": mean, "half": half, "seeds": 3 if half is not None else 1}


def _policy(name: str, *, half: float | None = 2.0) -> dict[str, Any]:
    return {
        "policy": name,
        "saved_percent": {"dynamic_joules": _saving(12.0, half), "joules": _saving(5.0, half)},
        "figures": {"jobs": {"mean": 200.0}, "slowdown_violations": {"mean": 30.0}},
    }


def _results(folder: Path, *policies: dict[str, Any]) -> Path:
    path = folder / "results.json"
    baseline = {"policy": "fifo-spread", "saved_percent": {"dynamic_joules": None, "joules": None}, "figures": {}}
    section = {"title": "nodes stay on, 80 % load", "baseline": "fifo-spread", "policies": [baseline, *policies]}
    path.write_text(json.dumps({"sections": [section]}))
    return path


def test_the_operators_own_policy_fills_the_row_as_simulated(tmp_path: Path) -> None:
    path = _results(tmp_path, _policy("static-cap"), _policy("ballast"))
    found = {entry.row.key: entry.outside for entry in with_simulations(ENTRIES, read_simulation(path))}
    assert found["dvfs"] == ()
    (one,) = found["scheduling"]
    assert one.name == "ballast against fifo-spread, nodes stay on, 80 % load"
    assert one.verdict.kind is Kind.SIMULATED
    assert (one.saving.low, one.saving.mean, one.saving.high) == (10, 12, 14)


def test_what_all_energy_comes_to_and_who_is_too_slow_is_said(tmp_path: Path) -> None:
    [one] = with_simulations(ENTRIES, read_simulation(_results(tmp_path, _policy("ballast"))))[1].outside
    assert "of all energy 5.0 ± 2.0 %" in one.note
    assert "15 % of the jobs slower than they allow" in one.note


def test_one_seed_gives_no_interval(tmp_path: Path) -> None:
    (one,) = read_simulation(_results(tmp_path, _policy("ballast", half=None)))
    assert (one.dynamic.low, one.dynamic.n) == (None, 1)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "No such file"),
        ("[]", "not the results of a simulation"),
        ('{"sections": []}', "none of ballast"),
    ],
)
def test_a_file_that_holds_no_saving_is_refused_by_name(tmp_path: Path, text: str | None, why: str) -> None:
    path = tmp_path / "other.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(DataError, match=rf"--simulation .*other\.json: {why}.*results\.json of a ballast simulate"):
        read_simulation(path)
