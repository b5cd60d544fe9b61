"""``frugal table1``: the survey's Table 1, run here and shown.

The table goes to standard output and, as markdown, JSON and drawings, beside the trials in the folder ``--out``; which
counters there are, progress and failures go to standard error. A folder is gone on with, like a bench's. Exit statuses
are those of ``frugal bench``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frugal.bench import survey
from frugal.bench.command import add_measuring_options, power_model
from frugal.bench.plan import Plan
from frugal.config import DEFAULT_DATA_DIR, TrainConfig
from frugal.errors import ConfigError
from frugal.signals import StopSignals, exit_status
from frugal.subcommand import FAILED, listening, told

if TYPE_CHECKING:
    from frugal.bench.runner import Outcome
    from frugal.bench.survey import Row
    from frugal.bench.table1 import Entry

DEVICES = ("auto", "cpu", "cuda")
DEFAULT_SEEDS = 3

_DESCRIPTION = """\
Train and ask what the survey's Table 1 names, each technique against the same baseline, and tell what it saves here:
measured where this machine has energy counters, else estimated and marked so; accuracy beside it. About 20 minutes on
two cores. Results are kept in --out: the same command goes on where it was stopped, and shows what there is."""


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much is trained.

    Attributes:
        inference_seconds: Least length of a repeat.
    """

    data: str
    epochs: int
    batch_size: int
    seeds: int
    inference_seconds: float


SIZES = {
    "cpu": Size(data="fashion-mnist", epochs=4, batch_size=128, seeds=DEFAULT_SEEDS, inference_seconds=0.4),
    "cuda": Size(data="fashion-mnist", epochs=12, batch_size=512, seeds=DEFAULT_SEEDS, inference_seconds=5.0),
}
QUICK = Size(data="digits", epochs=4, batch_size=64, seeds=2, inference_seconds=0.05)
QUICK_GPU_SECONDS = 1.0  # an NVML counter moves some ten times a second: 0.05 s would be no joules, or twice as many


