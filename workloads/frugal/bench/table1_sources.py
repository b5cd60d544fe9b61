"""Rows of the survey's Table 1 that other commands fill: operating points, architecture search, scheduling.

A sweep measures the same steps at each operating point; the point with the fewest joules is what the technique saves,
and beside it stands the best one that is not much slower. Of a search only what its finals found counts, on seeds that
it had not seen. Of a simulation each policy counts that energy is saved by, paired by seed. What must hold: joules of
the simulated NVML and of simulated clusters are shown as simulated, and estimated ones as estimated, never as measured.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from frugal.bench.comparison import Interval
from frugal.bench.records import Phase
from frugal.bench.survey import Source
from frugal.bench.table1 import Entry, Outside, judge
from frugal.bench.tables import Kind, percent
from frugal.errors import DataError
from frugal.sweep.result import SweepResult

RECORDED = Path(__file__).parents[1] / "sweep" / "recorded"
MAX_SLOWDOWN_PERCENT = 10.0
SHOWN_POLICIES = ("ballast", "per-job-limit", "pinned-to-fastest-per-job-limit-margin")
"""Of a simulation's policies: the operator's own, and two that are told what to compare it with."""
_BOUNDED = f", at most {MAX_SLOWDOWN_PERCENT:g} % slower"


@dataclass(frozen=True, kw_only=True)
class Searched:
    """What a search's finals say of its winner.

    Attributes:
        name: Its techniques.
        by: Which counters, or the model of an estimate.
    """

    name: str
    saving: Interval
    change: Interval
    measured: bool
    by: str


@dataclass(frozen=True, kw_only=True)
class Simulated:
    """What a policy saves in one table of a simulation.

    Attributes:
        policy: Its name.
        baseline: Name of the policy that it is compared with.
        table: Title of the table.
        dynamic: Of the energy above idle, which does not depend on how long a cluster stands idle at the end.
        total: Of all energy.
        too_slow: Of the jobs, how many ran slower than they allow, in percent.
    """

    policy: str
    baseline: str
    table: str
    dynamic: Interval
    total: Interval
    too_slow: float


def recorded_sweeps() -> list[Path]:
    """The sweeps that come with frugal."""
    return sorted(RECORDED.glob("*.json"))


def with_sweeps(entries: Sequence[Entry], sweeps: Sequence[SweepResult]) -> list[Entry]:
    """``entries``, with what the sweeps found in the row that is about them."""
    return [
        replace(entry, outside=(*entry.outside, *(one for sweep in sweeps for one in _found(entry, sweep))))
        if entry.row.source is Source.SWEEP
        else entry
        for entry in entries
    ]


def with_searches(entries: Sequence[Entry], searches: Sequence[Searched]) -> list[Entry]:
    """``entries``, with what the finals of searches found in the row that is about them."""
    return [
        replace(entry, outside=(*entry.outside, *(_searched(entry, one) for one in searches)))
        if entry.row.source is Source.SEARCH
        else entry
        for entry in entries
    ]


def with_simulations(entries: Sequence[Entry], simulated: Sequence[Simulated]) -> list[Entry]:
    """``entries``, with what simulated policies save in the row that is about them."""
    return [
        replace(entry, outside=(*entry.outside, *(_simulated(entry, one) for one in simulated)))
        if entry.row.source is Source.SIMULATOR
        else entry
        for entry in entries
    ]


def read_simulation(path: Path) -> list[Simulated]:
    """The policies of a ``results.json`` of `ballast simulate` that choose operating points, or the operator's own.

    Raises:
        DataError: The file cannot be read, or holds no saving; the message names it.
    """
    remedy = "name the results.json of a ballast simulate with several policies"
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        found = [
            Simulated(
                policy=one["policy"],
                baseline=section["baseline"],
                table=section["title"],
                dynamic=_interval(one["saved_percent"]["dynamic_joules"]),
                total=_interval(one["saved_percent"]["joules"]),
                too_slow=100 * one["figures"]["slowdown_violations"]["mean"] / one["figures"]["jobs"]["mean"],
            )
            for section in report["sections"]
            for one in section["policies"]
            if one["policy"] in SHOWN_POLICIES and one["policy"] != section["baseline"]
        ]
    except OSError as error:
        raise DataError(f"--simulation {path}: {error.strerror}; {remedy}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"--simulation {path}: not the results of a simulation ({error}); {remedy}") from error
    if not found:
        raise DataError(f"--simulation {path}: none of {', '.join(SHOWN_POLICIES)} is in it; {remedy}")
    return found


def read_search(path: Path) -> Searched:
    """The winner in a ``report.json`` of `frugal search`.

    Raises:
        DataError: The file cannot be read, or has no winner; the message names it.
    """
    remedy = "name the report.json of a frugal search whose finals had a winner"
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        best = report["best"]
        if best is None or report["phase"] != Phase.INFERENCE:
            what = "it has no winner" if best is None else "it is about training, the row about inference"
            raise DataError(f"--search {path}: {what}; {remedy}")
        return Searched(
            name=f"{' + '.join(best['tried']['design'])}, the best of {report['tried']}",
            saving=Interval(**best["saving"]),
            change=Interval(**best["accuracy_change_points"]),
            measured=best["measured"],
            by=best["by"],
        )
    except OSError as error:
        raise DataError(f"--search {path}: {error.strerror}; {remedy}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"--search {path}: not the report of a search ({error}); {remedy}") from error


def read_sweep(path: Path) -> SweepResult:
    """What ``frugal sweep --json`` wrote.

    Raises:
        DataError: The file cannot be read, or holds no sweep or an aborted one; the message names it.
    """
    try:
        sweep = SweepResult.from_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"--sweep {path}: {error.strerror}; name a file that frugal sweep --json wrote") from error
    except DataError as error:
        raise DataError(f"--sweep {path}: {error}") from error
    if not sweep.complete:
        raise DataError(
            f"--sweep {path}: the sweep was aborted: its best point may be one that it never came to; sweep again"
        )
    return sweep


def _searched(entry: Entry, one: Searched) -> Outside:
    by_time = one.by.startswith("CPU time")
    kind = Kind.MEASURED if one.measured else Kind.TIME if by_time else Kind.OPERATIONS
    return Outside(
        name=one.name,
        saving=one.saving,
        note=f"{one.by}; finals of the search on {one.saving.n} seeds that it had not seen",
        verdict=judge(entry.row, kind, one.saving, one.change),
        change=one.change,
    )


def _simulated(entry: Entry, one: Simulated) -> Outside:
    return Outside(
        name=f"{one.policy} against {one.baseline}, {one.table}",
        saving=one.dynamic,
        note=(
            f"energy above idle, of a simulated cluster; of all energy {percent(one.total)};"
            f" {one.too_slow:.0f} % of the jobs slower than they allow"
        ),
        verdict=judge(entry.row, Kind.SIMULATED, one.dynamic, _unchanged(one.dynamic)),
    )


def _interval(said: Mapping[str, Any]) -> Interval:
    mean, half = float(said["mean"]), said["half"]
    low, high = (None, None) if half is None else (mean - half, mean + half)
    return Interval(mean=mean, low=low, high=high, n=said["seeds"])


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
