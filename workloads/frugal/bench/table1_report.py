"""The survey's Table 1 as people read it: text, markdown, JSON and drawings of the same entries.

What must hold: the kinds of figures stand in columns and colours of their own; whatever is estimated says by
which model; a row without a figure says what is missing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from frugal.bench.comparison import Comparison, Interval
from frugal.bench.environment import Environment
from frugal.bench.records import Phase
from frugal.bench.survey import Source
from frugal.bench.table1 import Entry, Line, Verdict
from frugal.bench.tables import NOTHING, Column, Kind, percent, points, short, table

_COLUMNS = (
    Column(heading="technique"),
    Column(heading="claimed", numeric=True),
    Column(heading="phase"),
    Column(heading="measured", numeric=True),
    Column(heading="estimate t", numeric=True),
    Column(heading="estimate o", numeric=True),
    Column(heading="simulated", numeric=True),
    Column(heading="accuracy", numeric=True),
    Column(heading="samples/s (baseline)", numeric=True),
    Column(heading="FLOPs/sample (baseline)", numeric=True),
    Column(heading="lines", numeric=True),
)
_INDENT = "  "
_BELOW = "· "
_NOTES = """\
Savings are percent of the energy of the paired baseline (same seed, same run): mean ± half of the 95 % interval.
Training is compared as a whole, inference by answer.
Estimate t: CPU time x a stated power model, on this machine.
Estimate o: counted operations and bytes x published picojoules: the arithmetic on a chip that makes use of it.
Simulated: joules of the simulated NVML, recorded by frugal sweep; of no real GPU.
Accuracy: change in percentage points against the paired baseline, on held-out data.
FLOPs: a multiply-add as two, by the model's shape; zeros count. In training: three forward passes.
Lines: words that a user adds, each after a --with of its own.
In brackets: lines of code in the techniques' modules, which nobody has to write; what they share is not counted.
Holds: the interval agrees with the claim. Contradicts: it does not.
Open: it reaches both sides, saves exactly nothing, or is of one seed."""


@dataclass(frozen=True, kw_only=True)
class Header:
    """What the table was made on and with.

    Attributes:
        operations_by: The model behind estimate o; None where nothing was counted.
        seeds: That were asked for.
        trials: How many there are, of how many wanted.
        seconds: Of all trials there are, measured parts only.
        made: Date and time, UTC.
    """

    environment: Environment
    data: str
    operations_by: str | None
    seeds: tuple[int, ...]
    trials: tuple[int, int]
    seconds: float
    made: str

    def facts(self) -> list[tuple[str, str]]:
        """Names and values, in their order."""
        env = self.environment
        hardware = env.hardware
        gpu = f"; GPU: {hardware['gpu']}" if hardware.get("gpu") else ""
        done, wanted = self.trials
        return [
            ("data", self.data),
            ("hardware", f"{hardware.get('cpu')}, {hardware.get('cores'):g} cores{gpu}"),
            ("commit", ", ".join(env.commits) or "not from a checkout"),
            ("versions", ", ".join(f"{name} {version}" for name, version in env.software.items())),
            ("measured by", env.meter.get("measured_by") or "nothing: this machine has no energy counter"),
            ("estimate t", env.meter.get("estimated_by") or "none"),
            ("estimate o", self.operations_by or "none"),
            ("seeds", ", ".join(map(str, self.seeds))),
            ("trials", f"{done} of {wanted}; {self.seconds / 60:.1f} minutes in what they measured"),
            ("made", self.made),
        ]

    @property
    def short(self) -> str:
        """One line, below a drawing's title."""
        facts = dict(self.facts())
        commit = facts["commit"].partition(" ")[0][:12]
        return f"{facts['data']}; {facts['hardware']}; commit {commit}; seeds {facts['seeds']}; {facts['made']}"


