"""What a design is worth: accuracy on validation examples, and joules for an answer or for the whole training.

A search tries many designs, so each is trained briefly, on a share of the examples; that is stated wherever a score is
shown. What must hold: the test examples are never seen by a search, since what chose a design cannot judge it; the
scores of one search are all of one kind, measured by the same counters or estimated by the same model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from frugal import models, registry
from frugal.bench.meters import Meter
from frugal.bench.plan import Case
from frugal.bench.records import Phase, Trial
from frugal.bench.trial import Procedure, run_case
from frugal.composition import Composition
from frugal.config import TrainConfig
from frugal.costs.estimate import Estimate, estimate
from frugal.costs.technology import Technology
from frugal.data import DataSplits
from frugal.distributed import World, choose_device
from frugal.errors import ConfigError, TechniqueError
from frugal.run import Run
from frugal.search.space import Design, specs
from frugal.search.study import Score
from frugal.signals import StopSignals

PLAIN = "plain"
_FEW = 32  # examples that a design is put together with before it is trained

Price = Callable[[Trial], Estimate]
"""What one of a trial's answers would cost on hardware that is not here, by what was counted."""


FLOAT = "mac-fp32"
WEIGHTS_IN = ("dram", "nvm-read", "in-memory", "sram")
"""Where a technology keeps weights, by preference."""


@dataclass(frozen=True, kw_only=True)
class BenchObjective:
    """Scores designs by the bench's own trials.

    Attributes:
        config: What every design is trained with; its epochs and seed are the search's.
        phase: What shall become cheap.
        data: As `reduced` left it.
        meter: Measures, or estimates where there is no counter.
        procedure: How inference is measured.
        signals: Where stop requests arrive.
        price: Takes the meter's place; None leaves the meter's joules.
    """

    config: TrainConfig
    phase: Phase
    data: DataSplits
    meter: Meter
    procedure: Procedure
    signals: StopSignals
    price: Price | None = None

    def __call__(self, design: Design) -> Score:
        """The design's score, from one training.

        Raises:
            TechniqueError: The techniques cannot be combined.
            ConfigError: One of them cannot work with these settings.
        """
        case = Case(
            name=named(design),
            config=self.config,
            techniques=specs(design, self.config.epochs),
            phases=(self.phase,),
        )
        (trial,) = run_case(
            case, self.config.seed, self.meter, data=self.data, procedure=self.procedure, signals=self.signals
        )
        joules, joules_by = self._joules(trial)
        return Score(
            accuracy=trial.accuracy,
            joules=joules,
            joules_by=joules_by,
            flops=trial.flops / trial.samples,
            parameters=trial.parameters,
            bytes=trial.bytes,
        )

    def check(self, design: Design) -> None:
        """Put the design together as a trainer does, up to its first step, on a few examples.

        Techniques refuse what they cannot work with when they are composed, get the model, or start: all before
        training. Teachers learn for one epoch of the few examples. No techniques at all are refused too: plain
        training has its score already, as the baseline.

        Raises:
            TechniqueError: The techniques cannot be combined, or there are none.
            ConfigError: One of them cannot work with these settings.
        """
        if not design:
            raise TechniqueError("no technique is chosen: plain training is scored once, as the baseline")
        techniques = Composition([registry.create(spec) for spec in specs(design, 1)])
        techniques.check(self.config)
        train, held_out = self.data.train, self.data.validation
        data = replace(
            self.data,
            train=train.subset(torch.arange(min(_FEW, len(train)))),
            validation=held_out.subset(torch.arange(min(_FEW, len(held_out)))),
        )
        world = World()
        device = choose_device(self.config.device, world)
        run = Run(config=self.config, world=world, device=device, techniques=techniques, data=data)
        run.data = techniques.prepare_data(run, data)
        model = models.build(self.config.model, run.data.shape, run.data.classes)
        run.install_model(techniques.build_model(run, model))
        techniques.start(run)

    def _joules(self, trial: Trial) -> tuple[float, str]:
        if self.price is not None:
            # Not by way of the trial's total: how many answers that has is the clock's affair, and so is its rounding.
            cost = self.price(trial)
            return cost.joules, f"estimated: {cost.estimated_by}"
        answers = trial.samples if self.phase is Phase.INFERENCE else 1
        if trial.energy.joules is not None:
            return trial.energy.joules / answers, f"measured: {trial.energy.source}"
        if trial.energy.estimated_joules is not None:
            return trial.energy.estimated_joules / answers, f"estimated: {trial.energy.estimated_by}"
        raise ConfigError(
            "device", self.config.device, "it has no energy counter: state its watts with --gpu-watts, or use --energy"
        )


def on_technology(technology: Technology) -> Price:
    """What an answer would cost on ``technology``: counted multiply-adds, and each weight read once an answer.

    Raises:
        ConfigError: It has no figure for multiply-adds in float, so plain training could not be compared with.
    """
    if FLOAT not in technology.operations:
        raise ConfigError("energy", technology.name, f"it has no figure for {FLOAT}, which plain training needs")
    memory = next((place for place in WEIGHTS_IN if place in technology.bytes), None)

    def price(trial: Trial) -> Estimate:
        counted = {
            figure.replace("_", "-"): float(count)
            for figure, count in trial.figures.get("quantization", {}).items()
            if figure.startswith("mac_") and isinstance(count, int)
        }
        return estimate(
            counted or {FLOAT: trial.flops / trial.samples / 2},
            {} if memory is None else {memory: trial.bytes},
            technology,
        )

    return price


def repriced(trial: Trial, price: Price) -> Trial:
    """The trial with what it would cost by ``price``, and nothing of what it cost here."""
    cost = price(trial)
    energy = replace(
        trial.energy,
        joules=None,
        source=None,
        estimated_joules=cost.joules * trial.samples,
        estimated_by=cost.estimated_by,
    )
    return replace(trial, energy=energy)


def named(design: Design) -> str:
    """A design in tables and records."""
    return " + ".join(design) or PLAIN


def reduced(data: DataSplits, share: float) -> DataSplits:
    """``share`` of the training examples, always the same ones, and no test examples.

    Raises:
        ConfigError: There is no such share.
    """
    if not 0 < share <= 1:
        raise ConfigError("share", share, "use a share of the training examples above 0 and up to 1, such as 0.25")
    count = max(1, round(share * len(data.train)))
    order = torch.randperm(len(data.train), generator=torch.Generator().manual_seed(0))
    return replace(data, train=data.train.subset(order[:count].sort().values), test=None)
