"""Columns, spans of time and numbers as people read them."""

from __future__ import annotations

import pytest

from ballast.cli.text import ago, signed_percent, span, table, until, visible
from tests.builders import NOW, at


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (41 * 60, "41 min"),
        (3599, "1 h"),
        (3600 + 42 * 60, "1 h 42 min"),
        (86_399, "1 d"),
        (86_400 * 2 + 3 * 3600, "2 d 3 h"),
    ],
)
def test_spans(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_columns_begin_under_each_other_and_no_line_ends_in_blanks() -> None:
    assert table(["A", "LONG", "C"], [["1", "2", ""], ["123", "4", "x"]]) == ["A    LONG  C", "1    2", "123  4     x"]


def test_moments_are_told_with_their_distance() -> None:
    assert ago(at(-90), NOW) == "2027-01-15 07:58:30 UTC (2 min ago)"
    assert ago(at(5), NOW) == "2027-01-15 08:00:05 UTC (0 s ago)"
    assert until(at(90), NOW) == "2027-01-15 08:01:30 UTC (in 2 min)"
    assert until(at(-1), NOW) == "2027-01-15 07:59:59 UTC (due)"


@pytest.mark.parametrize(("value", "text"), [(-14.5, "-14.5 %"), (3.0, "+3 %"), (0.0, "0 %"), (2512.7, "+2512.7 %")])
def test_percents_have_a_sign(value: float, text: str) -> None:
    assert signed_percent(value) == text


def test_a_terminal_is_given_no_orders() -> None:
    assert visible("red \x1b[31m\nand \u202e back") == "red �[31m�and � back"
