"""Comparisons as drawings: savings as bars with their intervals, and accuracy over joules with the Pareto front.

What must hold: measured and estimated joules never have the same colour and never lie on one front; a value outside
the axis is written at its edge instead of being cut off in silence. Every drawing is saved as PNG and SVG, without a
display and without matplotlib's global state.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox, BboxBase

from frugal.bench.comparison import Comparison, Interval
from frugal.bench.records import Phase
from frugal.bench.tables import Kind

FLOOR_PERCENT = -100.0  # the axis ends here: a technique may cost many times its baseline
_FORMATS = ("png", "svg")
_SETTINGS: Any = {"svg.hashsalt": "frugal", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
_ROW_INCHES = 0.2
_LABEL_CHARACTERS = 44
_INK = "#30343b"
_GREY = "#666a70"
_DPI = 150
_MARKER = 16.0  # edge of a marker with some air, in pixels
_NEAR = 11  # points; a label further off gets a line to its marker
_SHIFTS = tuple(
    (side * (6 + reach // 3), rise * (5 + reach) - (6 if rise < 0 else 0))
    for reach in (0, 13, 26, 39, 52, 65, 80, 100, 120)
    for rise in (1, -1)
    for side in (1, -1)
)


COLOURS = {Kind.MEASURED: "#1b7f5c", Kind.TIME: "#d98e2b", Kind.OPERATIONS: "#6a7fc1", Kind.SIMULATED: "#b65c8a"}
_HATCHES = {Kind.MEASURED: "", Kind.TIME: "///", Kind.OPERATIONS: "...", Kind.SIMULATED: "xxx"}
_MARKERS = {Kind.MEASURED: "o", Kind.TIME: "s", Kind.OPERATIONS: "D", Kind.SIMULATED: "^"}


@dataclass(frozen=True, kw_only=True)
class Bar:
    """What one case saves.

    Attributes:
        savings: In percent, by what they rest on.
        claim_percent: What somebody claims, drawn as a line across the case's bars.
    """

    label: str
    savings: dict[Kind, Interval]
    claim_percent: float | None = None


@dataclass(frozen=True, kw_only=True)
class Point:
    """What one case costs and how good it is.

    Attributes:
        joules: Of a whole training, or of one answer.
        accuracy: 0 to 1.
    """

    label: str
    kind: Kind
    joules: Interval
    accuracy: Interval


def bars_of(comparisons: Iterable[Comparison], phase: Phase) -> list[Bar]:
    """A bar for each case of ``phase`` that saves or costs something."""
    found = []
    for entry in comparisons:
        both = {Kind.MEASURED: entry.measured_saving, Kind.TIME: entry.estimated_saving}
        savings = {kind: interval for kind, interval in both.items() if interval is not None}
        if entry.phase is phase and savings:
            found.append(Bar(label=entry.case, savings=savings))
    return found


def points_of(comparisons: Iterable[Comparison], phase: Phase, names: Mapping[str, str] | None = None) -> list[Point]:
    """A point for each case of ``phase``: by measured joules where there are some, else by estimated ones.

    Args:
        comparisons: Cases in all phases.
        phase: Which to draw.
        names: Other names for cases, for a drawing.
    """
    found = []
    for entry in comparisons:
        kind = Kind.TIME if entry.measured_joules is None else Kind.MEASURED
        joules = entry.measured_joules or entry.estimated_joules
        if entry.phase is phase and joules is not None:
            label = (names or {}).get(entry.case, entry.case)
            found.append(Point(label=label, kind=kind, joules=joules, accuracy=entry.accuracy))
    return found


def pareto_front(points: Sequence[Point]) -> list[Point]:
    """Those that no other beats in both joules and accuracy, by rising joules."""
    front: list[Point] = []
    for point in sorted(points, key=lambda point: (point.joules.mean, -point.accuracy.mean)):
        if not front or point.accuracy.mean > front[-1].accuracy.mean:
            front.append(point)
    return front


def draw_savings(bars: Sequence[Bar], stem: Path, *, title: str, footnote: str = "") -> list[Path]:
    """Horizontal bars, one for each kind of figure a case has; returns what was written beside ``stem``."""
    with mpl.rc_context(_SETTINGS):
        labels = [_wrapped(bar.label) for bar in bars]
        heights = [max(len(bar.savings), label.count("\n")) for bar, label in zip(bars, labels, strict=True)]
        rows = sum(height + 1 for height in heights)
        figure = Figure(dpi=_DPI, figsize=(8.4, 1.5 + _ROW_INCHES * max(rows, 8)), layout="constrained")
        axes = figure.add_subplot()
        low = max(FLOOR_PERCENT, min((_lowest(bar) for bar in bars), default=0.0) - 8)
        axes.set_xlim(min(low, -8), 112)
        ticks, claimed = [], False
        top = 0.0
        for bar, height in zip(bars, heights, strict=True):
            first = top + (height - len(bar.savings)) / 2  # in the middle of a label that takes more rows
            last = first + len(bar.savings) - 1
            for place, kind in enumerate(kind for kind in Kind if kind in bar.savings):
                _draw_bar(axes, first + place, kind, bar.savings[kind])
            ticks.append((first + last) / 2)
            if bar.claim_percent is not None:
                axes.vlines(bar.claim_percent, first - 0.75, last + 0.75, color=_INK, linewidth=1.6, zorder=4)
                claimed = True
            top += height + 1
        axes.set_ylim(max(top, 1) - 0.9, -0.9)
        axes.set_yticks(ticks, labels)
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel("energy saved against the paired baseline, % (below 0: it costs more)")
        axes.axvline(0, color=_INK, linewidth=0.8)
        axes.grid(axis="x", color="#e3e5e8", zorder=0)
        axes.set_axisbelow(True)
        kinds = {kind for bar in bars for kind in bar.savings}
        for kind in (kind for kind in Kind if kind in kinds):
            axes.bar([0], [0], color=COLOURS[kind], hatch=_HATCHES[kind], edgecolor="white", linewidth=0, label=kind)
        if claimed:
            axes.plot([], [], color=_INK, linewidth=1.6, label="claimed by the survey")
        _caption(figure, axes, title, footnote)
        return _save(figure, stem)


def _wrapped(label: str) -> str:
    """In lines that leave the bars their half of the drawing."""
    return "\n".join(part for line in label.splitlines() for part in textwrap.wrap(line, _LABEL_CHARACTERS))


def draw_pareto(points: Sequence[Point], stem: Path, *, title: str, phase: Phase, footnote: str = "") -> list[Path]:
    """Accuracy over joules, with a front for each kind of figure; returns what was written beside ``stem``."""
    with mpl.rc_context(_SETTINGS):
        figure, _ = _pareto(points, title, phase, footnote)
        return _save(figure, stem)


def label_boxes(points: Sequence[Point]) -> list[Bbox]:
    """Where `draw_pareto` puts the points' names, in pixels."""
    with mpl.rc_context(_SETTINGS):
        return _pareto(points, "", Phase.INFERENCE, "")[1]