def add_parser(subparsers: Any) -> None:
    """Add ``table1`` to the command line."""
    keys = " | ".join(row.key for row in survey.ROWS)
    parser = subparsers.add_parser(
        "table1",
        help="the survey's Table 1, measured here",
        description=_DESCRIPTION,
        epilog=f"rows: {keys}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_argument_group("what to run")
    what.add_argument("--only", action="append", default=[], metavar="ROW", help="this row only; may be repeated")
    what.add_argument("--quick", action="store_true", help="a look in a few minutes: digits, two seeds; proves nothing")
    what.add_argument("--seeds", type=int, metavar="N", help=f"seeds 0 to N-1 ({DEFAULT_SEEDS})")
    what.add_argument("--device", default="auto", metavar="NAME", help=f"{' | '.join(DEVICES)} (%(default)s)")
    what.add_argument("--data", metavar="NAME", help="data set (fashion-mnist; digits with --quick)")
    what.add_argument(
        "--data-dir",
        type=Path,
        default=DEFAULT_DATA_DIR,
        metavar="DIR",
        help="folder of installed data sets (%(default)s)",
    )
    what.add_argument("--epochs", type=int, help="of the baselines (4 on a CPU, 12 on a GPU, 4 with --quick)")
    what.add_argument(
        "--sweep",
        dest="sweeps",
        action="append",
        type=Path,
        metavar="FILE",
        help="what frugal sweep --json wrote, for the row dvfs; may be repeated (recorded ones, simulated)",
    )
    what.add_argument(
        "--search",
        dest="searches",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="report.json of a frugal search architecture, for the row search; may be repeated",
    )
    what.add_argument(
        "--simulation",
        dest="simulations",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="results.json of a ballast simulate, for the row scheduling; may be repeated",
    )
    add_measuring_options(parser)
    parser.set_defaults(inference_seconds=None)  # the size's, unless one is named
    parser.add_argument_group("results").add_argument(
        "--out", type=Path, metavar="DIR", help="where results are kept, and gone on with (table1-DEVICE)"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    with listening() as signals:
        return told("table1", lambda: _run(arguments, signals))


def rows_for(keys: Sequence[str]) -> list[Row]:
    """The rows that ``--only`` names, in the table's order; all without it.

    Raises:
        ConfigError: There is no such row.
    """
    known = {row.key: row for row in survey.ROWS}
    for key in keys:
        if key not in known:
            raise ConfigError("only", key, f"use one of {', '.join(known)}")
    return [row for row in survey.ROWS if not keys or row.key in keys]


def _run(arguments: argparse.Namespace, signals: StopSignals) -> int:
    rows = rows_for(arguments.only)
    if arguments.seeds is not None and arguments.seeds < 1:
        raise ConfigError("seeds", arguments.seeds, "use at least 1; 3 give an interval worth reading")
    # torch comes with these, seconds later.
    from frugal.bench.operations import joules_per_example
    from frugal.bench.runner import meter_for, run_plan
    from frugal.bench.table1 import entries
    from frugal.bench.table1_hardware import with_hardware
    from frugal.bench.table1_sources import (
        read_search,
        read_simulation,
        read_sweep,
        recorded_sweeps,
        with_searches,
        with_simulations,
        with_sweeps,
    )
    from frugal.bench.trial import Procedure

    device = _device(arguments.device)
    size = _size(arguments, device)
    plan = _plan(arguments, rows, size, device)
    out: Path = arguments.out or Path("-".join([f"table1-{device}", *(["quick"] if arguments.quick else [])]))
    procedure = Procedure(
        batch=arguments.inference_batch,
        seconds=size.inference_seconds if arguments.inference_seconds is None else arguments.inference_seconds,
        repeats=arguments.inference_repeats,
    )
    sweeps = [read_sweep(path) for path in arguments.sweeps or recorded_sweeps()]
    searches = [read_search(path) for path in arguments.searches]
    simulated = [one for path in arguments.simulations for one in read_simulation(path)]
    meter = meter_for(plan, power_model(arguments))
    outcome = run_plan(plan, out, meter, procedure=procedure, signals=signals)
    if outcome.trials:
        found = entries(outcome.trials, plan=plan, device=device, count=joules_per_example, rows=rows)
        found = with_simulations(with_searches(with_sweeps(found, sweeps), searches), simulated)
        found = with_hardware(found, outcome.trials)
        _show(found, outcome, plan, size, out)
    for failure in outcome.failures:
        sys.stderr.write(f"failed: {failure.case}, seed {failure.seed}: {failure.message}\n")
    if outcome.interrupted is not None:
        sys.stderr.write("interrupted; the same command goes on where this stopped\n")
        return exit_status(outcome.interrupted)
    return FAILED if outcome.failures else 0


def _device(name: str) -> str:
    """The device that ``name`` means: cpu or cuda.

    Raises:
        ConfigError: There is no such device.
    """
    from frugal.distributed import World, choose_device

    if name not in DEVICES:
        raise ConfigError("device", name, f"use one of {', '.join(DEVICES)}")
    return choose_device(name, World()).type


def _size(arguments: argparse.Namespace, device: str) -> Size:
    size = QUICK if arguments.quick else SIZES[device]
    if arguments.quick and device == "cuda":
        size = replace(size, inference_seconds=QUICK_GPU_SECONDS)
    wanted = {name: getattr(arguments, name) for name in ("data", "epochs", "seeds")}
    return replace(size, **{name: value for name, value in wanted.items() if value is not None})


def _plan(arguments: argparse.Namespace, rows: Sequence[Row], size: Size, device: str) -> Plan:
    from frugal.bench.table1 import make_plan

    config = TrainConfig(
        data=size.data,
        data_dir=arguments.data_dir,
        epochs=size.epochs,
        batch_size=size.batch_size,
        device=device,
    )
    return make_plan(config, range(size.seeds), device=device, rows=rows)


def _show(found: Sequence[Entry], outcome: Outcome, plan: Plan, size: Size, out: Path) -> None:
    from frugal.bench import table1_report
    from frugal.bench.comparison import compare
    from frugal.bench.operations import NAME

    header = table1_report.Header(
        environment=outcome.environment,
        data=f"{size.data}, {size.epochs} epochs",
        operations_by=NAME,
        seeds=plan.seeds,
        trials=(len(outcome.trials), sum(len(case.phases) for case in plan.cases) * len(plan.seeds)),
        seconds=sum(trial.energy.seconds for trial in outcome.trials),
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )
    sys.stdout.write(table1_report.to_text(found, header) + "\n")
    sys.stdout.flush()
    for path in table1_report.write(found, header, compare(outcome.trials), out):
        sys.stderr.write(f"wrote {path}\n")
