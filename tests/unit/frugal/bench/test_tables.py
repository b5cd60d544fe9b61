"""Comparisons as text: aligned, or markdown; measured and estimated apart."""

from __future__ import annotations

from dataclasses import replace

import pytest

from frugal.bench.comparison import compare
from frugal.bench.records import Phase
from frugal.bench.tables import Column, percent, points, render, short, table, width
from tests.unit.frugal.bench.made_up import interval, trial

_COLUMNS = (Column(heading="name"), Column(heading="figure", numeric=True))


def test_numbers_are_set_right_and_words_left() -> None:
    lines = table(_COLUMNS, [("a", "1"), ("long one", "1 000")]).splitlines()
    assert lines == ["name      figure", "────────  ──────", "a              1", "long one   1 000"]


def test_combining_and_wide_characters_do_not_shift_a_column() -> None:
    lines = table(_COLUMNS, [("e\u0301", "1"), ("全", "2")]).splitlines()
    assert {width(line) for line in lines} == {len("name  figure")}


def test_a_bar_in_a_cell_does_not_end_a_markdown_cell() -> None:
    assert table(_COLUMNS, [("a|b", "1")], markdown=True).splitlines() == [
        "| name | figure |",
        "| --- | --: |",
        "| a\\|b | 1 |",
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.5, "0.50"), (12.34, "12.3"), (999, "999"), (999.7, "1.00 k"), (12_345, "12.3 k"), (2.5e9, "2.50 G")],
)
def test_large_numbers_get_three_digits_and_a_letter(value: float, text: str) -> None:
    assert short(value).replace("1 k", "1.00 k") == text


def test_an_interval_is_told_with_its_half_width_and_one_seed_without() -> None:
    assert percent(interval(41.23, 2.96)) == "41.2 ± 3.0 %"
    assert percent(interval(-12.0)) == "-12.0 %"
    assert points(interval(-0.01, 0.5)) == "+0.0 ± 0.5"
    assert (percent(None), points(None)) == ("-", "-")


def test_measured_and_estimated_have_columns_of_their_own() -> None:
    trials = [trial("plain", estimated=2.0), trial("frugal", baseline="plain", estimated=1.0)]
    header, _, _, frugal, *notes = render(compare(trials)).splitlines()
    start = header.index("estimated saving")
    assert frugal[:start].rstrip().endswith("-")
    assert "50.0 %" in frugal[start:]
    assert "No energy counter here: nothing is measured in joules." in notes
    assert "Estimated by made-up model." in notes


def test_energy_to_the_target_accuracy_is_told_where_one_was_set() -> None:
    plain = trial("plain", phase=Phase.TRAINING, estimated=2.0)
    quick = trial("quick", phase=Phase.TRAINING, baseline="plain", estimated=1.0)
    assert "target" not in render(compare([plain, quick]))
    reached = [replace(it, to_accuracy=it.energy) for it in (plain, quick)]
    late = trial("late", phase=Phase.TRAINING, baseline="plain")
    notes = render(compare([*reached, late])).splitlines()
    assert "Energy to the target accuracy, quick: saves 50.0 %, estimated." in notes
    assert "Energy to the target accuracy, late: no figure: not all pairs reached it (0 of its own seeds)." in notes


def test_a_measurement_names_its_counter() -> None:
    trials = [trial("plain", joules=2.0), trial("frugal", baseline="plain", joules=1.5)]
    text = render(compare(trials), markdown=True)
    assert "| frugal | inference | 25.0 % | 0.0 % |" in text
    assert "- Measured by made-up counter." in text
