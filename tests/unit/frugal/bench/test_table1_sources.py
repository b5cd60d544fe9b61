"""Rows of the survey's Table 1 that sweeps and searches fill."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from frugal.bench import survey
from frugal.bench.table1 import Entry
from frugal.bench.table1_sources import (
    read_search,
    read_sweep,
    recorded_sweeps,
    with_searches,
    with_sweeps,
)
from frugal.bench.tables import Kind
from frugal.errors import DataError

PICOJOULES = "published picojoules: 45nm"
ENTRIES = [Entry(row=row, lines=()) for row in survey.ROWS if row.key in ("dvfs", "search")]


def _report(
    folder: Path, *, phase: str = "inference", by: str = "published picojoules: 45nm", won: bool = True
) -> Path:
    best = {
        "tried": {"number": 3, "design": ["architecture,kind=mlp,widths=64"]},
        "saving": {"mean": 85.0, "low": 80.0, "high": 90.0, "n": 3},
        "measured": False,
        "by": by,
        "accuracy_change_points": {"mean": -0.5, "low": -1.0, "high": 0.0, "n": 3},
        "holds": True,
        "command": "frugal train --with architecture,kind=mlp,widths=64",
    }
    path = folder / "report.json"
    path.write_text(json.dumps({"tried": 40, "phase": phase, "best": best if won else None}))
    return path


def test_recorded_sweeps_fill_their_row_and_are_marked_simulated() -> None:
    filled = with_sweeps(ENTRIES, [read_sweep(path) for path in recorded_sweeps()])
    found = {entry.row.key: entry.outside for entry in filled}
    assert found["search"] == ()
    assert {one.verdict.kind for one in found["dvfs"]} == {Kind.SIMULATED}


def test_a_file_that_is_no_sweep_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text("{}")
    with pytest.raises(DataError, match=r"--sweep .*other\.json"):
        read_sweep(path)


@pytest.mark.parametrize(("by", "kind"), [(PICOJOULES, Kind.OPERATIONS), ("CPU time: 3.5 W a busy core", Kind.TIME)])
def test_a_search_fills_its_row_as_the_kind_of_estimate_that_it_is(tmp_path: Path, by: str, kind: Kind) -> None:
    filled = with_searches(ENTRIES, [read_search(_report(tmp_path, by=by))])
    found = {entry.row.key: entry.outside for entry in filled}
    assert found["dvfs"] == ()
    (one,) = found["search"]
    assert one.verdict.kind is kind
    assert one.saving.mean == 85
    assert one.change is not None
    assert one.change.mean == -0.5
    assert "the best of 40" in one.name
    assert "on 3 seeds" in one.note


@pytest.mark.parametrize(("report", "why"), [({"won": False}, "no winner"), ({"phase": "training"}, "about training")])
def test_a_search_without_a_winner_about_inference_is_refused_by_name(
    tmp_path: Path, report: dict[str, Any], why: str
) -> None:
    with pytest.raises(DataError, match=rf"--search .*{why}.*report\.json of a frugal search"):
        read_search(_report(tmp_path, **report))


@pytest.mark.parametrize(("text", "why"), [(None, "No such file"), ("[]", "not the report of a search")])
def test_what_is_no_report_is_refused_by_name(tmp_path: Path, text: str | None, why: str) -> None:
    path = tmp_path / "other.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(DataError, match=rf"--search .*other\.json: .*{why}"):
        read_search(path)
