"""Rows of the survey's Table 1 that no trial gives: dynamic voltage and frequency scaling, from recorded sweeps.

A sweep measures the same steps at each operating point; the point with the fewest joules is what the technique saves,
and beside it stands the best one that is not much slower. What must hold: joules of the simulated NVML are shown as
simulated, never as measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from frugal.bench.comparison import Interval
from frugal.bench.survey import Source
from frugal.bench.table1 import Entry, Outside, judge
from frugal.bench.tables import Kind, percent
from frugal.errors import DataError
from frugal.sweep.result import SweepResult

RECORDED = Path(__file__).parents[1] / "sweep" / "recorded"
MAX_SLOWDOWN_PERCENT = 10.0
_BOUNDED = f", at most {MAX_SLOWDOWN_PERCENT:g} % slower"


def recorded_sweeps() -> list[Path]:
    """The sweeps that come with frugal."""
    return sorted(RECORDED.glob("*.json"))


def with_sweeps(entries: Sequence[Entry], paths: Sequence[Path]) -> list[Entry]:
    """``entries``, with what the sweeps in ``paths`` found in the rows that come from one.

    Raises:
        DataError: A file cannot be read or holds no sweep; the message names it.
    """
    if not any(entry.row.source is Source.SWEEP for entry in entries):
        return list(entries)
    sweeps = [_read(path) for path in paths]
    return [
        Entry(row=entry.row, lines=entry.lines, outside=tuple(one for it in sweeps for one in _found(entry, it)))
        if entry.row.source is Source.SWEEP
        else entry
        for entry in entries
    ]


def _read(path: Path) -> SweepResult:
    try:
        return SweepResult.from_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"--sweep {path}: {error.strerror}; name a file that frugal sweep --json wrote") from error
    except DataError as error:
        raise DataError(f"--sweep {path}: {error}") from error


def _found(entry: Entry, sweep: SweepResult) -> list[Outside]:
    least, quick = sweep.best(), sweep.best(MAX_SLOWDOWN_PERCENT)
    best = {"": least} if quick.point == least.point else {"": least, _BOUNDED: quick}
    kind = Kind.SIMULATED if sweep.simulated else Kind.MEASURED
    found = []
    for which, point in best.items():
        if point.saving_percent is None or point.slowdown_percent is None:
            continue  # nothing beats what was found on the GPU
        found.append(
            Outside(
                name=f"{sweep.gpu_model}, {point.point}{which}",
                saving=point.saving_percent,
                note=f"{percent(point.slowdown_percent)} more time; {sweep.work}; joules by the {sweep.source}",
                verdict=judge(entry.row, kind, point.saving_percent, _unchanged(point.saving_percent)),
            )
        )
    return found


def _unchanged(saving: Interval) -> Interval:
    """Operating points change when numbers are computed, not which."""
    return Interval(mean=0.0, low=0.0, high=0.0, n=saving.n)
