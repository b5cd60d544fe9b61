"""The experiment: what Ballast saves on a month of a real cluster's jobs, against the policies of others.

`ballast simulate` runs the committed experiment (Philly's November 2017; `operator/ballast/simulate/experiments`): two
tables (nodes stay on; empty nodes are switched off, `switch_off` in the metrics), three loads, twelve arms, each in a
process of its own. A run is a seed: three unless told otherwise, ten are the whole experiment. A seed takes two cores
about five minutes. Savings are paired by seed. The tables with all arms go to standard error; with `--keep FOLDER`
every arm's jobs, drawings and tables are kept there, and an interrupted benchmark goes on from what is there. No figure
has an aim yet.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from ballast.simulate.command import CAVEATS
from ballast.simulate.comparison.comparison import Entry, Figure, Interval
from ballast.simulate.experiments.command import Failure, run_all
from ballast.simulate.experiments.experiment import Case, Plan, experiment_file, kept_in, read_plan
from ballast.simulate.experiments.kept import Kept
from ballast.simulate.experiments.report import report_of, write
from ballast.simulate.report.report import Report, render
from tests.bench.measurement import Measurement
from tests.nvmlsim.curves import data_folder

EXPERIMENT: Final = "philly-november-2017"
ARM: Final = "ballast"
RUNS: Final = 3
PROCESSES: Final = 2

SAVED: Final[Mapping[str, Figure]] = {
    "saved_percent": lambda summary: summary.joules,
    "dynamic_saved_percent": lambda summary: summary.dynamic_joules,
}
FIGURES: Final[Mapping[str, tuple[str, Figure]]] = {
    "slowdown_violations": ("jobs", lambda summary: float(summary.slowdown_violations)),
    "deadlines_missed": ("jobs", lambda summary: float(summary.deadlines_missed)),
    "mean_waited_seconds": ("s", lambda summary: summary.mean_waited_seconds),
    "p95_waited_seconds": ("s", lambda summary: summary.p95_waited_seconds),
}


def measure(seeds: int | None, keep: Path | None = None) -> Iterator[Measurement]:
    """Run what is left of the experiment and yield the figures of Ballast's own arm.

    Args:
        seeds: The first so many; None for `RUNS`.
        keep: Where raw results are kept; None to keep none.

    Raises:
        RuntimeError: An arm failed.
    """
    data = data_folder().parent
    path = experiment_file(EXPERIMENT)
    plan = read_plan(path, data).narrowed(seeds=seeds or RUNS)
    with tempfile.TemporaryDirectory() as scratch:
        kept = kept_in(keep or Path(scratch), path, data)
        report = _run(plan, kept, keep is not None)
        print(render(report), file=sys.stderr)
        yield from measurements(plan, report)


def _run(plan: Plan, kept: Kept, written: bool) -> Report:
    failures: list[Failure] = []
    run_all(plan, kept, PROCESSES, failures)
    if failures:
        arm, message, details = failures[0]
        raise RuntimeError(f"{len(failures)} arms failed; {arm}: {message}\n{details}")
    return write(plan, kept, CAVEATS, "") if written else report_of(plan, kept, CAVEATS, "")


def measurements(plan: Plan, report: Report) -> Iterator[Measurement]:
    """Yield the figures of a report of all the plan's cases."""
    for case, section in zip(plan.experiment.cases, report.sections, strict=True):
        comparison = section.comparison
        entry = next(entry for entry in comparison.entries if entry.policy == ARM)
        against = {comparison.baseline: False, comparison.second: True}
        broken = [check.rule for check in section.checks if check.held is not True]
        note = f"; not held: {', '.join(broken)}" if broken else ""
        for other, second in against.items():
            for metric, figure in SAVED.items():
                name = f"{metric}_vs_{other.replace('-', '_')}_{_suffix(case)}"
                values = entry.savings_percent(figure, second=second)
                yield _measurement(name, "%", values, note)
        for metric, (unit, figure) in FIGURES.items():
            yield _measurement(f"{metric}_{_suffix(case)}", unit, _values(entry, figure), note)


def _measurement(metric: str, unit: str, values: list[float], note: str) -> Measurement:
    mean = Interval.of(values)
    spread = "" if mean.half is None else f" ± {mean.half:.3g}"
    return Measurement("energy", metric, unit, None, values, note=f"mean over seeds {mean.mean:.4g}{spread}{note}")


def _values(entry: Entry, figure: Figure) -> list[float]:
    return [value for arm in entry.arms if (value := figure(arm.summary)) is not None]


def _suffix(case: Case) -> str:
    load = f"{100 * case.load:g}"
    return load if case.table.switch_off_after is None else f"{load}_switch_off"
