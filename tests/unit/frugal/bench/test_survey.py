"""The survey's rows: the claims as stated, and cases that can be run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from frugal.bench import survey
from frugal.bench.records import Phase
from frugal.bench.survey import ROWS, Aim, Basis, Claim, Source

_BY_KEY = {row.key: row for row in ROWS}


@pytest.mark.parametrize(
    ("key", "claim"),
    [
        ("dvfs", "≤ 20 %"),
        ("pruning", "≤ 30 %"),
        ("quantization", "≤ 50 %"),
        ("dataset-reduction", "≤ 40 %"),
        ("spiking", "> 60 %"),
        *((key, "variable") for key in ("scheduling", "early-stopping", "accumulation", "augmentation")),
    ],
)
def test_claims_are_those_of_the_survey(key: str, claim: str) -> None:
    assert str(_BY_KEY[key].claim) == claim


def test_every_other_row_claims_nothing() -> None:
    claimed = {key for key, row in _BY_KEY.items() if row.claim != Claim()}
    assert len(claimed) == 9
    assert {str(row.claim) for key, row in _BY_KEY.items() if key not in claimed} == {"none"}


@pytest.mark.parametrize(
    ("key", "aim", "phase"),
    [
        ("pruning", "≥ 30 %", Phase.INFERENCE),
        ("quantization", "≥ 50 %", Phase.INFERENCE),
        ("dataset-reduction", "≥ 40 %", Phase.TRAINING),
        ("distillation", "≥ 50 %", Phase.INFERENCE),
        ("dvfs", "≥ 20 % (simulated NVML)", Phase.TRAINING),
        ("spiking", "> 60 % (estimate)", Phase.INFERENCE),
        ("stack", "≥ 80 %", Phase.INFERENCE),
    ],
)
def test_aims_are_ours_in_their_phase(key: str, aim: str, phase: Phase) -> None:
    assert (str(_BY_KEY[key].aim), _BY_KEY[key].phase) == (aim, phase)


def test_an_aim_of_more_than_is_not_reached_by_just_as_much() -> None:
    strict = Aim(percent=60, above=True, basis=Basis.OPERATIONS)
    assert (strict.reached(60), strict.reached(60.1)) == (False, True)
    assert replace(strict, above=False).reached(60)


def test_a_row_has_cases_or_says_what_is_missing_and_where_it_comes_from() -> None:
    for row in ROWS:
        assert bool(row.variants) == (row.source is Source.TRIALS), row.key
        assert bool(row.missing) != bool(row.variants), row.key
    assert len(_BY_KEY) == len(ROWS)


def test_a_row_judged_at_all_has_a_headline_that_runs_without_a_gpu() -> None:
    assert all("cpu" in row.variants[0].devices for row in ROWS if row.variants)


@pytest.mark.parametrize("device", survey.SETUPS)
def test_bases_of_one_name_are_one_training(device: str) -> None:
    bases = survey.SETUPS[device].bases.values()
    assert len({base.name for base in bases}) == len({repr(base) for base in bases})
