"""``ballast simulate --experiment FILE --data DIR``: a whole experiment, table by table, which can be interrupted.

What must hold: what an experiment's file says is not overridden by options; the same command goes on where an
interrupted one stopped. Exit statuses are those of `ballast.simulate.command`.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ballast.errors import UserError

if TYPE_CHECKING:
    from ballast.simulate.experiments.experiment import Plan
    from ballast.simulate.experiments.kept import Kept

Failure = tuple[str, str, str]
"""An arm, why it failed, and the traceback where the fault is ours."""

_SAID_BY_FILE: Final[Mapping[str, object]] = {
    "trace": None,
    "format": "own",
    "cluster": None,
    "policies": None,
    "every": 1,
    "load": None,
    "curves": None,
    "zeus": None,
    "switch_off_after": None,
    "carbon": None,
    "price": None,
    "trace_began": None,
}
"""Options that an experiment's file takes the place of, and what they are where nobody gave them."""


def add_options(parser: Any) -> None:
    """Add an experiment's options to those of ``simulate``.

    Args:
        parser: Or a group of one.
    """
    parser.add_argument(
        "--experiment",
        metavar="FILE",
        help="run a whole experiment, which says itself what is simulated; or one of ours: philly-november-2017",
    )
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="its data: philly/ (the trace), zeus/ (measured tables)"
    )
    parser.add_argument(
        "--loads", type=_loads, metavar="SHARES", help="some of its loads, as 0.6,0.8 (all); --seeds: its first N seeds"
    )


def run(
    arguments: argparse.Namespace,
    *,
    caveats: Sequence[str],
    banner: str,
    tell: Callable[[Sequence[Failure]], None],
) -> int:
    """Run an experiment, or what is left of it; returns 0, or 1 if an arm failed.

    Args:
        arguments: With the options of `add_options`, ``seeds``, ``out``, ``json`` and ``processes``.
        caveats: What figures of any simulation do not say.
        banner: Likewise, where the curves are not measured.
        tell: Tells of arms that failed.

    Raises:
        UserError: The file, the data or the folder of the results are not as they should be.
        KeyboardInterrupt: What was done until then is kept.
    """
    from ballast.simulate.experiments.experiment import experiment_file, kept_in, read_plan
    from ballast.simulate.experiments.report import write
    from ballast.simulate.report.report import as_json, render

    _check(arguments)
    path = experiment_file(arguments.experiment)
    plan = read_plan(path, arguments.data)
    plan = plan.narrowed(arguments.loads, arguments.seeds)
    kept = kept_in(arguments.out / plan.experiment.name, path, arguments.data)
    said = "" if plan.curves.measured else banner
    if said:
        sys.stderr.write(f"note: {said}\n")
    failures: list[Failure] = []
    try:
        run_all(plan, kept, arguments.processes or len(os.sched_getaffinity(0)), failures)
    except KeyboardInterrupt:
        sys.stderr.write(f"what is done is kept in {kept.folder}: the same command goes on\n")
        raise
    finally:
        tell(failures)
    report = write(plan, kept, caveats, banner)
    sys.stderr.write(f"report.md, table, JSON and a folder for each table and load are in {kept.folder}\n")
    sys.stdout.write(as_json(report) if arguments.json else render(report))
    sys.stdout.flush()
    return 1 if failures else 0


def run_all(plan: Plan, kept: Kept, processes: int, failures: list[Failure]) -> None:
    """Run what is left, with a progress bar; arms that failed are in ``failures`` even if this is interrupted."""
    from ballast.simulate.comparison.arms import Compared
    from ballast.simulate.comparison.processes import Doing, Done
    from ballast.simulate.experiments.experiment import missing, run_experiment
    from ballast.simulate.report.progress_bar import ArmsBar

    experiment = plan.experiment
    total = sum(len(missing(experiment, case, kept)) for case in experiment.cases) * len(experiment.arms)
    with ArmsBar(total) as bar, closing(run_experiment(plan, kept, processes)) as events:
        for told in events:
            event = told.event
            if isinstance(event, Compared):
                continue
            name = f"{told.case}: {event.task}"
            if isinstance(event, Doing):
                bar.doing(name, event.share)
            elif isinstance(event, Done):
                bar.done(name, event.seconds)
            else:
                failures.append((name, event.message, event.details))
                bar.failed(name, event.message)


def _check(arguments: argparse.Namespace) -> None:
    for name, default in _SAID_BY_FILE.items():
        if getattr(arguments, name) != default:
            option = "--policy" if name == "policies" else f"--{name.replace('_', '-')}"
            raise UserError(f"{option}: an experiment's file says what is simulated: leave it out, or --experiment")
    if arguments.data is None:
        raise UserError("--data: name the folder with the experiment's data, philly/ and zeus/")


def _loads(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not shares with commas between them, as 0.6,0.8") from None