def to_text(entries: Sequence[Entry], header: Header, *, markdown: bool = False) -> str:
    """The whole report."""
    facts = header.facts()
    if markdown:
        top = "# The survey's Table 1, here\n\n" + "".join(f"- {name}: {value}\n" for name, value in facts)
    else:
        size = max(len(name) for name, _ in facts)
        top = "The survey's Table 1, here\n\n" + "".join(f"{name:<{size}}  {value}\n" for name, value in facts)
    cells = [row for entry in entries for row in _cells(entry)]
    parts = [
        top,
        table(_COLUMNS, cells, markdown=markdown),
        _verdicts(entries, len(header.seeds), markdown=markdown),
        _legend(markdown),
    ]
    return "\n".join(parts)


def to_json(entries: Sequence[Entry], header: Header) -> str:
    """The same as values; savings in percent, energies in joules."""
    return json.dumps(
        {
            "header": {**dict(header.facts()), "environment": header.environment.to_json_object()},
            "rows": [_row_values(entry) for entry in entries],
        },
        indent=2,
    )


def write(entries: Sequence[Entry], header: Header, comparisons: Sequence[Comparison], folder: Path) -> list[Path]:
    """``table1.md``, ``table1.json`` and the drawings; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = _draw(entries, header, comparisons, folder)
    images = "".join(f"\n![{path.stem.replace('-', ' ')}]({path.name})\n" for path in drawn if path.suffix == ".svg")
    texts = {
        folder / "table1.md": to_text(entries, header, markdown=True) + images,
        folder / "table1.json": to_json(entries, header) + "\n",
    }
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
    return [*texts, *drawn]


def _cells(entry: Entry) -> list[tuple[str, ...]]:
    """The technique, and a line for each of its cases below it."""
    row = entry.row
    nothing = [NOTHING] * (len(_COLUMNS) - 3)
    empty = [""] * len(nothing)
    found = [
        (
            f"{_BELOW}{one.name}",
            "",
            NOTHING if row.phase is None else row.phase.value,
            *_savings({one.verdict.kind: one.saving}),
            points(one.change),
            *nothing[len(Kind) + 1 :],
        )
        for one in entry.outside
    ]
    lines = [*(_line_cells(line) for line in entry.lines), *found]
    return [(row.technique, str(row.claim), "", *(empty if lines else nothing)), *lines]


def _line_cells(line: Line) -> tuple[str, ...]:
    own, base = line.comparison, line.baseline
    return (
        f"{_BELOW}{line.variant.name}",
        "",
        own.phase.value,
        *_savings(line.savings),
        points(own.accuracy_change_points),
        _beside(own.samples_per_second.mean, None if base is None else base.samples_per_second.mean),
        _beside(own.flops_per_sample, None if base is None else base.flops_per_sample),
        f"{len(line.words)} ({line.module_lines})",
    )


def _savings(savings: Mapping[Kind, Interval]) -> list[str]:
    return [percent(savings.get(kind)) for kind in Kind]


def _beside(value: float, baseline: float | None) -> str:
    return short(value) if baseline is None else f"{short(value)} ({short(baseline)})"


def _verdicts(entries: Sequence[Entry], seeds: int, *, markdown: bool) -> str:
    lines = ["## Against claims and aims\n" if markdown else "Against claims and aims\n"]
    for entry in entries:
        row = entry.row
        head = f"{row.technique}, claimed: {row.claim}" + ("" if row.aim is None else f", aim: {row.aim}")
        lines.append(f"- **{head}**" if markdown else head)
        if not entry.lines and not entry.outside:
            lines.append(_item(f"not yet: {_missing(entry)}", markdown))
        for place, line in enumerate(entry.lines):
            name = (
                f"{line.variant.name} (headline)"
                if place == 0 and len(entry.lines) + len(entry.outside) > 1
                else line.variant.name
            )
            own = len(line.comparison.seeds)
            if own < seeds:  # those that failed are not in the figures, and they need not have been like the others
                name += f", {own} of {seeds} seeds"
            lines.append(_item(f"{name}: {'; '.join(_judged(line)) or 'nothing to judge by'}", markdown))
        lines += [_item(f"{found.name}: {_said(found.verdict)} ({found.note})", markdown) for found in entry.outside]
    return "\n".join(lines) + "\n"


def _judged(line: Line) -> list[str]:
    return [_said(verdict) for verdict in line.verdicts]


def _said(verdict: Verdict) -> str:
    return f"{verdict}" + ("" if verdict.aim is None else f"; aim {verdict.aim}")


def _missing(entry: Entry) -> str:
    row = entry.row
    if row.source is Source.TRIALS:
        return "no trial of it here"
    return f"comes from {row.source.value}, {row.missing}"


def _item(text: str, markdown: bool) -> str:
    return f"{_INDENT}- {text}" if markdown else f"{_INDENT}{text}"


def _legend(markdown: bool) -> str:
    title = "## How to read it\n" if markdown else "How to read it\n"
    return "\n".join([title, *(f"- {note}" if markdown else f"{_INDENT}{note}" for note in _NOTES.splitlines())])


def _row_values(entry: Entry) -> dict[str, Any]:
    row = entry.row
    return {
        "key": row.key,
        "technique": row.technique,
        "phase": None if row.phase is None else row.phase.value,
        "claimed": str(row.claim),
        "claimed_percent": row.claim.percent,
        "aim": None if row.aim is None else str(row.aim),
        "source": row.source.value,
        "missing": None if entry.lines or entry.outside else _missing(entry),
        "outside": [
            {
                "name": found.name,
                "note": found.note,
                "saving_percent": asdict(found.saving),
                "accuracy_change_points": None if found.change is None else asdict(found.change),
                "verdict": _verdict_values(found.verdict),
            }
            for found in entry.outside
        ],
        "lines": [_line_values(line) for line in entry.lines],
    }


def _line_values(line: Line) -> dict[str, Any]:
    return {
        "variant": line.variant.name,
        "phase": line.comparison.phase.value,
        "with": list(line.words),
        "words_added": len(line.words),
        "module_lines": line.module_lines,
        "savings_percent": {kind.name.lower(): asdict(saving) for kind, saving in line.savings.items()},
        "verdicts": [_verdict_values(verdict) for verdict in line.verdicts],
        "case": asdict(line.comparison),
        "baseline": None if line.baseline is None else asdict(line.baseline),
    }


def _verdict_values(verdict: Verdict) -> dict[str, Any]:
    return {
        "kind": verdict.kind.name.lower(),
        "claim": verdict.claim,
        "aim": verdict.aim,
        "aim_reached": verdict.reached,
    }


def _draw(entries: Sequence[Entry], header: Header, comparisons: Sequence[Comparison], folder: Path) -> list[Path]:
    from frugal.bench import plots  # matplotlib takes a second to import

    written: list[Path] = []
    for phase in Phase:
        bars = [
            plots.Bar(
                label=f"{entry.row.technique}:\n{line.variant.name}",
                savings=dict(line.savings),
                claim_percent=entry.row.claim.percent,
            )
            for entry in entries
            for line in entry.lines
            if line.comparison.phase is phase and line.savings
        ]
        bars += [
            plots.Bar(
                label=f"{entry.row.technique}:\n{found.name}",
                savings={found.verdict.kind: found.saving},
                claim_percent=entry.row.claim.percent,
            )
            for entry in entries
            for found in entry.outside
            if entry.row.phase is phase
        ]
        names = _names(entries)
        points = plots.points_of(comparisons, phase, names)
        if bars:
            title = f"Energy saved in {phase.value}"
            written += plots.draw_savings(bars, folder / f"savings-{phase.value}", title=title, footnote=header.short)
        if len(points) > 1:
            title = f"Accuracy and energy of {phase.value}"
            stem = folder / f"pareto-{phase.value}"
            written += plots.draw_pareto(points, stem, title=title, phase=phase, footnote=header.short)
    return written


def _names(entries: Sequence[Entry]) -> Mapping[str, str]:
    """Cases by the names of their variants alone, where that is enough in a drawing."""
    return {line.comparison.case: line.variant.name for entry in entries for line in entry.lines}