def _pareto(points: Sequence[Point], title: str, phase: Phase, footnote: str) -> tuple[Figure, list[Bbox]]:
    figure = Figure(dpi=_DPI, figsize=(8.4, 5.6), layout="constrained")
    axes = figure.add_subplot()
    fronts: set[str] = set()
    lines: list[list[Point]] = []
    for kind in Kind:
        own = [point for point in points if point.kind is kind]
        if not own:
            continue
        front = pareto_front(own)
        fronts |= {point.label for point in front}
        lines.append(front)
        axes.step(
            [point.joules.mean for point in front],
            [100 * point.accuracy.mean for point in front],
            where="post",
            color=COLOURS[kind],
            linewidth=1.2,
            linestyle="-" if kind is Kind.MEASURED else "--",
            marker=_MARKERS[kind],
            label=f"{kind} (filled: the Pareto front)",
            zorder=2,
        )
        for point in own:
            _draw_point(axes, point, on_front=point in front)
    if points and max(p.joules.mean for p in points) > 8 * min(p.joules.mean for p in points):
        axes.set_xscale("log")
    per = "of one training" if phase is Phase.TRAINING else "for one answer"
    axes.set_xlabel(f"energy {per}, J")
    axes.set_ylabel("accuracy on held-out data, %")
    axes.grid(color="#e3e5e8", zorder=0)
    axes.margins(x=0.2, y=0.14)
    _caption(figure, axes, title, footnote)
    return figure, _place_labels(figure, axes, points, lines, fronts)


def _lowest(bar: Bar) -> float:
    return min(interval.mean if interval.low is None else interval.low for interval in bar.savings.values())


def _draw_bar(axes: Axes, place: float, kind: Kind, saving: Interval) -> None:
    left, right = axes.get_xlim()
    mean = max(saving.mean, left)
    axes.barh(
        place, mean, height=0.86, color=COLOURS[kind], hatch=_HATCHES[kind], edgecolor="white", linewidth=0, zorder=3
    )
    end = mean
    if saving.low is not None and saving.high is not None and saving.mean >= left:
        bounds = [[saving.mean - max(saving.low, left)], [min(saving.high, right) - saving.mean]]
        axes.errorbar(saving.mean, place, xerr=bounds, fmt="none", ecolor=_INK, elinewidth=0.9, capsize=2, zorder=5)
        end = min(saving.high, right) if saving.mean >= 0 else max(saving.low, left)
    beyond = saving.mean < left
    text = f"{'◀ ' if beyond else ''}{saving.mean:.0f}"
    # A label of a bar to the left stands right of the axis' zero: the bar and its interval have the other side.
    place_x, shift = (end, 3) if saving.mean >= 0 else (max(0.0, saving.high or 0.0), 3)
    axes.annotate(
        text,
        (place_x, place),
        (shift, 0),
        textcoords="offset points",
        va="center",
        fontsize=7.5,
        color=_INK,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},  # above a claim's line
        zorder=6,
    )


