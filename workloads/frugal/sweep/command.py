"""``frugal sweep``: measures what operating points of one GPU save and cost, and puts the GPU back.

Stop requests only set a flag that work looks at; a second one puts the GPU back at once and leaves. What was found is
told before anything is changed, with the command that puts it back: a process that is killed cannot.
"""

from __future__ import annotations

import argparse
import math
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frugal.config import DEFAULT_DATA_DIR, TrainConfig
from frugal.errors import ConfigError
from frugal.signals import StopSignals, exit_status
from frugal.subcommand import told
from frugal.sweep.errors import Interrupted, SweepError
from frugal.sweep.points import DEFAULT, parse

if TYPE_CHECKING:
    from frugal.sweep.gpu import Gpu
    from frugal.sweep.settings import Settings
    from frugal.sweep.work import Work

_DESCRIPTION = """\
Measure what power limits and locked clocks of one GPU save, and what they cost in time. The same training (or COMMAND)
runs at each point, in several rounds; joules are those of the GPU's own counter. Needs root, changes the GPU for the
time of the sweep, and puts back what it found. Accuracy is not affected by operating points."""
_EXAMPLES = """\
examples:
  frugal sweep --dry-run
  frugal sweep --data fashion-mnist --model cnn --batch-size 512
  frugal sweep --points power:5,clocks:4 --json resnet.json -- python train.py --steps 200
"""
_EPOCHS = 1_000_000  # a training ends when it was measured, not by its epochs


