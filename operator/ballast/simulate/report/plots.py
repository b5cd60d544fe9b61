"""A simulation as drawings: joules by what they went into, power over time, waiting and slowdown, the Pareto front.

What must hold: in every drawing a policy has the same colour and line; colours differ for colour-blind eyes too and
never alone tell things apart; axes of bars and of power begin at 0. Every drawing is the same file for the same
figures, and is made without a display and without matplotlib's global state.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from ballast.simulate.comparison.comparison import Comparison, Entry
from ballast.simulate.engine.outcome import JobRow, quantile
from ballast.simulate.report.plot_labels import name_spots
from ballast.simulate.report.units import Quantity, Unit

_SETTINGS: Any = {
    "svg.hashsalt": "ballast",
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#666a70",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e3e5e8",
    "legend.frameon": False,
    "legend.fontsize": 8,
}
FORMATS = ("png", "svg")
_DPI = 150
_WIDTH = 8.6  # inches
_INK = "#30343b"
_GREY = "#9aa0a6"

# Okabe and Ito, "Color Universal Design", 2008; without their yellow, which vanishes on white.
_COLOURS = ("#000000", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
_DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (5, 1.5, 1.2, 1.5)))
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_PARTS = (
    ("dynamic: jobs, above idle", "dynamic_joules", "#d55e00", ""),
    ("idle power of GPUs", "idle_joules", "#56b4e9", "///"),
    ("base of nodes", "base_joules", "#c3c7cc", ""),
    ("boots", "boot_joules", "#000000", ""),
)
_QUANTILES = 200
_SLOWEST_PERCENT = 150.0  # slowdowns beyond are drawn at the axis' end
_PANELS = 3  # in a row
_TIMES = {"s": "seconds", "min": "minutes", "h": "hours"}


@dataclass(frozen=True, slots=True)
class Style:
    """How a policy looks in all drawings."""

    colour: str
    dashes: Any
    marker: str


def styles(comparison: Comparison) -> dict[str, Style]:
    """One for each policy; the next seven have other lines, so that 28 can be told apart."""
    return {
        entry.policy: Style(
            _COLOURS[n % len(_COLOURS)],
            _DASHES[(n % len(_COLOURS) + n // len(_COLOURS)) % len(_DASHES)],
            _MARKERS[(n % len(_COLOURS) + n // len(_COLOURS)) % len(_MARKERS)],
        )
        for n, entry in enumerate(comparison.entries)
    }


def joules(comparison: Comparison, title: str = "Energy") -> Figure:
    """A bar for each policy, stacked by what the joules were spent on, in the groups of the tables."""
    rows = sum(len(entries) for _, entries in comparison.groups)
    figure = _figure(0.34 * (rows + len(comparison.groups)) + 1.5)
    axes = figure.add_subplot()
    found = [total for entry in comparison.entries if (total := entry.mean(lambda s: s.joules))]
    totals = [total.mean for total in found]
    unit = Unit.of(Quantity.ENERGY, totals)
    places: dict[float, str] = {}
    place = 0.0
    for heading, entries in comparison.groups:
        axes.annotate(
            heading, (0, place), (2, -2), textcoords="offset points", fontsize=8, color=_INK, fontstyle="italic"
        )
        for entry in entries:
            place += 1
            places[place] = entry.policy
            _stack(axes, place, entry, unit)
        place += 1.15
    shown = [part for part in _PARTS if any(getattr(a.summary, part[1]) for e in comparison.entries for a in e.arms)]
    for label, _, colour, hatch in shown:
        axes.barh([0], [0], color=colour, hatch=hatch, edgecolor="white", linewidth=0, label=label)
    axes.set_ylim(place - 0.4, -0.7)
    longest = max(total.mean + (total.half or 0.0) for total in found)
    axes.set_xlim(0, 1.32 * longest / unit.size)  # room for the figures
    axes.set_yticks(list(places), list(places.values()))
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(f"energy until the last job of any arm ended, {unit.name} (saved against the baseline)")
    _entitle(figure, title)
    figure.legend(loc="outside lower center", ncols=len(shown))
    return figure


def power(comparison: Comparison, title: str = "Power over time") -> Figure:
    """A panel for each policy, all with the same axes and the baseline behind; of the lowest seed that all have."""
    common = set(comparison.seeds).intersection(*(entry.seeds for entry in comparison.entries))
    seed = min(common, default=None)
    arms = {
        e.policy: next((a for a in e.arms if seed is None or a.summary.seed == seed), e.arms[0])
        for e in comparison.entries
    }
    watts = Unit.of(Quantity.POWER, [max(arm.power.watts) for arm in arms.values()])
    times = Unit.of(Quantity.TIME, [len(arm.power.watts) * arm.power.span_seconds for arm in arms.values()])
    days = times.name == "h" and max(len(a.power.watts) * a.power.span_seconds for a in arms.values()) > 4 * 86_400
    second, time_name = (86_400.0, "days") if days else (times.size, _TIMES[times.name])
    columns = min(_PANELS, len(arms))
    rows = math.ceil(len(arms) / columns)
    figure = _figure(1.55 * rows + 1.0)
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flatten()
    back = arms.get(comparison.baseline)
    look = styles(comparison)
    for axes, (policy, arm) in zip(panels, arms.items(), strict=False):
        if back is not None and back is not arm:
            axes.stairs(
                [w / watts.size for w in back.power.watts],
                _edges(back, second),
                color=_GREY,
                linewidth=0.8,
                baseline=None,
            )
        axes.stairs(
            [w / watts.size for w in arm.power.watts],
            _edges(arm, second),
            color=look[policy].colour,
            baseline=None,
            linewidth=0.9,
        )
        axes.set_title(policy, loc="left", fontsize=8, pad=3)
        axes.margins(x=0)
    for axes in panels[len(arms) :]:
        axes.set_visible(False)
    for n, axes in enumerate(panels[: len(arms)]):
        if n + columns >= len(arms):
            axes.tick_params(labelbottom=True)
    panels[0].set_ylim(0, 1.06 * max(max(arm.power.watts) for arm in arms.values()) / watts.size)  # of all: shared
    of_seed = f", seed {seed}" if seed is not None and len(comparison.seeds) > 1 else ""
    figure.supxlabel(f"{time_name} since the trace began{of_seed}; grey: {comparison.baseline}", fontsize=9)
    figure.supylabel(f"power of the cluster, {watts.name}", fontsize=9)
    _entitle(figure, title)
    return figure


def waiting_and_slowdown(comparison: Comparison, title: str = "Waiting and slowdown") -> Figure:
    """What share of the jobs, of all seeds together, waited and was slowed down at most so much."""
    figure = _figure(3.9 + 0.17 * math.ceil(len(comparison.entries) / 3))
    left, right = figure.subplots(1, 2, sharey=True)
    look = styles(comparison)
    waited = {entry.policy: _rows(entry, lambda row: row.waited_seconds) for entry in comparison.entries}
    longest = max(max(values) for values in waited.values())
    unit = Unit.of(Quantity.TIME, [longest])
    for policy, values in waited.items():
        _cumulate(left, [value / unit.size for value in values], look[policy], policy)
    minute = 60 / unit.size
    left.set_xscale("symlog", linthresh=minute, linscale=0.5)
    left.set_xlim(0, max(1.1 * longest / unit.size, 2 * minute))
    _mark_times(left, longest, unit)
    left.set_xlabel("time that a job waited, at most")
    left.set_ylabel("share of jobs, %")
    left.set_ylim(0, 101)
    slowdowns = {entry.policy: _rows(entry, lambda row: row.slowdown_percent) for entry in comparison.entries}
    for policy, values in slowdowns.items():
        _cumulate(right, [min(value, _SLOWEST_PERCENT) for value in values], look[policy], None)
    allowed = {row.max_slowdown_percent for e in comparison.entries for arm in e.arms for row in arm.jobs}
    if len(allowed) == 1:
        right.axvline(limit := allowed.pop(), color=_GREY, linewidth=1, zorder=1)
        right.annotate(
            f"{limit:g} % allowed", (limit, 2), (3, 0), textcoords="offset points", fontsize=7.5, color="#666a70"
        )
    right.set_xlabel("slowdown against the fastest GPU model, %, at most")
    _entitle(figure, title)
    figure.legend(loc="outside lower center", ncols=3)
    return figure


def pareto(comparison: Comparison, title: str = "Energy and completion time") -> Figure:
    """Joules over mean completion time, with a front for each group of policies; better is to the left and below."""
    return _pareto(comparison, title)[0]


def label_boxes(comparison: Comparison) -> list[Bbox]:
    """Where `pareto` puts the policies' names, in pixels."""
    with mpl.rc_context(_SETTINGS):
        return _pareto(comparison, "")[1]


