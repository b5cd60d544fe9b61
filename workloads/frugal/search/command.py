"""``frugal search``: an architecture, or a stack of techniques, by measured energy and accuracy.

The table, or JSON, goes to standard output and to ``--out``; progress goes to standard error. Exit statuses: 0 done, 1
failed, 2 wrong arguments, 130 and 143 interrupted; the same command then goes on where it was.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frugal.bench.command import add_measuring_options, power_model
from frugal.bench.records import Phase
from frugal.config import DEVICES, TrainConfig
from frugal.errors import ConfigError
from frugal.signals import StopSignals, exit_status
from frugal.subcommand import listening, told

if TYPE_CHECKING:
    from frugal.bench.bar import Bar
    from frugal.bench.comparison import Comparison
    from frugal.bench.meters import Meter
    from frugal.bench.plan import Plan
    from frugal.bench.trial import Procedure
    from frugal.data import DataSplits
    from frugal.search.objective import Price
    from frugal.search.report import Found
    from frugal.search.space import Space
    from frugal.search.study import Search, Tried

ARCHITECTURE = "architecture"
STACK = "stack"
KINDS = ("cnn", "mlp")
SAMPLERS = ("tpe", "nsga2", "random")
REPORT = "report"

_DESCRIPTION = """\
Try many designs briefly, keep those that no other beats in accuracy and joules both, and judge the cheapest that seem
accurate enough again: at full length, with new seeds, against plain training. Joules are measured where this machine
has counters, else estimated and marked so. All is kept in --out: the same command goes on where it was stopped."""

_EXAMPLES = {
    ARCHITECTURE: """\
examples:
  frugal search architecture --data digits --model cnn --trials 40 --out nas
  frugal search architecture --data fashion-mnist --model cnn --energy 45nm --minutes 60 --out nas
""",
    STACK: """\
examples:
  frugal search stack --data digits --model cnn --trials 40 --out stack
  frugal search stack --data fashion-mnist --model cnn --phase training --minutes 120 --out stack
