"""Comparisons as text: aligned for a terminal, or as a markdown table.

What must hold: what is measured and what is estimated stand in columns of their own, and an estimate never appears
without the name of its model below the table.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from frugal.bench.comparison import Comparison, Interval
from frugal.bench.records import Phase

NOTHING = "-"
_GAP = "  "


class Kind(StrEnum):
    """What a figure of energy rests on; in tables a column each, in drawings a colour each."""

    MEASURED = "measured (energy counter)"
    TIME = "estimated: time x power model"
    OPERATIONS = "estimated: counted operations x published picojoules"
    SIMULATED = "simulated NVML"


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column's heading, and whether its cells are numbers (set right)."""

    heading: str
    numeric: bool = False


def render(comparisons: Sequence[Comparison], *, markdown: bool = False) -> str:
    """A line for each case and phase, and the models behind estimates below."""
    columns = (
        Column(heading="case"),
        Column(heading="phase"),
        Column(heading="measured saving", numeric=True),
        Column(heading="estimated saving", numeric=True),
        Column(heading="accuracy", numeric=True),
        Column(heading="change, points", numeric=True),
        Column(heading="samples/s", numeric=True),
        Column(heading="FLOPs/sample", numeric=True),
        Column(heading="model bytes", numeric=True),
    )
    cells = [
        (
            entry.case,
            entry.phase.value,
            "baseline" if entry.baseline is None else percent(entry.measured_saving),
            "baseline" if entry.baseline is None else percent(entry.estimated_saving),
            percent(entry.accuracy, scale=100),
            NOTHING if entry.baseline is None else points(entry.accuracy_change_points),
            short(entry.samples_per_second.mean),
            short(entry.flops_per_sample),
            short(entry.bytes),
        )
        for entry in comparisons
    ]
    notes = [f"± is the 95 % confidence interval over {seeds_text(comparisons)}; {NOTHING}: no figure."]
    notes += _to_accuracy(comparisons)
    counters = sorted({entry.measured_by for entry in comparisons if entry.measured_by is not None})
    notes += [f"Measured by {name}." for name in counters] or ["No energy counter here: nothing is measured in joules."]
    models = sorted({entry.estimated_by for entry in comparisons if entry.estimated_by is not None})
    notes += [f"Estimated by {name}." for name in models]
    return table(columns, cells, markdown=markdown) + "\n" + "\n".join(_listed(notes, markdown=markdown))


def table(columns: Sequence[Column], rows: Sequence[Sequence[str]], *, markdown: bool = False) -> str:
    """Headings and rows, each line ended; cells are one line of text."""
    return _markdown(columns, rows) if markdown else _aligned(columns, rows)


def percent(interval: Interval | None, *, scale: float = 1) -> str:
    """``41.2 ± 3.0 %``; without an interval of one seed's figure."""
    if interval is None:
        return NOTHING
    return f"{_plus_minus(interval, scale, signed=False)} %"


def points(interval: Interval | None) -> str:
    """``-0.3 ± 0.2``."""
    return NOTHING if interval is None else _plus_minus(interval, 1, signed=True)


def short(value: float) -> str:
    """Three digits and a thousand's letter: ``12.3 k``."""
    for limit, letter in ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= 0.9995 * limit:
            return _digits(value / limit) + letter
    return _digits(value)


def seeds_text(comparisons: Sequence[Comparison]) -> str:
    """``3 seeds``, or ``2 to 3 seeds`` while some are missing."""
    counts = sorted({len(entry.seeds) for entry in comparisons}) or [0]
    low, high = counts[0], counts[-1]
    return f"{high} seed{'' if high == 1 else 's'}" if low == high else f"{low} to {high} seeds"


def width(text: str) -> int:
    """Columns that ``text`` takes in a terminal."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _to_accuracy(comparisons: Sequence[Comparison]) -> list[str]:
    """What each case saves until the target accuracy; nothing where no target was set, or no case reached it."""
    trained = [entry for entry in comparisons if entry.phase is Phase.TRAINING]
    if not any(entry.reached_target for entry in trained):
        return []
    notes = []
    for entry in (entry for entry in trained if entry.baseline is not None):
        saving = entry.energy_to_accuracy_saving
        if saving is None:
            said = f"no figure: not all pairs reached it ({entry.reached_target} of its own seeds)"
        else:
            said = f"saves {percent(saving)}, {'measured' if entry.energy_to_accuracy_measured else 'estimated'}"
        notes.append(f"Energy to the target accuracy, {entry.case}: {said}.")
    return notes


def _plus_minus(interval: Interval, scale: float, *, signed: bool) -> str:
    mean = round(scale * interval.mean, 1) + 0.0  # no -0.0
    text = f"{mean:+.1f}" if signed else f"{mean:.1f}"
    half = interval.half_width
    return text if half is None else f"{text} ± {scale * half:.1f}"


def _digits(value: float) -> str:
    magnitude = abs(value)
    return (
        f"{value:.0f}" if magnitude >= 99.95 or value == int(value) else f"{value:.{1 if magnitude >= 9.995 else 2}f}"
    )


def _aligned(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> str:
    lines = [[column.heading for column in columns], *rows]
    widths = [max(width(line[place]) for line in lines) for place in range(len(columns))]
    rule = ["─" * size for size in widths]
    return "".join(
        _GAP.join(
            _padded(cell, size, right=column.numeric) for cell, size, column in zip(line, widths, columns, strict=True)
        ).rstrip()
        + "\n"
        for line in (lines[0], rule, *rows)
    )


def _padded(cell: str, size: int, *, right: bool) -> str:
    space = " " * (size - width(cell))
    return space + cell if right else cell + space


def _markdown(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> str:
    rule = ["--:" if column.numeric else "---" for column in columns]
    lines = [[column.heading for column in columns], rule, *([_escaped(cell) for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|")


def _listed(notes: Sequence[str], *, markdown: bool) -> list[str]:
    return [f"- {note}" if markdown else note for note in notes]
