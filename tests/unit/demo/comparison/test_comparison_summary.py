"""How the comparison is told."""

from __future__ import annotations

import io

from rich.console import Console

from tests.demo.comparison import summary
from tests.unit.demo.comparison.builders import arm, comparison


def shown(*parts: object) -> str:
    """Return what a terminal would show."""
    out = io.StringIO()
    console = Console(file=out, width=160)
    for part in parts:
        console.print(part)
    return out.getvalue()


def test_both_arms_stand_side_by_side_with_what_changed() -> None:
    rows = shown(summary.table(comparison(ballast=arm("Ballast", joules=800.0, model="A40")))).splitlines()
    told = {row.split("  ")[0]: row.split() for row in rows}
    assert told["energy above idle"][-6:] == ["1.0", "kJ", "0.8", "kJ", "-20.0", "%"]
    assert told["mean time from submission to end"][-2:] == ["+0.0", "%"]
    assert told["where bert-squad ran"][-6:] == ["5", "on", "V100", "5", "on", "A40"]


def test_it_says_that_the_boards_are_simulated() -> None:
    assert "These boards are simulated: their power and speed replay what Zeus measured" in shown(
        *summary.lines(comparison(), measured=True)
    )
    assert "follow a fit" in shown(*summary.lines(comparison(), measured=False))


def test_it_says_when_the_boards_cannot_have_seen_all_the_work() -> None:
    told = shown(*summary.lines(comparison(ballast=arm("Ballast", joules=600.0)), measured=True))
    assert "Ballast: 0.6 kJ is less than any board takes for this work (0.7 kJ)" in told
    assert "is less than" not in shown(*summary.lines(comparison(), measured=True))
