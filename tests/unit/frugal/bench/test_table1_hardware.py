"""Other hardware in the survey's Table 1: by hand, from made-up trials."""

from __future__ import annotations

from dataclasses import replace

import pytest

from frugal.bench import survey
from frugal.bench.records import Trial
from frugal.bench.table1 import Entry, case_name, entries, make_plan
from frugal.bench.table1_hardware import with_hardware
from frugal.bench.tables import Kind
from frugal.config import TrainConfig
from tests.unit.frugal.bench.made_up import trial

ROWS = [row for row in survey.ROWS if row.key in ("hardware", "spiking")]
SPIKING = case_name(*next((row, row.variants[0]) for row in ROWS if row.key == "spiking"))
BASE = "mlp"
DENSE_MACS = 1000.0
FIGURES = {
    "first_layer_macs": 0,
    "synaptic_operations_per_example": 2000.0,
    "neuron_updates_per_example": 100,
    "dense_macs": 1000,
}


def _trials() -> list[Trial]:
    return [
        one
        for seed in range(2)
        for one in (
            trial(BASE, seed=seed, samples=1, flops=2 * DENSE_MACS, size=4000),
            replace(trial(SPIKING, baseline=BASE, seed=seed, accuracy=0.895), figures={"spiking": FIGURES}),
        )
    ]


def _filled(trials: list[Trial]) -> dict[str, Entry]:
    plan = make_plan(TrainConfig(), range(2), device="cpu", rows=ROWS)
    found = entries(trials, plan=plan, device="cpu", count=lambda it: 1.0, rows=ROWS)
    return {entry.row.key: entry for entry in with_hardware(found, trials)}


def test_nearer_memory_saves_the_share_of_the_bytes_that_it_makes_cheaper() -> None:
    near = _filled(_trials())["hardware"].outside[0]
    logic = 1000 * 1.69
    before, after = logic + 4000 * 162.5, logic + 4000 * 3.92 * 8
    assert near.saving.mean == pytest.approx(100 * (1 - after / before))
    assert near.verdict.kind is Kind.OPERATIONS
    assert "mlp, one answer at a time" in near.note


def test_every_line_is_an_estimate() -> None:
    found = [one for entry in _filled(_trials()).values() for one in entry.outside]
    assert {one.verdict.kind for one in found} == {Kind.OPERATIONS}


def test_spikes_on_the_logic_of_their_baseline_are_additions_there() -> None:
    alone, with_weights = _filled(_trials())["spiking"].outside
    spiking, dense = 2000 * 0.9 + 100 * 5.5, 1000 * 4.6
    assert alone.saving.mean == pytest.approx(100 * (1 - spiking / dense))
    read = 4 * 12.5
    assert with_weights.saving.mean == pytest.approx(100 * (1 - (spiking + 2000 * read) / (dense + 1000 * read)))
    assert with_weights.change is not None
    assert with_weights.change.mean == pytest.approx(-0.5)


def test_without_answers_of_a_plain_network_the_row_says_what_to_run() -> None:
    entry = _filled([])["hardware"]
    assert entry.outside == ()
