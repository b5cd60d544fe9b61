"""``ballast simulate``: the same jobs under several policies, on a cluster that exists only as a file.

The table, or JSON, goes to standard output; progress and failures go to standard error. Exit statuses: 0 done, 1 an arm
failed, 2 wrong arguments or files, 130 interrupted; what was done until then is kept.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import os
import sys
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ballast.errors import BallastError, UserError
from ballast.simulate.experiments.command import add_options
from ballast.simulate.experiments.command import run as run_experiment

# What needs an extra is imported where it is used: `ballast operator` must start without any of it.
if TYPE_CHECKING:
    from ballast.simulate.comparison.arms import Compared, Setup
    from ballast.simulate.report.report import Report
    from ballast.simulate.report.results import Results
    from ballast.simulate.setups import Facts

FAILED = 1
WRONG_ARGUMENTS = 2
INTERRUPTED = 130
DEFAULT_SEEDS = 3
MAX_SEEDS = 1000
_FORMATS = ("own", "philly", "gavel")
_EXTRA = ("kubernetes", "matplotlib", "numpy", "pydantic", "rich", "scipy", "yaml")
"""Modules of the extra `simulate`."""
_NEED_CARBON = frozenset({"carbon-gate"})
"""Policies that are another one as long as nothing says how clean the electricity is."""

_DESCRIPTION = """\
Simulate the same jobs under several policies on a cluster that exists only as a file, and tell what each would use and
take: energy, waiting, slowdown, deadlines, CO2e and cost. No Kubernetes and no GPU is needed."""

_EPILOG = """\
examples:
  ballast simulate --example-cluster > cluster.yaml
  ballast simulate --example-trace > trace.csv
  ballast simulate --trace trace.csv --cluster cluster.yaml
  ballast simulate --trace trace.csv --cluster cluster.yaml --policy fifo-spread --policy per-job-limit --seeds 10
  ballast simulate --trace philly.csv.gz --format philly --every 100 --load 0.8 --cluster cluster.yaml --out philly
  ballast simulate --trace trace.csv --cluster cluster.yaml --switch-off-after 120 \\
      --carbon grid.csv --trace-began 2026-01-05T00:00:00Z

a series (--carbon in g/kWh, --price in any currency for a kWh) is CSV; a value holds until the next time:
  time,value
  0,420
  3600,380

curves (--curves) are CSV: kind,gpu_model,limit_watts,work_per_second,watts. work_per_second is 1 at the highest limit
of the GPU model on which the trace's seconds count. Without --curves and --zeus our own fitted curves are used: six
kinds of jobs on V100 and A40, not measured.

