"""``frugal bench``: a plan from a file or from options, run and shown.

The table, or JSON, goes to standard output; which counters there are, progress and failures go to standard error. Exit
statuses: 0 done, 1 a case failed or the results cannot be used, 2 wrong arguments, 130 and 143 interrupted; the same
command then goes on.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from frugal.bench.plan import BOTH, Case, Plan
from frugal.bench.power_model import BUSY_WATTS, SOURCE, PowerModel
from frugal.config import DEFAULT_DATA_DIR, DEVICES, TrainConfig
from frugal.errors import ConfigError, FrugalError
from frugal.signals import StopSignals, exit_status
from frugal.subcommand import FAILED, as_option, listening, told

BASELINE = "baseline"
DEFAULT_SEEDS = 3
INFERENCE_SECONDS = {"cpu": 1.0, "cuda": 5.0}  # a GPU's counter is coarser, see frugal.bench.counters
STACK = " + "  # a technique's values may hold a plus sign (1e+3), but none between spaces

_DESCRIPTION = """\
Train and ask models with and without techniques, and tell what each saves against the same baseline: energy by counters
(NVML, RAPL) where this machine has them, else an estimate that is marked so; accuracy beside it, 95 % confidence over
seeds. Results are kept in --out: the same command goes on where it was stopped, and shows them when all are there."""

_EPILOG = f"""\
examples:
  frugal bench --case pruning,sparsity=0.8 --case 'pruning,sparsity=0.8 + amp' --data digits --epochs 10 --out results
  frugal bench plan.toml --out results

a plan (every [[case]] may also have settings of its own, as in [defaults]):
  name = "first look"
  seeds = [0, 1, 2]
  target_accuracy = 0.95          # optional: energy until validation first reaches it
  [defaults]
  data = "digits"
  model = "mlp"
  epochs = 10
  [[case]]
  name = "plain"
  [[case]]
  name = "pruned"
  baseline = "plain"
  with = ["pruning,sparsity=0.8"]
  phases = ["inference"]          # optional