def _draw_point(axes: Axes, point: Point, *, on_front: bool) -> None:
    x, y = point.joules, point.accuracy
    colour = COLOURS[point.kind]
    axes.errorbar(
        x.mean,
        100 * y.mean,
        xerr=_half(x, 1, most=0.95 * x.mean),
        yerr=_half(y, 100, most=None),
        fmt=_MARKERS[point.kind],
        markersize=6,
        markerfacecolor=colour if on_front else "white",
        markeredgecolor=colour,
        ecolor=colour,
        elinewidth=0.7,
        alpha=1.0 if on_front else 0.8,
        zorder=4 if on_front else 3,
    )


def _half(interval: Interval, scale: float, most: float | None) -> float | None:
    """Half the interval's width; at most ``most``, as nothing costs less than no joules."""
    if interval.half_width is None:
        return None
    half = scale * interval.half_width
    return half if most is None else min(half, most)


def _caption(figure: Figure, axes: Axes, title: str, footnote: str) -> None:
    lines = textwrap.wrap(footnote, 130)
    axes.set_title(title, loc="left", fontweight="bold", fontsize=10, pad=6 + 10 * len(lines))
    axes.annotate(
        "\n".join(lines), (0, 1), (0, 4), xycoords="axes fraction", textcoords="offset points", fontsize=7, color=_GREY
    )
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=8)


def _place_labels(
    figure: Figure, axes: Axes, points: Sequence[Point], lines: Sequence[Sequence[Point]], fronts: set[str]
) -> list[Bbox]:
    """Each label where it hides least: other labels first of all, then markers and fronts; returns their boxes."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # what is placed now stays there
    spots = {id(point): _spot(axes, point) for point in points}
    ink = [Bbox.from_bounds(x - _MARKER / 2, y - _MARKER / 2, _MARKER, _MARKER) for x, y in spots.values()]
    for line in lines:
        for (x0, y0), (x1, y1) in pairwise(spots[id(point)] for point in line):
            ink += [Bbox.from_extents(x0, y0 - 1, x1, y0 + 1), Bbox.from_extents(x1 - 1, y0, x1 + 1, y1)]
    placed: list[Bbox] = []
    for point in sorted(points, key=lambda point: point.label not in fronts):
        label = _annotate(axes, point, on_front=point.label in fronts)
        box = label.get_window_extent()
        candidates = [(shift, _shifted(box, spots[id(point)], shift)) for shift in _SHIFTS]
        shift, box = min(candidates, key=lambda candidate: _hides(candidate[1], placed, ink, axes.bbox))
        label.set_position(shift)
        label.set_horizontalalignment("left" if shift[0] > 0 else "right")
        if abs(shift[1]) > _NEAR:
            axes.annotate(
                "",
                (point.joules.mean, 100 * point.accuracy.mean),
                (shift[0], shift[1] + 3),
                textcoords="offset points",
                arrowprops={"arrowstyle": "-", "color": "#9aa0a6", "linewidth": 0.6, "shrinkA": 0},
                zorder=1,
            )
        placed.append(box)
    return placed


def _hides(box: Bbox, labels: Sequence[Bbox], ink: Sequence[Bbox], frame: BboxBase) -> tuple[bool, int, int]:
    outside = box.x0 < frame.x0 or box.x1 > frame.x1 or box.y0 < frame.y0 or box.y1 > frame.y1
    return outside, sum(box.overlaps(label) for label in labels), sum(box.overlaps(one) for one in ink)


def _shifted(box: Bbox, spot: tuple[float, float], shift: tuple[int, int]) -> Bbox:
    """Where ``box``, a label drawn at its point itself, lies once it is set off by ``shift`` points."""
    x, y = (_DPI / 72 * distance for distance in shift)
    left = spot[0] + x - (box.width if shift[0] < 0 else 0.0)
    return Bbox.from_bounds(left, box.y0 + y, box.width, box.height)


def _annotate(axes: Axes, point: Point, *, on_front: bool) -> Annotation:
    return axes.annotate(
        point.label,
        (point.joules.mean, 100 * point.accuracy.mean),
        (0, 0),
        textcoords="offset points",
        fontsize=7.5,
        fontweight="bold" if on_front else "normal",
        color=_INK,
        zorder=6,
    )


def _spot(axes: Axes, point: Point) -> tuple[float, float]:
    x, y = axes.transData.transform((point.joules.mean, 100 * point.accuracy.mean))
    return float(x), float(y)


def _save(figure: Figure, stem: Path) -> list[Path]:
    stem.parent.mkdir(parents=True, exist_ok=True)
    written = []
    for suffix in _FORMATS:
        path = stem.with_name(f"{stem.name}.{suffix}")
        # A drawing of the same figures is the same file: no date, and fixed names inside the SVG.
        figure.savefig(path, dpi=_DPI, metadata={"Date": None} if suffix == "svg" else {})
        written.append(path)
    return written
