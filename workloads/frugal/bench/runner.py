"""Runs a plan: what is there already is skipped, a failure stops only its own case, an interrupt loses only one.

Seeds are the outer loop and cases the inner one, every second seed in reverse: a machine that slowly warms up or gets
busier meets baseline and variants alike. Before a case's first trial in this process a few of its steps run unmetered.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from frugal import data as datasets
from frugal.bench.bar import Bar
from frugal.bench.environment import Environment, describe
from frugal.bench.meters import Meter, open_meter
from frugal.bench.plan import Case, Plan
from frugal.bench.power_model import PowerModel
from frugal.bench.records import Trial
from frugal.bench.store import Failure, Key, Store
from frugal.bench.trial import Interrupted, Procedure, run_case, warm_up
from frugal.data import DataSplits
from frugal.distributed import World, choose_device
from frugal.errors import ConfigError, FrugalError
from frugal.signals import StopSignals

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How far a plan got.

    Attributes:
        trials: All there are of the plan's cases and seeds, earlier attempts' too.
        failures: Of this attempt.
        interrupted: The signal that ended it early; None if it ran to its end.
        environment: What it ran on.
    """

    trials: tuple[Trial, ...]
    failures: tuple[Failure, ...]
    interrupted: int | None
    environment: Environment


def schedule(plan: Plan) -> list[tuple[Case, int]]:
    """Cases and seeds in the order of their running."""
    return [
        (case, seed)
        for number, seed in enumerate(plan.seeds)
        for case in (plan.cases if number % 2 == 0 else reversed(plan.cases))
    ]


def keys_of(case: Case, seed: int) -> set[Key]:
    """What running ``case`` with ``seed`` gives."""
    return {(case.name, phase, seed) for phase in case.phases}


def remaining(plan: Plan, keys: set[Key]) -> list[tuple[Case, int]]:
    """What of the schedule is not wholly in ``keys``."""
    return [(case, seed) for case, seed in schedule(plan) if not keys_of(case, seed) <= keys]


def device_of(plan: Plan) -> torch.device:
    """Where the plan's cases run.

    Raises:
        ConfigError: CUDA was asked for and is not there, or torchrun started several processes.
    """
    world = World.from_environment()
    if world.size > 1:
        raise ConfigError("processes", world.size, "a bench measures one process: start it without torchrun")
    return choose_device(plan.cases[0].config.device, world)


def meter_for(plan: Plan, model: PowerModel) -> Meter:
    """The meter that fits the plan's device."""
    return open_meter(device_of(plan), model)


def run_plan(
    plan: Plan,
    out: Path,
    meter: Meter,
    *,
    procedure: Procedure | None = None,
    signals: StopSignals | None = None,
) -> Outcome:
    """Run what is left of ``plan``, keep it in ``out``, and tell about it on standard error.

    Args:
        plan: What to run.
        out: The folder of the results (see `frugal.bench.store`).
        meter: As `meter_for` gives.
        procedure: How inference is measured.
        signals: Where stop requests arrive.

    Raises:
        FrugalError: ``out`` cannot be used for this plan here.
    """
    procedure, signals = procedure or Procedure(), signals or StopSignals()
    with Store(out, describe(plan, procedure, meter, device_of(plan))) as store:
        jobs = remaining(plan, store.keys)
        bar = Bar(len(jobs))
        bar.note(meter.statement)
        if len(store.environment.commits) > 1:
            bar.note(f"warning: {out} has results of several commits: {', '.join(store.environment.commits)}")
        if len(jobs) < len(schedule(plan)):
            bar.note(f"{len(schedule(plan)) - len(jobs)} of {len(schedule(plan))} are in {out} already, going on")
        try:
            failures, interrupted = _Attempt(plan, store, meter, procedure, signals, bar).run(jobs)
        finally:
            bar.close()
        wanted = {key for case, seed in schedule(plan) for key in keys_of(case, seed)}
        trials = tuple(trial for trial in store.trials if trial.key in wanted)
        return Outcome(trials=trials, failures=tuple(failures), interrupted=interrupted, environment=store.environment)


@dataclass
class _Attempt:
    plan: Plan
    store: Store
    meter: Meter
    procedure: Procedure
    signals: StopSignals
    bar: Bar

    def __post_init__(self) -> None:
        self._data: dict[tuple[str, Path], DataSplits] = {}
        self._warm: set[str] = set()

    def run(self, jobs: Sequence[tuple[Case, int]]) -> tuple[list[Failure], int | None]:
        """All of ``jobs``; the failures, and the signal that ended it early."""
        failures: list[Failure] = []
        for case, seed in jobs:
            if self.signals.requested is not None:
                return failures, self.signals.requested
            what = f"{case.name}, seed {seed}"
            self.bar.doing(what)
            try:
                trials = self._run(case, seed)
            except Interrupted as interrupted:
                return failures, interrupted.signum
            except FrugalError as error:
                failures.append(self._failed(case, seed, str(error)))
            except Exception as error:  # a night's bench does not end for one case's defect
                log.exception("case %s, seed %d", case.name, seed)
                failures.append(self._failed(case, seed, f"{type(error).__name__}: {error}"))
            else:
                self.store.add(trials)
                self.bar.done(f"{what}: {_summary(trials)}")
        return failures, None

    def _run(self, case: Case, seed: int) -> list[Trial]:
        data = self._loaded(case)
        if case.name not in self._warm:
            warm_up(case, data)
            self._warm.add(case.name)
        return run_case(
            case,
            seed,
            self.meter,
            data=data,
            target_accuracy=self.plan.target_accuracy,
            procedure=self.procedure,
            signals=self.signals,
        )

    def _loaded(self, case: Case) -> DataSplits:
        name = (case.config.data, case.config.data_dir)
        if name not in self._data:
            self._data[name] = datasets.load(*name)
        return self._data[name]

    def _failed(self, case: Case, seed: int, message: str) -> Failure:
        failure = Failure(case=case.name, seed=seed, message=message)
        self.store.add_failure(failure)
        self.bar.note(f"FAILED {case.name}, seed {seed}: {message}")
        self.bar.done(f"{case.name}, seed {seed}: failed")
        return failure


def _summary(trials: Sequence[Trial]) -> str:
    energies = []
    for trial in trials:
        energy = trial.energy
        joules = energy.joules if energy.joules is not None else energy.estimated_joules
        mark = "" if energy.joules is not None else " (estimate)"
        cost = f"{energy.seconds:.3g} s" if joules is None else f"{joules:.3g} J{mark}"
        energies.append(f"{trial.phase.value} {cost}")
    return f"accuracy {trials[0].accuracy:.1%}, {', '.join(energies)}"