results in --out: table.txt, results.json, arms.csv, report.html, drawings as PNG and SVG, jobs/POLICY-seed-N.csv.
Those of an earlier simulation in the same folder are replaced; other files there are left alone.
"""

_BANNER = (
    "No curves were given (--curves, --zeus): speed and power are our own parametric fit, not measurements. Compare "
    "policies with it; do not quote its joules."
)
CAVEATS = (
    "A job on several GPUs is taken to scale linearly; what the network between nodes costs is not simulated.",
    "A node's power without its GPUs is a constant while it is on; CPUs that work harder are not simulated.",
    (
        "Idle power counts until the last job of any arm ended. After the last arrival the cluster is mostly idle, so "
        "that savings of total energy are smaller than in a cluster that stays busy; dynamic energy is free of that."
    ),
    (
        "Some policies are told speeds or durations that they would not know in a cluster, which favours them; their "
        "references say so."
    ),
)
_TOLD_PRIOR = (
    "What Ballast assumes of a job that it has not measured was fitted to the same tables as these curves, these kinds "
    "of jobs among them, which favours it; with --zeus each kind's own rows are left out."
)


def add_parser(subparsers: Any) -> None:
    """Add ``simulate`` to the command line."""
    parser = subparsers.add_parser(
        "simulate",
        help="simulate policies on a trace of jobs",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_argument_group("what to simulate")
    what.add_argument("--trace", type=Path, metavar="FILE", help="the jobs; may be compressed with gzip")
    what.add_argument("--format", choices=_FORMATS, default="own", help="of the trace (%(default)s)")
    what.add_argument("--cluster", type=Path, metavar="FILE", help="the nodes, YAML")
    what.add_argument(
        "--policy",
        dest="policies",
        action="append",
        metavar="NAME",
        help="may be repeated; savings are against the first (all of --list-policies; carbon-gate only with --carbon)",
    )
    what.add_argument("--seeds", type=_seeds, metavar="N", help=f"seeds 0 to N-1 ({DEFAULT_SEEDS})")
    what.add_argument(
        "--every",
        type=_count,
        default=1,
        metavar="N",
        help="take every Nth job, beginning with number SEED mod N (%(default)s)",
    )
    what.add_argument(
        "--load",
        type=_share,
        metavar="SHARE",
        help="move submissions until jobs ask for this share of the GPUs, as 0.8",
    )
    how = parser.add_argument_group("how the simulated world is")
    curves = how.add_mutually_exclusive_group()
    curves.add_argument("--curves", type=Path, metavar="FILE", help="your own measurements of speed and power, CSV")
    curves.add_argument("--zeus", type=Path, metavar="FOLDER", help="measured tables of Zeus (NSDI 2023)")
    how.add_argument(
        "--switch-off-after", type=_duration, metavar="SECONDS", help="switch nodes off that are empty so long (never)"
    )
    how.add_argument("--carbon", type=Path, metavar="CSV", help="carbon intensity of the electricity, g/kWh")
    how.add_argument("--price", type=Path, metavar="CSV", help="price of a kWh")
    how.add_argument(
        "--trace-began", type=_moment, metavar="TIME", help="the trace's second 0, for series whose times are dates"
    )
    add_options(parser.add_argument_group("a whole experiment instead, which says all of this itself"))
    out = parser.add_argument_group("results")
    out.add_argument(
        "--out", type=Path, default=Path("simulation"), metavar="DIR", help="where they are kept (./%(default)s)"
    )
    out.add_argument("--json", action="store_true", help="print JSON instead of the table")
    out.add_argument("--processes", type=_count, metavar="N", help="arms at a time (as many as there are CPUs)")
    instead = parser.add_argument_group("instead of a simulation").add_mutually_exclusive_group()
    instead.add_argument("--list-policies", action="store_true", help="print the policies' names, and exit")
    instead.add_argument("--example-cluster", action="store_true", help="print a cluster file, and exit")
    instead.add_argument("--example-trace", action="store_true", help="print a trace, and exit")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    try:
        return _run(arguments)
    except UserError as mistake:
        return _fail(str(mistake), WRONG_ARGUMENTS)
    except BallastError as error:
        return _fail(str(error), FAILED)
    except KeyboardInterrupt:
        return _fail("interrupted", INTERRUPTED)
    except BrokenPipeError:  # whoever read along has read enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains when it ends
        return 0


def _run(arguments: argparse.Namespace) -> int:
    _require_extra()
    if arguments.list_policies:
        return _show(list_policies())
    if arguments.example_cluster:
        from ballast.simulate.inputs.cluster import write_example

        return _show(write_example())
    # What follows imports numpy and others, which takes a moment.
    from ballast.simulate.setups import Inputs, example_trace, read_setups

    if arguments.example_trace:
        return _show(example_trace())
    if arguments.experiment is not None:
        return run_experiment(arguments, caveats=CAVEATS, banner=_BANNER, tell=_tell)
    for option in ("trace", "cluster"):
        if getattr(arguments, option) is None:
            raise UserError(f"--{option}: name a file; --example-{option} prints one")
    policies = _policies(arguments.policies, has_carbon=arguments.carbon is not None)
    setups, facts = read_setups(
        Inputs(
            trace=arguments.trace,
            cluster=arguments.cluster,
            format=arguments.format,
            seeds=arguments.seeds or DEFAULT_SEEDS,
            curves=arguments.curves,
            zeus=arguments.zeus,
            every=arguments.every,
            load=arguments.load,
            switch_off_after_seconds=arguments.switch_off_after,
            carbon=arguments.carbon,
            price=arguments.price,
            began=arguments.trace_began,
        )
    )
    return _simulate(arguments, policies, setups, facts)


def _require_extra() -> None:
    """See that all is there before hours of work, not when the report is written.

    Raises:
        UserError: Something is missing.
    """
    missing = [name for name in _EXTRA if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(f"simulate needs {', '.join(missing)}: pip install 'ballast[simulate]'")


def _show(text: str) -> int:
    sys.stdout.write(text)
    sys.stdout.flush()
    return 0


def _simulate(arguments: argparse.Namespace, policies: Sequence[str], setups: Sequence[Setup], facts: Facts) -> int:
    from ballast.simulate.policies.catalogue import POLICIES
    from ballast.simulate.report.results import Results

    results = Results(arguments.out)
    results.clear([*POLICIES])
    measured = setups[0].curves.measured
    if not measured:
        sys.stderr.write(f"note: {_BANNER}\n")
    found: list[Compared] = []
    failures: list[tuple[str, str, str]] = []
    interrupted = False
    try:
        _run_all(policies, setups, arguments.processes or _cpus(), results, found, failures)
    except KeyboardInterrupt:
        interrupted = True
    _tell(failures)
    if found:
        report = _report(policies, found, facts, measured, interrupted=interrupted)
        results.write(report, "" if measured else _BANNER)
        sys.stderr.write(f"report.html, table, JSON, CSV and drawings are in {arguments.out}\n")
        _print(report, as_json=arguments.json)
    if interrupted:
        kept = "of seeds of which all arms are done" if found else "but no seed has all of its arms"
        return _fail(f"interrupted; the jobs of arms that are done are in {arguments.out}, tables {kept}", INTERRUPTED)
    return FAILED if failures else 0


def _run_all(
    policies: Sequence[str],
    setups: Sequence[Setup],
    processes: int,
    results: Results,
    found: list[Compared],
    failures: list[tuple[str, str, str]],
) -> None:
    """Run all arms; what is done is in ``found`` and ``failures`` even if this is interrupted."""
    from ballast.simulate.comparison.arms import Compared, run_arms
    from ballast.simulate.comparison.processes import Doing, Done
    from ballast.simulate.report.progress_bar import ArmsBar

    total = len(policies) * len(setups)
    with ArmsBar(total) as bar, closing(run_arms(policies, setups, processes)) as events:
        for event in events:
            if isinstance(event, Compared):
                found.append(event)
            elif isinstance(event, Doing):
                bar.doing(str(event.task), event.share)
            elif isinstance(event, Done):
                results.add_jobs(event.task.policy, event.task.setup.seed, event.result.rows)
                bar.done(str(event.task), event.seconds)
            else:
                failures.append((str(event.task), event.message, event.details))
                bar.failed(str(event.task), event.message)


def _report(
    policies: Sequence[str], found: Sequence[Compared], facts: Facts, measured: bool, *, interrupted: bool
) -> Report:
    from ballast.simulate.comparison.arms import checks
    from ballast.simulate.comparison.comparison import Comparison
    from ballast.simulate.report.report import Report, Section

    seeds = sorted(found, key=lambda compared: compared.seed)
    comparison = Comparison.of([arm for seed in seeds for arm in seed.arms], policies)
    caveats = [*CAVEATS]
    if not measured:
        caveats.insert(0, _BANNER)
        caveats.append(_TOLD_PRIOR)
    if interrupted:
        caveats.insert(0, f"The simulation was interrupted: only seeds {_listed(seeds)} are in these figures.")
    return Report("Ballast simulation", facts, (Section("", comparison, checks(seeds, policies)),), tuple(caveats))


def _listed(seeds: Sequence[Compared]) -> str:
    return ", ".join(str(compared.seed) for compared in seeds)


def _print(report: Report, *, as_json: bool) -> None:
    from ballast.simulate.report import report as reports

    _show(reports.as_json(report) if as_json else reports.render(report))


def _tell(failures: Sequence[tuple[str, str, str]]) -> None:
    """Each reason once, with all arms that it ended; where the fault is ours, with the traceback."""
    by_reason: dict[str, list[str]] = {}
    details: dict[str, str] = {}
    for arm, message, trace in failures:
        by_reason.setdefault(message, []).append(arm)
        details.setdefault(message, trace)
    for message, arms in by_reason.items():
        who = arms[0] if len(arms) == 1 else f"{len(arms)} arms ({arms[0]} and others)"
        sys.stderr.write(f"{details[message]}ballast: {who} failed: {message}\n")


def list_policies() -> str:
    """The policies' names, what they do, and whether they see to the slowdown; a line each."""
    from ballast.simulate.policies.catalogue import POLICIES

    width = max(map(len, POLICIES))
    return "".join(f"{name:{width}}  {arm.description}\n" for name, arm in POLICIES.items())