estimates: joules = watts x CPU seconds, {BUSY_WATTS} W a busy core, its share of idle power included ({SOURCE});
with --idle-watts-per-core all cores of this container are charged that for all the time, busy or not: for a machine
that nobody else uses.
"""

_MEASURING = (
    "watts_per_core",
    "idle_watts_per_core",
    "gpu_watts",
    "inference_batch",
    "inference_seconds",
    "inference_repeats",
)
"""What `add_measuring_options` adds: never in a plan, so told as options."""
_SETTINGS = ("data", "data_dir", "model", "epochs", "batch_size", "lr", "weight_decay", "device", "threads")


def add_parser(subparsers: Any) -> None:
    """Add ``bench`` to the command line."""
    parser = subparsers.add_parser(
        "bench",
        help="measure what techniques save",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_argument_group("what to compare")
    what.add_argument("plan", nargs="?", type=Path, metavar="PLAN.toml", help="cases and settings from a file")
    what.add_argument(
        "--case",
        dest="cases",
        action="append",
        default=[],
        metavar="TECHNIQUE[,OPTION=VALUE...][ + ...]",
        help="without a plan: compare this with plain training; may be repeated",
    )
    what.add_argument("--seeds", type=int, metavar="N", help=f"seeds 0 to N-1 ({DEFAULT_SEEDS}, or the plan's)")
    what.add_argument("--target-accuracy", type=float, metavar="SHARE", help="also compare energy up to this accuracy")

    defaults = TrainConfig()
    how = parser.add_argument_group("how to train, without a plan")
    how.add_argument("--data", metavar="NAME", help=f"data set ({defaults.data})")
    how.add_argument("--data-dir", type=Path, metavar="DIR", help=f"folder of data sets ({DEFAULT_DATA_DIR})")
    how.add_argument("--model", metavar="NAME", help=f"({defaults.model})")
    how.add_argument("--epochs", type=int, help=f"({defaults.epochs})")
    how.add_argument("--batch-size", type=int, help=f"({defaults.batch_size})")
    how.add_argument("--lr", type=float, help=f"({defaults.lr})")
    how.add_argument("--weight-decay", type=float, help=f"({defaults.weight_decay})")
    how.add_argument("--device", metavar="NAME", help=f"{' | '.join(DEVICES)} ({defaults.device})")
    how.add_argument("--threads", type=int, help="CPU threads; 0: as many as this container may use (0)")
    add_measuring_options(parser)
    parser.set_defaults(inference_seconds=None)

    results = parser.add_argument_group("results")
    results.add_argument("--out", type=Path, metavar="DIR", help="where results are kept, and gone on with")
    results.add_argument("--json", action="store_true", help="comparisons as JSON instead of a table")
    results.add_argument("--list", action="store_true", help="only list the cases")
    results.add_argument("--dry-run", action="store_true", help="check every case, and tell what is left to run")


def add_measuring_options(parser: argparse.ArgumentParser) -> None:
    """Options on how energy is told, for every command that measures."""
    group = parser.add_argument_group("measuring")
    group.add_argument("--watts-per-core", type=float, default=BUSY_WATTS, metavar="W", help="busy (%(default)s)")
    group.add_argument(
        "--idle-watts-per-core", type=float, default=0.0, metavar="W", help="charged busy or not (%(default)s)"
    )
    group.add_argument("--gpu-watts", type=float, metavar="W", help="of the GPU; without it a GPU gets no estimate")
    group.add_argument("--inference-batch", type=int, default=256, metavar="N", help="examples a call (%(default)s)")
    group.add_argument(
        "--inference-seconds",
        type=float,
        default=1.0,
        metavar="S",
        help="least length of a repeat (1); 5 or more where a GPU's counter measures",
    )
    group.add_argument("--inference-repeats", type=int, default=3, metavar="N", help="the median counts (%(default)s)")


def power_model(arguments: argparse.Namespace) -> PowerModel:
    """What `add_measuring_options` says of watts."""
    from frugal.cpu import available_cpus

    return PowerModel(
        cores=available_cpus(),
        busy_watts=arguments.watts_per_core,
        idle_watts=arguments.idle_watts_per_core,
        gpu_watts=arguments.gpu_watts,
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    # An interrupt is told below, not by the trainer. Settings may come from a file, and are written as there.
    with listening(hidden="frugal.trainer") as signals:
        return told("bench", lambda: _run(arguments, signals), describe=_as_setting)


def _as_setting(error: ConfigError) -> str:
    if error.field in _MEASURING:
        return as_option(error)
    if error.value == "":  # what is missing has no value to show
        return f"{error.field}: {error.remedy}"
    return f"{error.field}={error.value}: {error.remedy}"


def plan_from(arguments: argparse.Namespace) -> Plan:
    """The plan that the arguments name or spell out.

    Raises:
        ConfigError: It cannot be used, or both ways are mixed.
    """
    settings = {name: getattr(arguments, name) for name in _SETTINGS if getattr(arguments, name) is not None}
    seeds = None if arguments.seeds is None else tuple(range(arguments.seeds))
    target: float | None = arguments.target_accuracy
    if arguments.plan is None:
        return _plan_of_options(arguments.cases, TrainConfig(**settings), seeds, target)
    if settings or arguments.cases:
        mixed = "--case" if arguments.cases else f"--{next(iter(settings)).replace('_', '-')}"
        raise ConfigError("plan", arguments.plan, f"{mixed} does not go with it: write it into the plan")
    plan = Plan.from_toml(arguments.plan)
    return Plan(
        name=plan.name,
        cases=plan.cases,
        seeds=plan.seeds if seeds is None else seeds,
        target_accuracy=plan.target_accuracy if target is None else target,
    )


def _plan_of_options(
    cases: Sequence[str], config: TrainConfig, seeds: tuple[int, ...] | None, target: float | None
) -> Plan:
    if not cases:
        raise ConfigError("--case", "", "give at least one, or a plan; frugal techniques lists what there is")
    return Plan(
        name="command line",
        cases=(
            Case(name=BASELINE, config=config),
            *(Case(name=text, config=config, techniques=tuple(text.split(STACK)), baseline=BASELINE) for text in cases),
        ),
        seeds=tuple(range(DEFAULT_SEEDS)) if seeds is None else seeds,
        target_accuracy=target,
    )


def _run(arguments: argparse.Namespace, signals: StopSignals) -> int:
    plan = plan_from(arguments)
    if arguments.list:
        _list(plan)
        return 0
    if arguments.out is None and not arguments.dry_run:
        raise ConfigError("--out", "", "name a folder for the results")
    # torch comes with these, seconds later.
    from frugal.bench.comparison import compare
    from frugal.bench.runner import device_of, meter_for, run_plan
    from frugal.bench.trial import Procedure

    seconds: float | None = arguments.inference_seconds
    procedure = Procedure(
        batch=arguments.inference_batch,
        seconds=INFERENCE_SECONDS[device_of(plan).type] if seconds is None else seconds,
        repeats=arguments.inference_repeats,
    )
    meter = meter_for(plan, power_model(arguments))
    if arguments.dry_run:
        sys.stderr.write(f"{meter.statement}\n")
        return _dry_run(plan, arguments.out)
    outcome = run_plan(plan, arguments.out, meter, procedure=procedure, signals=signals)
    if outcome.trials:
        from frugal.bench import summary, tables

        found = compare(outcome.trials)
        sys.stdout.write((summary.as_json(found) if arguments.json else tables.render(found)) + "\n")
        sys.stdout.flush()
        summary.write(found, arguments.out)
        sys.stderr.write(f"table, JSON and drawings are in {arguments.out}\n")
    for failure in outcome.failures:
        sys.stderr.write(f"failed: {failure.case}, seed {failure.seed}: {failure.message}\n")
    if outcome.interrupted is not None:
        sys.stderr.write("interrupted; the same command goes on where this stopped\n")
        return exit_status(outcome.interrupted)
    return FAILED if outcome.failures else 0


def _list(plan: Plan) -> None:
    sys.stdout.write(f"{plan.name}: seeds {', '.join(map(str, plan.seeds))}\n")
    for case in plan.cases:
        against = "a baseline" if case.baseline is None else f"against {case.baseline}"
        phases = "" if case.phases == BOTH else f", {case.phases[0].value} only"
        config = case.config
        sys.stdout.write(f"  {case.name}: {STACK.join(case.techniques) or 'plain training'}; {against}{phases}; ")
        sys.stdout.write(f"{config.data}, {config.model}, {config.epochs} epochs\n")


def _dry_run(plan: Plan, out: Path | None) -> int:
    """Check every case as far as that is possible without its data, and tell what is left."""
    from frugal import registry
    from frugal.bench.runner import remaining
    from frugal.bench.store import read_trials
    from frugal.composition import Composition

    wrong = 0
    for case in plan.cases:
        try:
            Composition([registry.create(spec) for spec in case.techniques]).check(case.config)
        except FrugalError as error:
            sys.stderr.write(f"{case.name}: {error}\n")
            wrong += 1
    keys = set() if out is None else {trial.key for trial in read_trials(out)}
    left = remaining(plan, keys)
    for case, seed in left:
        sys.stdout.write(f"{case.name}, seed {seed}\n")
    total = len(plan.cases) * len(plan.seeds)
    sys.stderr.write(f"{len(left)} of {total} left to run, {wrong} of {len(plan.cases)} cases would fail\n")
    return FAILED if wrong else 0