""",
}


def add_parser(subparsers: Any) -> None:
    """Add ``search`` to the command line."""
    parser = subparsers.add_parser("search", help="search architectures and stacks of techniques by energy")
    kinds = parser.add_subparsers(dest="search", required=True, metavar="WHAT")
    for name, text in ((ARCHITECTURE, "a network"), (STACK, "a combination of techniques")):
        kind = kinds.add_parser(
            name,
            help=text,
            description=_DESCRIPTION,
            epilog=_EXAMPLES[name],
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        _add_options(kind, name)
        add_measuring_options(kind)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    with listening(logging.ERROR) as signals:  # hundreds of brief trainings warn of their briefness
        return told("search", lambda: _run(arguments, signals))


def _add_options(parser: argparse.ArgumentParser, kind: str) -> None:
    defaults = TrainConfig()
    what = parser.add_argument_group("what to search")
    if kind == ARCHITECTURE:
        what.add_argument("--kinds", default=",".join(KINDS), metavar="NAMES", help="cnn, mlp or both (%(default)s)")
        what.add_argument("--layers", type=int, default=4, help="most hidden layers (%(default)s)")
    else:
        what.add_argument("--phase", choices=[phase.value for phase in Phase], default=Phase.INFERENCE.value)
        what.add_argument(
            "--without", action="append", default=[], metavar="TECHNIQUE", help="do not try it; may be repeated"
        )
    what.add_argument("--max-drop", type=float, default=1.0, metavar="POINTS", help="of accuracy (%(default)s)")
    what.add_argument(
        "--energy",
        default="",
        metavar="TECHNOLOGY",
        help="joules of an answer by counted operations and published picojoules (45nm, 7nm-asic, ...) instead of this "
        "machine's",
    )
    train = parser.add_argument_group("what is trained")
    train.add_argument("--data", default=defaults.data, metavar="NAME", help="(%(default)s)")
    train.add_argument("--data-dir", type=Path, default=defaults.data_dir, metavar="DIR")
    train.add_argument("--model", default="cnn", metavar="NAME", help="of plain training (%(default)s)")
    train.add_argument("--batch-size", type=int, default=defaults.batch_size, help="(%(default)s)")
    train.add_argument("--lr", type=float, default=defaults.lr, help="(%(default)s)")
    train.add_argument("--weight-decay", type=float, default=defaults.weight_decay, help="(%(default)s)")
    train.add_argument("--device", default=defaults.device, metavar="NAME", help=f"{' | '.join(DEVICES)} (%(default)s)")
    train.add_argument("--threads", type=int, default=defaults.threads, help="CPU threads; 0: the container's share")
    search = parser.add_argument_group("the search")
    search.add_argument("--trials", type=int, default=40, help="designs, earlier attempts' too (%(default)s)")
    search.add_argument("--minutes", type=float, help="begin no design that would end later; finals come on top")
    search.add_argument("--epochs", type=int, default=4, help="of each design's training (%(default)s)")
    search.add_argument("--share", type=float, default=0.5, help="of the training examples (%(default)s)")
    search.add_argument("--sampler", choices=SAMPLERS, default=SAMPLERS[0], help="(%(default)s)")
    search.add_argument("--seed", type=int, default=0, help="of draws and trainings (%(default)s)")
    finals = parser.add_argument_group("the finals")
    finals.add_argument("--finalists", type=int, default=3, help="designs to judge again; 0: none (%(default)s)")
    finals.add_argument("--final-epochs", type=int, default=defaults.epochs, help="(%(default)s)")
    finals.add_argument("--final-seeds", type=int, default=5, help="those after --seed (%(default)s)")
    results = parser.add_argument_group("results")
    results.add_argument("--out", type=Path, required=True, metavar="DIR", help="where all is kept, and gone on with")
    results.add_argument("--json", action="store_true", help="JSON instead of tables")


def _run(arguments: argparse.Namespace, signals: StopSignals) -> int:
    _check(arguments)
    # torch and Optuna come with these, seconds later.
    from frugal import data as datasets
    from frugal.bench.trial import Interrupted
    from frugal.search.report import as_json, as_text, draw
    from frugal.search.study import only_one

    with only_one(arguments.out):
        session = _Session(arguments, signals, datasets.load(arguments.data, arguments.data_dir))
        try:
            found = session.search()
            if found.ended != "interrupted":
                found = session.finals(found)
        except (Interrupted, SystemExit):
            if signals.requested is None:
                raise
            return _interrupted(signals.requested)
        text, line = as_text(found), as_json(found)
        (arguments.out / f"{REPORT}.txt").write_text(text, encoding="utf-8")
        (arguments.out / f"{REPORT}.json").write_text(line + "\n", encoding="utf-8")
        draw(found, arguments.out / "front")
        sys.stdout.write(line + "\n" if arguments.json else text)
        sys.stdout.flush()
    return 0 if signals.requested is None else _interrupted(signals.requested)


class _Session:
    """One search from its arguments to its figures."""

    def __init__(self, arguments: argparse.Namespace, signals: StopSignals, data: DataSplits) -> None:
        from frugal.bench.meters import open_meter
        from frugal.bench.trial import Procedure
        from frugal.distributed import World, choose_device

        self._arguments, self._signals, self._data = arguments, signals, data
        self._phase = Phase(getattr(arguments, "phase", Phase.INFERENCE))
        self._device = choose_device(arguments.device, World())
        self._meter: Meter = open_meter(self._device, power_model(arguments))
        self._price = _price(arguments.energy, self._phase)
        self._procedure: Procedure = Procedure(
            batch=arguments.inference_batch,
            seconds=arguments.inference_seconds,
            repeats=arguments.inference_repeats,
        )
        names = ("data", "data_dir", "model", "epochs", "batch_size", "lr", "weight_decay", "seed", "device", "threads")
        self._config = TrainConfig(**{name: getattr(arguments, name) for name in names})
        self._final_config = replace(self._config, epochs=arguments.final_epochs)

    def search(self) -> Found:
        """Try designs until a limit is reached."""
        from frugal.bench.bar import Bar
        from frugal.bench.plan import Case
        from frugal.bench.trial import warm_up
        from frugal.search.objective import PLAIN, BenchObjective, reduced
        from frugal.search.report import Found
        from frugal.search.study import Limits, Search

        arguments = self._arguments
        few = reduced(self._data, arguments.share)
        search = Search(
            arguments.out, self._space(), settings=self._settings(), sampler=arguments.sampler, seed=arguments.seed
        )
        objective = BenchObjective(
            config=self._config,
            phase=self._phase,
            data=few,
            meter=self._meter,
            # Where operations are counted, the length of the measurement does not matter.
            procedure=self._procedure if self._price is None else replace(self._procedure, seconds=1e-3, repeats=1),
            signals=self._signals,
            price=self._price,
        )
        bar = Bar(max(0, arguments.trials - len(search.tried())))
        try:
            bar.note(self._statement(search))
            if len(search.tried()) < arguments.trials:
                warm_up(Case(name=PLAIN, config=self._config), few)
            baseline = search.baseline(objective)
            least = baseline.accuracy - arguments.max_drop / 100
            bar.note(f"plain training: accuracy {baseline.accuracy:.1%}, {baseline.joules:.3g} J, {baseline.joules_by}")
            limits = Limits(
                trials=arguments.trials,
                seconds=None if arguments.minutes is None else 60 * arguments.minutes,
                least_accuracy=least,
            )
            ended = search.run(
                objective, limits, self._signals, lambda tried: self._tell(bar, tried), check=objective.check
            )
        finally:
            bar.close()
        return Found(
            ended=ended,
            config=self._config,
            share=arguments.share,
            phase=self._phase,
            least_accuracy=least,
            max_drop=arguments.max_drop,
            baseline=baseline,
            tried=search.tried(),
            refused=search.refused(),
            final_config=self._final_config,
        )

    def finals(self, found: Found) -> Found:
        """Judge the finalists, if there are any."""
        from frugal.bench.comparison import compare
        from frugal.bench.runner import run_plan
        from frugal.search.finals import final_plan, finalists, folder_of, judge, winner
        from frugal.search.objective import repriced

        arguments = self._arguments
        chosen = finalists(found.tried, found.baseline, found.least_accuracy, arguments.finalists)
        if not chosen:
            return found
        plan: Plan = final_plan(chosen, self._final_config, self._phase, arguments.final_seeds)
        outcome = run_plan(
            plan, folder_of(plan, arguments.out), self._meter, procedure=self._procedure, signals=self._signals
        )
        trials = outcome.trials
        if self._price is not None:
            trials = tuple(repriced(trial, self._price) for trial in trials)
        comparisons: list[Comparison] = compare(trials)
        if outcome.interrupted is not None:
            return replace(found, ended="interrupted")
        judged = judge(chosen, comparisons, arguments.max_drop)
        return replace(found, comparisons=comparisons, winners=judged, best=winner(judged))

    def _space(self) -> Space:
        from frugal import registry
        from frugal.search.space import ArchitectureSpace, stack_space

        arguments = self._arguments
        if arguments.search == ARCHITECTURE:
            return ArchitectureSpace(kinds=tuple(arguments.kinds.split(",")), layers=arguments.layers)
        return stack_space(
            self._phase,
            model=arguments.model,
            installed=registry.available(),
            gpu=self._device.type == "cuda",
            leave_out=arguments.without,
        )

    def _settings(self) -> Mapping[str, object]:
        """What the scores depend on, beside the space and the draws."""
        arguments = self._arguments
        training = ("data", "model", "epochs", "share", "batch_size", "lr", "weight_decay", "threads")
        names = ("search", *training, "max_drop", "energy", "inference_batch")
        joules = arguments.energy or self._meter.source or self._meter.model
        return {name: getattr(arguments, name) for name in names} | {
            "phase": self._phase,
            "device": self._device.type,
            "machine": None if arguments.energy else self._machine(),  # joules of two would be compared
            "joules by": joules,
        }

    def _machine(self) -> str:
        import torch

        from frugal.bench.environment import cpu_name

        return torch.cuda.get_device_name(self._device) if self._device.type == "cuda" else cpu_name()

    def _tell(self, bar: Bar, tried: Tried) -> None:
        from frugal.search.objective import named
        from frugal.search.space import specs

        name = named(specs(tried.design, self._config.epochs))
        if tried.score is None:
            bar.done(f"failed: {name}")
        else:  # figures first: a terminal's line is cut at its end
            bar.done(f"accuracy {tried.score.accuracy:.1%}, {tried.score.joules:.3g} J: {name}")

    def _statement(self, search: Search) -> str:
        arguments, known = self._arguments, len(search.tried())
        energy = self._meter.statement if not arguments.energy else f"energy: ESTIMATED for {arguments.energy}"
        begun = f"tried before, in {arguments.out}: {known} designs; going on\n" if known else ""
        return (
            f"{begun}{energy}\n"
            f"each design: {arguments.epochs} epochs on {100 * arguments.share:g} % of the training examples, "
            "one seed; test examples are left alone"
        )


def _check(arguments: argparse.Namespace) -> None:
    for field, least in (("trials", 1), ("finalists", 0), ("final_seeds", 1), ("layers", 1)):
        if getattr(arguments, field, least) < least:
            raise ConfigError(field, getattr(arguments, field), f"use a whole number of at least {least}")
    if arguments.minutes is not None and not arguments.minutes > 0:
        raise ConfigError("minutes", arguments.minutes, "use a positive number, or leave it out")
    if not 0 <= arguments.max_drop <= 100:
        raise ConfigError("max_drop", arguments.max_drop, "use percentage points from 0 to 100")
    unknown = set(getattr(arguments, "kinds", "").split(",")) - {*KINDS} if arguments.search == ARCHITECTURE else set()
    if unknown:
        raise ConfigError("kinds", arguments.kinds, f"use {' or '.join(KINDS)}, or both with a comma")


def _price(energy: str, phase: Phase) -> Price | None:
    if not energy:
        return None
    from frugal.costs.catalogue import TECHNOLOGIES
    from frugal.search.objective import FLOAT, on_technology

    if phase is not Phase.INFERENCE:
        raise ConfigError("energy", energy, "operations are counted for answers: leave it out with --phase training")
    if energy not in TECHNOLOGIES:
        names = ", ".join(name for name, technology in TECHNOLOGIES.items() if FLOAT in technology.operations)
        raise ConfigError("energy", energy, f"use one of {names}")
    return on_technology(TECHNOLOGIES[energy])


def _interrupted(signum: int) -> int:
    sys.stderr.write("interrupted; the same command goes on where this stopped\n")
    return exit_status(signum)