def _policies(named: Sequence[str] | None, *, has_carbon: bool) -> list[str]:
    from ballast.simulate.policies.catalogue import POLICIES

    if not named:
        return [name for name in POLICIES if has_carbon or name not in _NEED_CARBON]
    for name in named:
        if name not in POLICIES:
            raise UserError(f"--policy {name}: must be one of {', '.join(POLICIES)}")
        if named.count(name) > 1:
            raise UserError(f"--policy {name}: stands twice: name it once")
        if name in _NEED_CARBON and not has_carbon:
            raise UserError(f"--policy {name}: waits for clean electricity: give --carbon, or leave the policy out")
    return list(named)


def _cpus() -> int:
    """How many this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1  # macOS


def _fail(message: str, status: int) -> int:
    sys.stderr.write(f"ballast: {message}\n")
    return status


def _number(text: str, least: float, most: float, what: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not least <= value <= most:
        raise argparse.ArgumentTypeError(f"{text!r} is not {what}")
    return value


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 or more")
    return int(text)


def _seeds(text: str) -> int:
    if _count(text) > MAX_SEEDS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to {MAX_SEEDS}")
    return int(text)


def _share(text: str) -> float:
    return _number(text, 1e-3, 10, "a share from 0.001 to 10, as 0.8")


def _duration(text: str) -> float:
    return _number(text, 0, 1e9, "a number of seconds of 0 or more")


def _moment(text: str) -> datetime:
    from ballast.simulate.series import read_moment

    try:
        return read_moment(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 2026-01-05T00:00:00Z") from None
