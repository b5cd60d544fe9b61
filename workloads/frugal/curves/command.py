"""``frugal curves record`` and ``frugal curves show``: nothing heavy is imported before it is needed."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frugal.config import DEFAULT_DATA_DIR
from frugal.errors import ConfigError
from frugal.signals import StopSignals, exit_status
from frugal.subcommand import told

if TYPE_CHECKING:
    from frugal.curves.recorder import Standing

_PROCESSES = 2  # that train at the same time where joules are an estimate
_RECORD = """\
Train many small models with settings drawn from fixed ranges, and keep how each went: losses, accuracy, time and joules
at 20 to 60 evaluations. The same command goes on where it was stopped. Joules are of the GPU's counter with --device
cuda; on a processor they are an estimate from its time, and marked so."""


def add_parser(subparsers: Any) -> None:
    """Add the command to those of ``frugal``."""
    curves = subparsers.add_parser("curves", help="record learning curves of many small trainings, or show some")
    commands = curves.add_subparsers(dest="curves_command", required=True, metavar="COMMAND")
    record = commands.add_parser("record", help="record, or go on recording", description=_RECORD)
    record.add_argument("--out", type=Path, required=True, metavar="FILE", help="such as curves.jsonl.gz")
    record.add_argument("--count", type=int, default=300, help="trainings in the file in the end (%(default)s)")
    record.add_argument(
        "--jobs", type=int, help=f"processes that train at the same time ({_PROCESSES}; 1 with counters)"
    )
    record.add_argument("--ranges", type=Path, metavar="FILE", help="what to draw from (frugal/curves/ranges.toml)")
    record.add_argument(
        "--data-dir", type=Path, default=DEFAULT_DATA_DIR, metavar="DIR", help="folder of data sets (%(default)s)"
    )
    record.add_argument("--device", default="cpu", choices=("cpu", "cuda"), help="(%(default)s)")
    show = commands.add_parser("show", help="say what a recording holds")
    show.add_argument("file", type=Path, metavar="FILE")
    show.add_argument("--plot", type=Path, metavar="IMAGE", help="draw all curves, as PNG, SVG or PDF")


def run(arguments: argparse.Namespace) -> int:
    """Do what the command line says; returns the exit status."""
    return told("curves", lambda: _record(arguments) if arguments.curves_command == "record" else _show(arguments))


def _record(arguments: argparse.Namespace) -> int:
    for field in ("count", "jobs"):
        value = getattr(arguments, field)
        if value is not None and value < 1:
            raise ConfigError(field, value, "use a whole number of at least 1")
    from frugal.bench.bar import Bar
    from frugal.curves import ranges, recorder

    drawn_from = ranges.load(arguments.ranges or ranges.DEFAULT_RANGES)
    measured = recorder.measures(arguments.device)
    jobs = arguments.jobs or (1 if measured else _PROCESSES)
    if measured and jobs > 1:
        raise ConfigError("jobs", jobs, "counters count all that runs, so trainings must run one by one: use 1")
    wanted = recorder.wanted(drawn_from, arguments.count, arguments.data_dir)
    if skipped := recorder.left_out(drawn_from, wanted):
        sys.stderr.write(f"{skipped} draws are left out: their data sets are not in {arguments.data_dir}\n")
    bar: Bar | None = None

    def tell(standing: Standing) -> None:
        nonlocal bar
        if bar is None:
            bar = Bar(standing.wanted - standing.done)
            bar.note(f"{standing.done}/{standing.wanted} trainings are there")
        if standing.newest is not None:
            accuracy = max(standing.newest.columns["val_accuracy"])
            bar.done(f"draw {standing.newest.draw.index}: accuracy {accuracy:.3f}")

    cut_off: recorder.CutOff | None = None
    signals = StopSignals()
    signals.install()
    try:
        standing = recorder.record(
            arguments.out,
            drawn_from,
            count=arguments.count,
            jobs=jobs,
            data_dir=arguments.data_dir,
            device=arguments.device,
            tell=tell,
            stop=lambda: signals.requested is not None,
        )
    except recorder.CutOff as error:
        cut_off = error
    finally:
        signals.restore()
        if bar is not None:
            bar.close()
    if cut_off is not None:  # told here: the bar has left the terminal's line
        sys.stderr.write(f"frugal curves: {cut_off}\n")
        return exit_status(signals.requested or signal.SIGTERM)
    sys.stderr.write(f"{standing.done}/{standing.wanted} trainings are kept\n")
    if signals.requested is not None and standing.done < standing.wanted:
        return exit_status(signals.requested)
    return 0


def _show(arguments: argparse.Namespace) -> int:
    from frugal.curves import recording
    from frugal.curves.summary import describe, plot

    found = recording.read(arguments.file)
    sys.stdout.write(describe(found, arguments.file.stat().st_size) + "\n")
    if arguments.plot is not None:
        plot(found, arguments.plot)
    return 0
