"""``frugal train``: turns arguments into a `TrainConfig`, errors into one line, outcomes into exit statuses.

Exit statuses: 0 done, 1 failed, 2 wrong arguments, 143 (SIGTERM) and 130 (SIGINT) interrupted after a checkpoint.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path
from typing import Any

from frugal import catalog, logs
from frugal.config import DEFAULT_DATA_DIR, DEVICES, TrainConfig
from frugal.errors import ConfigError, FrugalError
from frugal.signals import StopSignals
from frugal.subcommand import FAILED, WRONG_ARGUMENTS, as_option, fail
from frugal.termination import TERMINATION_LOG, write_message

log = logging.getLogger(__name__)

CHECKPOINT_DIR_VARIABLE = "BALLAST_CHECKPOINT_DIR"

_DESCRIPTION = """\
Train a model, alone or in a gang under torchrun. Progress goes to standard error, one line each; the result is one line
of JSON on standard output (and in the pod's status, where there is one). SIGTERM or SIGINT saves a checkpoint after the
step under way and exits with 143 or 130; the same command then resumes exactly there. A second signal exits at once."""

_EXAMPLES = """\
examples:
  frugal train --data digits --model mlp --epochs 20
  frugal train --data fashion-mnist --model cnn --epochs 5 --checkpoint-dir /checkpoints
  torchrun --nproc-per-node 2 -m frugal train --data digits --model cnn --epochs 20
"""


def add_parser(subparsers: Any) -> None:
    """Add ``train`` to the command line; defaults are those of `TrainConfig`."""
    parser = subparsers.add_parser(
        "train",
        help="train a model",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    defaults = TrainConfig()

    what = parser.add_argument_group("what to train")
    what.add_argument(
        "--data", default=defaults.data, metavar="NAME", help=f"{' | '.join(catalog.data_names())} (%(default)s)"
    )
    what.add_argument(
        "--data-dir",
        type=Path,
        default=defaults.data_dir,
        metavar="DIR",
        help=f"folder of installed data sets ({DEFAULT_DATA_DIR}, where Debian puts them)",
    )
    what.add_argument(
        "--model", default=defaults.model, metavar="NAME", help=f"{' | '.join(catalog.MODELS)} (%(default)s)"
    )
    what.add_argument(
        "--with",
        dest="techniques",
        action="append",
        default=[],
        metavar="TECHNIQUE[,OPTION=VALUE...]",
        help="add an energy-saving technique, by name or as package.module:Class; may be repeated",
    )

    how = parser.add_argument_group("how to train")
    how.add_argument("--epochs", type=int, default=defaults.epochs, help="passes over the data (%(default)s)")
    how.add_argument(
        "--batch-size",
        type=int,
        default=defaults.batch_size,
        help="examples per step over all processes, however many (%(default)s)",
    )
    how.add_argument("--lr", type=float, default=defaults.lr, help="peak learning rate (%(default)s)")
    how.add_argument("--weight-decay", type=float, default=defaults.weight_decay, help="(%(default)s)")
    how.add_argument("--seed", type=int, default=defaults.seed, help="weights, data order, dropout (%(default)s)")
    how.add_argument("--device", default=defaults.device, metavar="NAME", help=f"{' | '.join(DEVICES)} (%(default)s)")
    how.add_argument(
        "--threads", type=int, default=defaults.threads, help="CPU threads; 0: this process's share of the CPU limit"
    )
    how.add_argument("--deterministic", action="store_true", help="bit-exact on CUDA too, slower (the CPU always is)")

    state = parser.add_argument_group("checkpoints")
    state.add_argument(
        "--checkpoint-dir",
        type=Path,
        default=os.environ.get(CHECKPOINT_DIR_VARIABLE) or None,
        metavar="DIR",
        help=f"where checkpoints live; default ${CHECKPOINT_DIR_VARIABLE}, without either nothing is saved",
    )
    state.add_argument(
        "--checkpoint-every",
        type=int,
        default=defaults.checkpoint_every,
        metavar="STEPS",
        help="0: only when stopped and at the end (%(default)s)",
    )
    state.add_argument(
        "--no-resume", dest="resume", action="store_false", help="start over even if there is a checkpoint"
    )

    report = parser.add_argument_group("reporting")
    report.add_argument(
        "--report-every", type=int, default=defaults.report_every, metavar="STEPS", help="(%(default)s)"
    )
    report.add_argument(
        "--termination-log",
        type=Path,
        default=TERMINATION_LOG,
        metavar="FILE",
        help="where Kubernetes looks for last words; written only if it exists (%(default)s)",
    )
    report.add_argument("--json", action="store_true", help="progress lines as JSON instead of logfmt")


def run(arguments: argparse.Namespace, signals: StopSignals) -> int:
    """Run the command; returns the exit status. ``signals`` are installed already."""
    settings: dict[str, Any] = {key: value for key, value in vars(arguments).items() if key != "command"}
    handler = logs.configure(as_json=settings.pop("json"))
    specs: list[str] = settings.pop("techniques")
    last_words: Path = settings.pop("termination_log")
    # The imports take seconds: say that something is under way.
    log.info("starting", extra={"fields": {"data": settings["data"], "model": settings["model"]}})
    try:
        config = TrainConfig(**settings)
        # torch comes with these, seconds later.
        from frugal import registry
        from frugal.distributed import World
        from frugal.exporter_sink import exporter_sinks
        from frugal.progress import LogSink
        from frugal.results import termination_message
        from frugal.trainer import Trainer

        world = World.from_environment()
        techniques = [registry.create(spec) for spec in specs]
        with exporter_sinks(os.environ) as sinks:
            result = Trainer(config, techniques, sinks=[LogSink(), *sinks], signals=signals, world=world).train()
    except ConfigError as error:
        write_message(as_option(error), last_words)
        return fail("train", as_option(error), WRONG_ARGUMENTS)
    except FrugalError as error:
        write_message(str(error), last_words)
        return fail("train", str(error), FAILED)
    finally:
        logs.remove(handler)
    if world.local_rank == 0:
        write_message(termination_message(result), last_words)
    if world.is_main:
        sys.stdout.write(result.to_json() + "\n")
        sys.stdout.flush()
    return result.exit_status