def front(points: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Those that no other beats in both numbers (less is better), by the first."""
    best: list[tuple[float, float]] = []
    for point in sorted(set(points)):
        if not best or point[1] < best[-1][1]:
            best.append(point)
    return best


DRAWINGS: Mapping[str, Callable[[Comparison], Figure]] = MappingProxyType(
    {"joules": joules, "power": power, "waiting-and-slowdown": waiting_and_slowdown, "pareto": pareto}
)
"""All drawings by the name of their files."""


def save(comparison: Comparison, folder: Path, prefix: str = "") -> list[Path]:
    """Write all drawings as PNG and SVG; returns what was written.

    Args:
        comparison: What to draw.
        folder: That exists.
        prefix: Begins the files' names.
    """
    written = []
    for name, draw in DRAWINGS.items():
        with mpl.rc_context(_SETTINGS):
            figure = draw(comparison)
            for suffix in FORMATS:
                path = folder / f"{prefix}{name}.{suffix}"
                _write(figure, path, suffix)
                written.append(path)
    return written


def inline_svg(draw: Callable[[Comparison], Figure], comparison: Comparison, prefix: str) -> str:
    """A drawing as an SVG element for a page.

    Args:
        draw: One of `DRAWINGS`.
        comparison: What to draw.
        prefix: Unique on the page: begins all names inside, which SVG elements of a page share.
    """
    out = io.StringIO()
    with mpl.rc_context(_SETTINGS):
        _write(draw(comparison), out, "svg")
    text = out.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    return re.sub(r'((?:\bid|href)="#?|url\(#)', rf"\g<1>{prefix}-", text)


def _write(figure: Figure, target: Path | io.StringIO, suffix: str) -> None:
    figure.savefig(target, format=suffix, dpi=_DPI, metadata={"Date": None} if suffix == "svg" else {})


def _figure(height: float) -> Figure:
    figure = Figure(dpi=_DPI, figsize=(_WIDTH, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _entitle(figure: Figure, title: str) -> None:
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")


def _stack(axes: Axes, place: float, entry: Entry, unit: Unit) -> None:
    left = 0.0
    for _, name, colour, hatch in _PARTS:
        part = entry.mean(lambda summary, name=name: float(getattr(summary, name)))  # type: ignore[misc]
        if part is not None and part.mean > 0:
            length = part.mean / unit.size
            axes.barh(place, length, left=left, height=0.74, color=colour, hatch=hatch, edgecolor="white", linewidth=0)
            left += length
    total = entry.mean(lambda summary: summary.joules)
    half = 0.0
    if total is not None and total.half is not None:
        half = total.half / unit.size
        axes.errorbar(left, place, xerr=half, fmt="none", ecolor=_INK, elinewidth=0.9, capsize=2.5)
    saved = entry.saved_percent(lambda summary: summary.joules)
    text = unit.write(total, spread=False)
    if saved is not None:
        text += f"  ({Unit.of(Quantity.PERCENT, [saved.mean]).write(saved, signed=True)} %)"
    axes.annotate(text, (left + half, place), (5, 0), textcoords="offset points", va="center", fontsize=7.5, color=_INK)


def _edges(arm: Any, second: float) -> list[float]:
    return [n * arm.power.span_seconds / second for n in range(len(arm.power.watts) + 1)]


def _rows(entry: Entry, value: Callable[[JobRow], float]) -> list[float]:
    return sorted(value(row) for arm in entry.arms for row in arm.jobs)


def _cumulate(axes: Axes, values: Sequence[float], style: Style, label: str | None) -> None:
    """Draw how large a share of sorted values is at most so large; few points say it of many values."""
    if len(values) > _QUANTILES:
        shares = [n / _QUANTILES for n in range(_QUANTILES + 1)]
        xs, ys = [quantile(values, share) for share in shares], [100 * share for share in shares]
    else:
        xs, ys = list(values), [100 * (n + 1) / len(values) for n in range(len(values))]
        xs, ys = [xs[0], *xs], [0.0, *ys]
    axes.step(
        xs, ys, where="post", color=style.colour, linestyle=style.dashes, linewidth=1.3, label=label, clip_on=True
    )


def _mark_times(axes: Axes, longest: float, unit: Unit) -> None:
    """Ticks that people read: seconds, minutes, hours and days."""
    marks = [(0.0, "0"), (60.0, "1 min"), (600.0, "10 min"), (3600.0, "1 h"), (6 * 3600.0, "6 h")]
    marks += [(86_400.0, "1 d"), (7 * 86_400.0, "7 d"), (30 * 86_400.0, "30 d")]
    shown = [mark for mark in marks if mark[0] <= max(1.1 * longest, 120)]
    axes.set_xticks([seconds / unit.size for seconds, _ in shown], [name for _, name in shown])
    axes.minorticks_off()


def _pareto(comparison: Comparison, title: str) -> tuple[Figure, list[Bbox]]:
    figure = _figure(5.2)
    axes = figure.add_subplot()
    spots: dict[str, tuple[float, float]] = {}
    means = {
        entry.policy: (jct, energy)
        for entry in comparison.entries
        if (jct := entry.mean(lambda s: s.mean_jct_seconds)) and (energy := entry.mean(lambda s: s.joules))
    }
    time = Unit.of(Quantity.TIME, [jct.mean for jct, _ in means.values()])
    unit = Unit.of(Quantity.ENERGY, [energy.mean for _, energy in means.values()])
    look = styles(comparison)
    lines: list[list[tuple[float, float]]] = []
    bars: list[list[tuple[float, float]]] = []
    for keeps in (True, False):
        own = [entry for entry in comparison.entries if entry.keeps_slowdown is keeps]
        for entry in own:
            jct, energy = means[entry.policy]
            spot = spots[entry.policy] = jct.mean / time.size, energy.mean / unit.size
            colour = look[entry.policy].colour
            wide, high = (jct.half or 0.0) / time.size, (energy.half or 0.0) / unit.size
            bars += [
                [(spot[0] - wide, spot[1]), (spot[0] + wide, spot[1])],
                [(spot[0], spot[1] - high), (spot[0], spot[1] + high)],
            ]
            axes.errorbar(
                *spot,
                xerr=wide or None,
                yerr=high or None,
                fmt=look[entry.policy].marker,
                markersize=7,
                markerfacecolor=colour if keeps else "white",
                markeredgecolor=colour,
                ecolor=colour,
                elinewidth=0.7,
                zorder=4,
            )
        if own:
            line = front(spots[entry.policy] for entry in own)
            lines.append(line)
            said = "see to the slowdown (filled)" if keeps else "do not (hollow)"
            axes.step(
                [x for x, _ in line],
                [y for _, y in line],
                where="post",
                color=_INK if keeps else _GREY,
                linestyle="-" if keeps else "--",
                linewidth=1.0,
                zorder=2,
                label=f"front of the policies that {said}",
            )
    axes.set_xlabel(f"mean completion time of a job, {time.name}")
    axes.set_ylabel(f"energy, {unit.name}")
    axes.margins(x=0.22, y=0.16)
    axes.set_xlim(left=max(axes.get_xlim()[0], 0.0))  # few seeds that differ have intervals to below 0
    axes.set_ylim(bottom=max(axes.get_ylim()[0], 0.0))
    _entitle(figure, title)
    figure.legend(loc="outside lower center", ncols=2)
    return figure, name_spots(figure, axes, spots, [*lines, *bars])
