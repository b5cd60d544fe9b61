"""Drawings: what is on a front, what has which colour, and that all of it is inside the picture."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from frugal.bench import plots
from frugal.bench.comparison import compare
from frugal.bench.plots import Bar, Point, pareto_front
from frugal.bench.records import Phase
from frugal.bench.tables import Kind
from tests.unit.frugal.bench.made_up import interval, trial


def _point(label: str, joules: float, accuracy: float, kind: Kind = Kind.TIME) -> Point:
    return Point(label=label, kind=kind, joules=interval(joules, joules / 10), accuracy=interval(accuracy, 0.01))


def test_the_front_holds_what_no_other_beats_in_both() -> None:
    best = [_point("cheap", 1, 0.7), _point("middle", 2, 0.8), _point("good", 4, 0.9)]
    beaten = [_point("dear", 5, 0.9), _point("bad", 2, 0.79), _point("twin of middle, worse", 3, 0.8)]
    assert pareto_front([*beaten, *reversed(best)]) == best


def test_a_case_with_a_counter_is_drawn_by_it_and_one_without_by_its_estimate() -> None:
    counted = compare([trial("plain", joules=3.0, estimated=9.0, samples=1)])
    modelled = compare([trial("plain", estimated=9.0, samples=1)])
    (by_counter,) = plots.points_of(counted, Phase.INFERENCE, {"plain": "another name"})
    (by_model,) = plots.points_of(modelled, Phase.INFERENCE)
    assert (by_counter.kind, by_counter.joules.mean, by_counter.label) == (Kind.MEASURED, 3.0, "another name")
    assert (by_model.kind, by_model.joules.mean) == (Kind.TIME, 9.0)


def test_every_kind_has_a_colour_of_its_own_in_a_drawing(tmp_path: Path) -> None:
    bars = [
        Bar(
            label="made up",
            savings={
                Kind.MEASURED: interval(30, 3),
                Kind.TIME: interval(20, 3),
                Kind.OPERATIONS: interval(-900, 3),
                Kind.SIMULATED: interval(10),
            },
            claim_percent=30,
        )
    ]
    png, svg = plots.draw_savings(bars, tmp_path / "savings", title="Made up")
    text = svg.read_text()
    assert png.read_bytes().startswith(b"\x89PNG")
    colours = set(re.findall(r"#[0-9a-f]{6}", text))
    assert len(colours & set(plots.COLOURS.values())) == len(Kind)


@pytest.mark.filterwarnings("error")
def test_long_names_leave_the_bars_their_place(tmp_path: Path) -> None:
    name = "a technique of the survey:\n" + "in a variant with many words in its name, " * 4
    plots.draw_savings([Bar(label=name, savings={Kind.TIME: interval(20)})], tmp_path / "savings", title="Made up")


def test_the_same_figures_give_the_same_file(tmp_path: Path) -> None:
    bars = [Bar(label="made up", savings={Kind.TIME: interval(20)})]
    first, second = (plots.draw_savings(bars, tmp_path / name, title="Made up")[1].read_bytes() for name in "ab")
    assert first == second


def test_names_of_points_do_not_lie_on_each_other() -> None:
    cloud = [_point(f"a name of some length {n}", 1 + 0.01 * n, 0.8 + 0.001 * (n % 3)) for n in range(8)]
    boxes = plots.label_boxes(cloud)
    assert len(boxes) == len(cloud)
    assert not any(a.overlaps(b) for n, a in enumerate(boxes) for b in boxes[:n])
