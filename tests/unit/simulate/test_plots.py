"""Drawings: what is on a front, who has which line, and that nothing lies on something else or outside."""

from __future__ import annotations

import re
from pathlib import Path

from ballast.simulate.report import plots
from tests.unit.simulate.made_up import comparison

_MANY = {f"a-policy-of-some-length-{n}": (100.0 + n / 10, 103.0 + n / 10) for n in range(11)}


def test_a_front_holds_what_nothing_else_beats_in_both() -> None:
    assert plots.front([(3, 1), (1, 3), (2, 2), (2, 3), (3, 3), (2, 2)]) == [(1, 3), (2, 2), (3, 1)]


def test_no_two_policies_look_the_same() -> None:
    made = comparison({f"p{n}": (1.0,) for n in range(28)})
    looks = plots.styles(made).values()
    assert len({(look.colour, str(look.dashes)) for look in looks}) == 28


def test_every_drawing_is_written_as_png_and_svg_the_same_each_time(tmp_path: Path) -> None:
    made = comparison({"base": (100.0, 120.0), "new": (80.0, 90.0)}, keeps=("new",))
    first = plots.save(made, tmp_path, "a-")
    assert len(first) == 2 * len(plots.DRAWINGS)
    second = plots.save(made, tmp_path, "b-")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_names_on_the_pareto_front_do_not_lie_on_each_other() -> None:
    boxes = plots.label_boxes(comparison(_MANY))
    assert len(boxes) == len(_MANY)
    assert not any(a.overlaps(b) for n, a in enumerate(boxes) for b in boxes[:n])


def test_no_axis_of_the_pareto_front_goes_below_zero_however_wide_an_interval_is() -> None:
    made = comparison({"base": (1.0, 1000.0), "other": (2.0, 900.0)})
    half = made.entries[0].mean(lambda summary: summary.joules)
    assert half is not None
    assert half.half is not None
    assert half.half > half.mean
    (axes,) = plots.pareto(made).axes
    assert axes.get_xlim()[0] >= 0
    assert axes.get_ylim()[0] == 0


def test_figures_beside_the_bars_lie_inside_the_picture() -> None:
    figure = plots.joules(comparison({"base": (100.0, 900.0), "other": (90.0, 1200.0)}))
    figure.draw_without_rendering()
    (axes,) = figure.axes
    assert all(text.get_window_extent().x1 <= axes.bbox.x1 for text in axes.texts)


def test_power_of_every_panel_fits_its_axis_from_zero() -> None:
    figure = plots.power(comparison(_MANY))
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert len(shown) == len(_MANY)
    for axes in shown:
        low, high = axes.get_ylim()
        assert low == 0
        assert high > 9.0  # kilowatts, the made-up peak


def test_names_inside_svg_elements_of_a_page_are_their_own() -> None:
    made = comparison({"base": (100.0,), "new": (80.0,)})
    one, two = (plots.inline_svg(plots.pareto, made, prefix) for prefix in ("s0", "s1"))
    ids = [set(re.findall(r'\bid="([^"]+)"', text)) for text in (one, two)]
    assert ids[0]
    assert not ids[0] & ids[1]
    assert set(re.findall(r"url\(#([^)]+)\)", one)) <= ids[0]
    assert set(re.findall(r'href="#([^"]+)"', one)) <= ids[0]
