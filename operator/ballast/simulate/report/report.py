"""What a simulation leaves behind: a table for people, JSON for programs, and a CSV line for each job and each arm.

What must hold: the baseline, the policies that see to the jobs' slowdown and those that do not stand apart; what was
simulated, which rules of the harness held and what the figures do not say goes with them wherever they go. Tables
have units that people read; JSON and CSV have base units, and the names of `Summary` and `JobRow`.

The JSON's schema is `SCHEMA`: fields may be added to it; to change or remove one makes it another.
"""

from __future__ import annotations

import csv
import io
import json
import textwrap
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from operator import attrgetter
from typing import Any

from ballast.simulate.comparison.comparison import ArmResult, Check, Comparison, Entry, Figure, Interval
from ballast.simulate.engine.outcome import JobRow, Summary
from ballast.simulate.report.units import NOTHING, Quantity, Unit

SCHEMA = "ballast.dev/simulation/v1"
_GAP = "  "
_COLUMNS = 120
"""Of sentences; tables are as wide as they are."""
_IDENTITY = frozenset({"policy", "seed", "keeps_slowdown"})


@dataclass(frozen=True, slots=True)
class Section:
    """One comparison: all of its arms had the same jobs, cluster and rules.

    Attributes:
        title: What distinguishes it from the report's other sections; may be empty where there is one.
        checks: Rules of the harness, judged on its arms.
    """

    title: str
    comparison: Comparison
    checks: tuple[Check, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that is told of a simulation.

    Attributes:
        title: Of all of it.
        facts: What was simulated: pairs of a name and what is to be said of it.
        sections: At least one.
        caveats: Sentences on what the figures do not say.
    """

    title: str
    facts: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]
    caveats: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """Cells of text, made for terminals and pages alike.

    Attributes:
        headings: The first is the policies'.
        groups: Lines under a title each.
    """

    title: str
    headings: tuple[str, ...]
    groups: tuple[tuple[str, tuple[tuple[str, ...], ...]], ...]


def _of(name: str) -> Figure:
    figure: Callable[[Summary], float | None] = attrgetter(name)
    return figure


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of a table.

    Attributes:
        saving: What is saved of the figure instead of the figure.
        second: What is saved against the comparison's second policy; shown only where it has one.
        spread: Whether the interval is shown too.
        when: Shown only where this is so of some arm.
    """

    heading: str
    figure: Figure
    quantity: Quantity
    saving: bool = False
    second: bool = False
    spread: bool = False
    when: Callable[[Summary], bool] = lambda summary: True


def _has_grams(summary: Summary) -> bool:
    return summary.grams is not None


def _has_cost(summary: Summary) -> bool:
    return summary.cost is not None


_ENERGY = (
    _Column("energy", _of("joules"), Quantity.ENERGY, spread=True),
    _Column("saved", _of("joules"), Quantity.PERCENT, saving=True, spread=True),
    _Column("against {}", _of("joules"), Quantity.PERCENT, saving=True, second=True, spread=True),
    _Column("dynamic", _of("dynamic_joules"), Quantity.ENERGY, spread=True),
    _Column("saved", _of("dynamic_joules"), Quantity.PERCENT, saving=True, spread=True),
    _Column("against {}", _of("dynamic_joules"), Quantity.PERCENT, saving=True, second=True, spread=True),
    _Column("GPUs idle", _of("idle_joules"), Quantity.ENERGY),
    _Column("nodes' base", _of("base_joules"), Quantity.ENERGY),
    _Column("boots", _of("boot_joules"), Quantity.ENERGY, when=lambda summary: summary.boot_joules > 0),
    _Column("CO2e", _of("grams"), Quantity.MASS, spread=True, when=_has_grams),
    _Column("saved", _of("grams"), Quantity.PERCENT, saving=True, spread=True, when=_has_grams),
    _Column("cost", _of("cost"), Quantity.MONEY, spread=True, when=_has_cost),
    _Column("saved", _of("cost"), Quantity.PERCENT, saving=True, spread=True, when=_has_cost),
)
_TIME = (
    _Column("makespan", _of("makespan_seconds"), Quantity.TIME),
    _Column("mean JCT", _of("mean_jct_seconds"), Quantity.TIME, spread=True),
    _Column("mean waiting", _of("mean_waited_seconds"), Quantity.TIME, spread=True),
    _Column("median waiting", _of("median_waited_seconds"), Quantity.TIME),
    _Column("p95 waiting", _of("p95_waited_seconds"), Quantity.TIME),
    _Column("mean slowdown", _of("mean_slowdown_percent"), Quantity.PERCENT),
    _Column("jobs too slow", _of("slowdown_violations"), Quantity.COUNT),
    _Column("deadlines missed", _of("deadlines_missed"), Quantity.COUNT, when=lambda summary: summary.deadlines > 0),
)
SAVINGS: dict[str, Figure] = {
    name: _of(name) for name in ("joules", "dynamic_joules", "mean_jct_seconds", "grams", "cost")
}
"""Figures whose savings are in the JSON."""
NOTES = (
    (
        "Savings are in percent of the baseline's, paired by seed; below 0 it takes more. ± is half of the 95 % "
        "confidence interval over seeds. Dynamic energy is what jobs draw above the idle power of their GPUs. Idle and "
        "base energy count in every arm until the same moment, the end of the last job in any arm."
    ),
    (
        "JCT is a job's completion time, from its submission to its end. Slowdown is of the time that it ran, against "
        "the fastest GPU model that can hold it, at the highest power limit; too slow is more than the job allows."
    ),
)


def tables(comparison: Comparison) -> tuple[Table, ...]:
    """Energy and time of all policies."""
    return _table("Energy", _ENERGY, comparison), _table("Time", _TIME, comparison)


def render(report: Report) -> str:
    """The report as plain text, aligned for a terminal; ends with a newline."""
    lines: list[str] = []
    for section in report.sections:
        if section.title:
            lines += [section.title, "═" * _width(section.title), ""]
        for table in tables(section.comparison):
            lines += [*_aligned(table), ""]
        broken = [check for check in section.checks if check.held is not True]
        lines += [f"{check.verdict}: {check.rule}{check.detail and f' ({check.detail})'}" for check in broken]
        if section.checks and not broken:
            lines.append(f"All {len(section.checks)} rules of the harness held.")
    lines += ["", "What was simulated", *_facts(report.facts), "", "What the figures say, and what they do not"]
    for text in (*NOTES, *report.caveats):
        lines += _wrapped(text, "- ")
    return "\n".join(lines) + "\n"


def as_json(report: Report) -> str:
    """The report as one JSON object with base units; ends with a newline."""
    document = {
        "schema": SCHEMA,
        "title": report.title,
        "facts": dict(report.facts),
        "sections": [_section(section) for section in report.sections],
        "caveats": list(report.caveats),
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def jobs_csv(policy: str, seed: int, jobs: Sequence[JobRow]) -> str:
    """A line for each job of an arm, with a header; empty cells where there is no value."""
    return _csv(
        ("policy", "seed", *(field.name for field in fields(JobRow))),
        [(policy, seed, *asdict(job).values()) for job in jobs],
    )


def arms_csv(arms: Sequence[ArmResult]) -> str:
    """A line with the sums of each arm, with a header."""
    return _csv([field.name for field in fields(Summary)], [tuple(asdict(arm.summary).values()) for arm in arms])


def _table(title: str, columns: Sequence[_Column], comparison: Comparison) -> Table:
    headings = ["policy"]
    cells: dict[str, list[str]] = {entry.policy: [entry.policy] for entry in comparison.entries}
    summaries = [arm.summary for entry in comparison.entries for arm in entry.arms]
    shown = [
        column
        for column in columns
        if any(column.when(summary) for summary in summaries) and (comparison.second or not column.second)
    ]
    found = [{entry.policy: _figure(column, entry) for entry in comparison.entries} for column in shown]
    values = [[interval.mean for interval in each.values() if interval is not None] for each in found]
    # Parts of an energy are compared with the whole.
    energies = [own for column, own in zip(shown, values, strict=True) if column.quantity is Quantity.ENERGY]
    most = max((max(own, default=0.0) for own in energies), default=0.0)
    for column, each, own in zip(shown, found, values, strict=True):
        unit = Unit.of(column.quantity, own, most if column.quantity is Quantity.ENERGY else 0.0)
        heading = column.heading.format(comparison.second)
        headings.append(f"{heading}, {unit.name}" if unit.name else heading)
        for policy, interval in each.items():
            cells[policy].append(unit.write(interval, spread=column.spread))
    groups = ((title, tuple(tuple(cells[e.policy]) for e in entries)) for title, entries in comparison.groups)
    return Table(title, tuple(headings), tuple(groups))


def _figure(column: _Column, entry: Entry) -> Interval | None:
    return entry.saved_percent(column.figure, second=column.second) if column.saving else entry.mean(column.figure)


def _aligned(table: Table) -> list[str]:
    indented = [("  " + line[0], *line[1:]) for _, lines in table.groups for line in lines]
    headings = (table.title, *table.headings[1:])
    widths = [max(_width(line[place]) for line in (headings, *indented)) for place in range(len(headings))]
    widths[0] = max(widths[0], *(len(title) for title, _ in table.groups))
    written = [_line(headings, widths), _GAP.join("─" * width for width in widths)]
    rest = iter(indented)
    for title, lines in table.groups:
        written += [title, *(_line(next(rest), widths) for _ in lines)]
    return written


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = (" " * (width - _width(cell)) for cell, width in zip(cells, widths, strict=True))
    return _GAP.join(
        [cells[0] + first, *(space + cell for space, cell in zip(others, cells[1:], strict=True))]
    ).rstrip()


def _facts(facts: Sequence[tuple[str, str]]) -> list[str]:
    width = max((_width(name) for name, _ in facts), default=0)
    return [
        line for name, text in facts for line in _wrapped(text, f"{_GAP}{name}{' ' * (width - _width(name))}{_GAP}")
    ]


def _wrapped(text: str, begin: str) -> list[str]:
    """Lines that a terminal does not break; those after the first as far in as the first one's text."""
    return textwrap.wrap(
        text,
        _COLUMNS,
        initial_indent=begin,
        subsequent_indent=" " * _width(begin),
        break_long_words=False,  # paths
        break_on_hyphens=False,
    )


def _width(text: str) -> int:
    """Columns that ``text`` takes in a terminal."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _section(section: Section) -> dict[str, Any]:
    comparison = section.comparison
    return {
        "title": section.title,
        "baseline": comparison.baseline,
        "second": comparison.second,
        "policies": [_entry(entry) for entry in comparison.entries],
        "arms": [asdict(arm.summary) for entry in comparison.entries for arm in entry.arms],
        "checks": [asdict(check) for check in section.checks],
    }


def _entry(entry: Entry) -> dict[str, Any]:
    figures = [field.name for field in fields(Summary) if field.name not in _IDENTITY]
    return {
        "policy": entry.policy,
        "reference": entry.reference,
        "keeps_slowdown": entry.keeps_slowdown,
        "seeds": list(entry.seeds),
        "figures": {name: _interval(entry.mean(_of(name))) for name in figures},
        "saved_percent": {name: _interval(entry.saved_percent(figure)) for name, figure in SAVINGS.items()},
        "saved_percent_second": {
            name: _interval(entry.saved_percent(figure, second=True)) for name, figure in SAVINGS.items()
        },
    }


def _interval(interval: Interval | None) -> dict[str, Any] | None:
    return None if interval is None else {"mean": interval.mean, "half": interval.half, "seeds": interval.n}


def _csv(header: Sequence[str], lines: Sequence[Sequence[object]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([[_cell(value) for value in line] for line in lines])
    return out.getvalue()


def _cell(value: object) -> object:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else value


__all__ = [
    "NOTES",
    "NOTHING",
    "SAVINGS",
    "SCHEMA",
    "Check",
    "Report",
    "Section",
    "Table",
    "arms_csv",
    "as_json",
    "jobs_csv",
    "render",
    "tables",
]