def add_parser(subparsers: Any) -> None:
    """Add the command to those of ``frugal``."""
    parser = subparsers.add_parser(
        "sweep",
        help="measure what power limits and clocks of a GPU save",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    defaults = TrainConfig()
    where = parser.add_argument_group("where, and at which points")
    where.add_argument("--gpu", default="0", metavar="INDEX|UUID", help="as nvidia-smi -L names it (%(default)s)")
    where.add_argument(
        "--points",
        default=DEFAULT,
        metavar="LIST",
        help="power:N, clocks:N, 150W, 1410MHz, 150W@1410MHz, with commas between (%(default)s)",
    )
    where.add_argument("--rounds", type=int, default=3, help="times that each point is measured (%(default)s)")
    where.add_argument("--seconds", type=float, default=15.0, help="of training at each point (%(default)s)")
    where.add_argument(
        "--settle-seconds", type=float, default=3.0, help="of training before each measurement (%(default)s)"
    )
    where.add_argument("--seed", type=int, default=0, help="of weights and of the points' order (%(default)s)")
    where.add_argument("--dry-run", action="store_true", help="tell the points and change nothing")
    where.add_argument("--shared", action="store_true", help="sweep although other processes use the GPU")
    where.add_argument("--anyway", action="store_true", help="sweep in a pod, too")
    what = parser.add_argument_group("what to run")
    what.add_argument("--data", default=defaults.data, metavar="NAME", help="(%(default)s)")
    what.add_argument("--data-dir", type=Path, default=DEFAULT_DATA_DIR, metavar="DIR", help="(%(default)s)")
    what.add_argument("--model", default=defaults.model, metavar="NAME", help="(%(default)s)")
    what.add_argument("--batch-size", type=int, default=defaults.batch_size, help="(%(default)s)")
    what.add_argument("--with", dest="techniques", action="append", default=[], metavar="TECHNIQUE", help="as in train")
    what.add_argument("--steps", type=int, default=1, help="training steps that COMMAND takes (%(default)s)")
    what.add_argument("work", nargs="*", metavar="COMMAND", help="after --: run this, whole, instead of a training")
    out = parser.add_argument_group("what to write")
    out.add_argument(
        "--max-slowdown", type=float, default=10.0, metavar="PERCENT", help="to advise within (%(default)s)"
    )
    out.add_argument("--json", type=Path, metavar="FILE", help="all measurements, written as they are made")
    out.add_argument("--profile", type=Path, metavar="FILE", help="an EnergyProfile for Ballast, as YAML")
    out.add_argument("--profile-key", metavar="KEY", help="its profileKey (DATA-MODEL-bsN)")


def run(arguments: argparse.Namespace) -> int:
    """Do what the command line says; returns the exit status."""
    return told("sweep", lambda: _interruptible(arguments))


def _interruptible(arguments: argparse.Namespace) -> int:
    signals = _Signals()
    try:
        with signals.handled():
            return _sweep(arguments, signals)
    except Interrupted as error:
        sys.stderr.write(f"frugal sweep: {error}; the GPU is as it was found\n")
        return exit_status(signals.stop.requested or signal.SIGTERM)


def _sweep(arguments: argparse.Namespace, signals: _Signals) -> int:
    _check(arguments)
    from frugal.sweep import profile
    from frugal.sweep import settings as found
    from frugal.sweep.gpu import Gpu

    key = arguments.profile_key or _default_key(arguments)
    if arguments.profile is not None:
        profile.check_key(key)
    gpu = Gpu.open(arguments.gpu)
    if gpu.simulated:
        sys.stderr.write("SIMULATED: this is the simulated NVML; nothing below is of a real GPU\n")
    settings = found.Settings(gpu)
    points = parse(arguments.points, settings.board)
    highest_clock_mhz = gpu.clocks_mhz[-1] if gpu.clocks_mhz else None
    if arguments.profile is not None:
        profile.check(key, len(points), highest_clock_mhz)
    sys.stderr.write(f"{gpu.name} ({gpu.uuid}), found at {settings.board.baseline}\n")
    if arguments.dry_run:
        sys.stdout.write("".join(f"{point}\n" for point in points))
        return 0
    found.refuse_pod(os.environ, anyway=arguments.anyway)
    if gpu.divided():
        raise SweepError("this GPU is divided by MIG: its parts share one power limit and one counter; choose another")
    found.refuse_company(gpu.processes(), shared=arguments.shared)
    settings.ask_permission()
    signals.settings = settings
    by_hand = settings.by_hand(clocks=any(point.max_clock_mhz is not None for point in points))
    sys.stderr.write(f"if this process is killed, put the GPU back with: {by_hand}\n")

    from frugal.bench.bar import Bar
    from frugal.sweep.keeping import KeptResult
    from frugal.sweep.report import report
    from frugal.sweep.result import SweepResult
    from frugal.sweep.sweeping import Measurement, sweep

    work, described = _work(arguments, gpu, signals)
    empty = SweepResult(
        gpu_model=gpu.name,
        simulated=gpu.simulated,
        work=described,
        measured_at="",
        highest_clock_mhz=highest_clock_mhz,
        points=points,
        measurements=[],
    )
    kept = KeptResult(empty, arguments.json)
    bar = Bar(len(points) * arguments.rounds)

    def tell(one: Measurement) -> None:
        kept.add(one)
        bar.done(f"{one.point}: {one.steps / one.seconds:.4g} steps/s, {one.joules / one.seconds:.0f} W")

    try:
        measurements = sweep(
            gpu,
            settings,
            work,
            points,
            rounds=arguments.rounds,
            seed=arguments.seed,
            shared=arguments.shared,
            tell=tell,
        )
    except BaseException:
        if kept.kept:
            bar.note(f"{kept.kept} measurements are kept in {arguments.json}")
        raise
    finally:
        bar.close()
    sys.stderr.write(f"the GPU is as it was found: {settings.board.baseline}\n")
    result = kept.end(measurements)
    sys.stdout.write(report(result, arguments.max_slowdown))  # first: files may fail to be written
    sys.stdout.flush()
    if arguments.json is not None:
        kept.write(result)
    if arguments.profile is not None:
        arguments.profile.write_text(profile.to_yaml(result, key))
    return 0


def _work(arguments: argparse.Namespace, gpu: Gpu, signals: _Signals) -> tuple[Work, str]:
    from frugal.sweep.work import CommandWork, TrainingWork

    # Indices of CUDA are others than NVML's; UUIDs are the same. Before torch is imported, or it comes too late.
    os.environ["CUDA_VISIBLE_DEVICES"] = gpu.uuid
    if arguments.work:
        command = CommandWork(arguments.work, dict(os.environ), arguments.steps, signals.stop)
        signals.end_work = command.kill
        return command, f"command {' '.join(arguments.work)}"
    from frugal.sweep.training import VALIDATED, Training

    config = TrainConfig(
        data=arguments.data,
        data_dir=arguments.data_dir,
        model=arguments.model,
        batch_size=arguments.batch_size,
        seed=arguments.seed,
        epochs=_EPOCHS,
        device="cuda",
        report_every=_EPOCHS,
    )
    training = Training(config, arguments.techniques, signals.stop)
    described = (
        f"frugal training of {config.model} on {config.data}, batch size {config.batch_size}, validated on"
        f" {VALIDATED} examples"
    )
    if arguments.techniques:
        described += f", with {', '.join(arguments.techniques)}"
    return TrainingWork(training, arguments.seconds, arguments.settle_seconds), described


def _default_key(arguments: argparse.Namespace) -> str:
    if arguments.work:
        if arguments.profile is not None and arguments.profile_key is None:
            raise ConfigError("profile_key", None, "a command needs one: what its TrainingJobs have as profileKey")
        return ""
    return f"{arguments.data}-{arguments.model}-bs{arguments.batch_size}"


def _check(arguments: argparse.Namespace) -> None:
    for field in ("rounds", "steps", "batch_size"):
        if getattr(arguments, field) < 1:
            raise ConfigError(field, getattr(arguments, field), "use a whole number of at least 1")
    for field, least in (("seconds", 1.0), ("settle_seconds", 0.0), ("max_slowdown", 0.0)):
        value = getattr(arguments, field)
        if not least <= value < math.inf:
            raise ConfigError(field, value, f"use a number of at least {least:g}")
    for field in ("json", "profile"):
        path: Path | None = getattr(arguments, field)
        if path is not None and not path.parent.is_dir():
            raise ConfigError(field, path, "its folder does not exist: make it first")


class _Signals:
    """SIGTERM, SIGINT and SIGHUP ask to stop; a second one puts the GPU back and leaves. ``nohup`` is respected."""

    def __init__(self) -> None:
        self.stop = StopSignals(leave=self._leave)
        self.settings: Settings | None = None
        self.end_work: Callable[[], object] = lambda: None

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Handle them."""
        self.stop.install()
        hangup = signal.getsignal(signal.SIGHUP)
        if hangup != signal.SIG_IGN:
            signal.signal(signal.SIGHUP, self.stop.handle)
        try:
            yield
        finally:
            signal.signal(signal.SIGHUP, hangup)
            self.stop.restore()

    def _leave(self, status: int) -> None:
        try:
            if self.settings is not None:
                self.settings.put_back()
        except SweepError as error:
            with suppress(OSError):
                os.write(sys.stderr.fileno(), f"frugal sweep: {error}\n".encode())
        self.end_work()
        os._exit(status)
