"""One measured figure against its aim, and how it is printed.

Invariant: a figure is the median of its runs, and says how many those were; a missed aim is told, never hidden. Where
nobody set an aim, `aim` and `holds` are null.
"""

from __future__ import annotations

import json
import operator
import statistics
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

_HOLDS: dict[str, Callable[[float, float], bool]] = {"<": operator.lt, "<=": operator.le, ">=": operator.ge}


@dataclass(frozen=True)
class Aim:
    """What a figure should be: a comparison (`<`, `<=`, `>=`) with a number."""

    comparison: str
    value: float

    def holds(self, value: float) -> bool:
        """Return whether a figure reaches the aim."""
        return _HOLDS[self.comparison](value, self.value)

    def __str__(self) -> str:
        return f"{self.comparison} {self.value:g}"


@dataclass(frozen=True)
class Measurement:
    """A figure of a benchmark.

    Attributes:
        aim: None where nobody set one yet.
        runs: the figure of each run.
        context: what a reader should know if the aim is missed.
        note: what a reader should know in any case.
    """

    bench: str
    metric: str
    unit: str
    aim: Aim | None
    runs: Sequence[float]
    context: str = ""
    note: str = ""

    @property
    def value(self) -> float:
        """The median of the runs."""
        return statistics.median(self.runs)

    def line(self, commit: str) -> str:
        """Return the figure as a line of JSON."""
        holds = None if self.aim is None else self.aim.holds(self.value)
        fields: dict[str, object] = {
            "bench": self.bench,
            "metric": self.metric,
            "value": round(self.value, 3),
            "unit": self.unit,
            "aim": None if self.aim is None else str(self.aim),
            "holds": holds,
            "runs": len(self.runs),
            "commit": commit,
        }
        if holds is False:
            single = ", ".join(f"{run:.3g}" for run in self.runs)
            fields["reason"] = f"the runs gave {single} {self.unit}" + (f"; {self.context}" if self.context else "")
        if self.note:
            fields["note"] = self.note
        return json.dumps(fields)


def commit_of(repository: Path) -> str:
    """Return the commit that is measured, with a mark if the tree differs from it; empty outside a repository."""
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
        cwd=repository,
        capture_output=True,
        text=True,
        check=False,
    )
    return described.stdout.strip()
