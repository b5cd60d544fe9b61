"""The survey's Table 1 as people read it, from made-up trials."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from frugal.bench import survey, table1_report
from frugal.bench.comparison import compare
from frugal.bench.environment import Environment
from frugal.bench.records import Trial
from frugal.bench.table1 import Entry, case_name, entries, make_plan
from frugal.bench.table1_report import Header, to_json, to_text
from frugal.config import TrainConfig
from tests.unit.frugal.bench.made_up import trial

_ROWS = [row for row in survey.ROWS if row.key in ("pruning", "dvfs", "scheduling")]
_PRUNED = case_name(_ROWS[0], _ROWS[0].variants[0])
_HEADER = Header(
    environment=Environment(
        plan={},
        procedure={},
        hardware={"cpu": "made-up CPU", "cores": 2.0, "device": "cpu", "gpu": None},
        software={"torch": "0.0"},
        meter={"measured_by": None, "estimated_by": "made-up model"},
        commits=("0123456789abcdef",),
    ),
    data="made up",
    operations_by="made-up picojoules",
    seeds=(0, 1, 2),
    trials=(6, 6),
    seconds=120.0,
    made="2000-01-01 00:00 UTC",
)


def _trials() -> list[Trial]:
    return [
        trial(case, baseline=baseline, seed=seed, estimated=cost * (1 + 0.01 * seed * (baseline is None)))
        for seed in range(3)
        for case, baseline, cost in (("wide mlp", None, 2.0), (_PRUNED, "wide mlp", 1.0))
    ]


def _entries() -> list[Entry]:
    plan = make_plan(TrainConfig(), range(3), device="cpu", rows=_ROWS)
    return entries(_trials(), plan=plan, device="cpu", count=lambda it: 1.0, rows=_ROWS)


def test_seeds_that_failed_are_told() -> None:
    whole, fewer = _entries(), replace(_HEADER, seeds=(0, 1, 2, 3))
    assert "seeds: estimate" not in to_text(whole, _HEADER)
    assert ", 3 of 4 seeds: estimate t: contradicts" in to_text(whole, fewer)


def test_a_contradicted_claim_is_said_in_words_with_what_it_rests_on() -> None:
    text = to_text(_entries(), _HEADER)
    assert "estimate t: contradicts: saves 50 %, more than the 30 % claimed as the most" in text
    assert "aim ≥ 30 % reached" in text
    assert "estimate o: open: neither saves nor costs anything; aim ≥ 30 % missed: saves 0 %" in text


def test_an_estimate_stands_in_no_other_column() -> None:
    lines = to_text(_entries(), _HEADER, markdown=True).splitlines()
    names, cells = (
        [cell.strip() for cell in next(line for line in lines if line.startswith(f"| {first}")).split("|")]
        for first in ("technique", "· half of the units")
    )
    figures = dict(zip(names, cells, strict=True))
    assert figures["estimate t"].startswith("50.")
    assert figures["estimate o"].startswith("0.0")
    assert figures["measured"] == figures["simulated"] == "-"


def test_a_row_without_a_figure_says_what_is_missing() -> None:
    text = to_text(_entries(), _HEADER)
    assert "not yet: comes from the simulator's benchmark, of policies on a trace of jobs: ballast simulate" in text


def test_the_header_names_machine_commit_versions_seeds_and_both_models() -> None:
    text = to_text(_entries(), _HEADER)
    for part in ("made-up CPU, 2 cores", "0123456789abcdef", "torch 0.0", "0, 1, 2", "made-up model"):
        assert part in text
    assert "nothing: this machine has no energy counter" in text
    assert "made-up picojoules" in text


def test_json_has_the_same_figures_as_values() -> None:
    stored = json.loads(to_json(_entries(), _HEADER))
    pruning = next(row for row in stored["rows"] if row["key"] == "pruning")
    (line,) = pruning["lines"]
    assert line["savings_percent"]["time"]["mean"] == pytest.approx(50, abs=1)
    assert line["with"] == ["pruning,structure=channels,sparsity=0.5"]
    assert [verdict["aim_reached"] for verdict in line["verdicts"]] == [True, False]
    assert stored["header"]["environment"]["hardware"]["cpu"] == "made-up CPU"


def test_markdown_shows_every_drawing_that_was_made(tmp_path: Path) -> None:
    some = [replace(entry, lines=entry.lines[:1]) for entry in _entries()]
    paths = table1_report.write(some, _HEADER, compare(_trials()), tmp_path)
    text = (tmp_path / "table1.md").read_text()
    assert {path.name for path in paths} == {path.name for path in tmp_path.iterdir()}
    drawings = {path.name for path in paths if path.suffix == ".svg"}
    assert drawings == {"savings-inference.svg", "pareto-inference.svg"}
    assert all(f"({name})" in text for name in drawings)
