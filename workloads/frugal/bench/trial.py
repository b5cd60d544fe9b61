"""One case with one seed: trained, and asked, both metered.

Training is metered from the first change a technique makes to the data (choosing a core-set costs energy too) until
the model is ready to be deployed, validation after each epoch included; loading the data and the final test are not.
Inference is the deployed model on held-out inputs that lie ready on its device, in batches of one size, after a
warm-up; of several repeats of a least length the one of median cost stands, which one disturbance cannot move.

FLOPs are counted by the model's shape: in training, three forward passes for each example learned from (a backward pass
counts as two: Kaplan et al., "Scaling Laws for Neural Language Models", 2020, section 2.1). What a technique trains
beside it (a teacher, a proxy) is in the energy, and neither in FLOPs nor in examples learned from.
"""

from __future__ import annotations

import gc
import logging
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from itertools import chain, cycle

import torch
from torch import Tensor, nn

from frugal import data as datasets
from frugal import registry
from frugal.bench.meters import Measurement, Meter, kept_up
from frugal.bench.plan import Case
from frugal.bench.records import Energy, Phase, Trial
from frugal.costs.flops import count_flops, stored_bytes
from frugal.data import DataSplits, Examples
from frugal.distributed import World
from frugal.errors import ConfigError, DataError
from frugal.results import TrainingResult
from frugal.run import Run
from frugal.signals import StopSignals
from frugal.technique import Evaluation, Forward, Stage, Technique, Value
from frugal.trainer import Trainer

log = logging.getLogger(__name__)

FORWARD_PASSES_OF_A_STEP = 3
MOST_INPUT_BYTES = 256 * 1024**2  # of held-out inputs that are kept ready
WARM_UP_STEPS = 3


class Interrupted(Exception):
    """A signal asked to stop; what was under way is not recorded.

    Args:
        signum: Which one.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(f"signal {signum}")
        self.signum = signum


@dataclass(frozen=True, kw_only=True)
class Procedure:
    """How inference is measured.

    Attributes:
        batch: Examples a call; fewer only if there are no more.
        seconds: Least length of a repeat.
        repeats: The one of median cost stands.
        warm_up_seconds: Before the first repeat, not counted.
    """

    batch: int = 256
    seconds: float = 1.0
    repeats: int = 3
    warm_up_seconds: float = 0.3

    def __post_init__(self) -> None:
        for field, least in (("batch", 1), ("repeats", 1)):
            if getattr(self, field) < least:
                raise ConfigError(f"inference_{field}", getattr(self, field), f"use a whole number of at least {least}")
        if not 0 < self.seconds < float("inf"):
            raise ConfigError("inference_seconds", self.seconds, "use a positive number")


def run_case(
    case: Case,
    seed: int,
    meter: Meter,
    *,
    data: DataSplits | None = None,
    target_accuracy: float | None = None,
    procedure: Procedure | None = None,
    signals: StopSignals | None = None,
) -> list[Trial]:
    """Train ``case`` with ``seed`` and measure the phases that it asks for, in their order.

    Args:
        case: What to run.
        seed: Takes the place of its configuration's.
        meter: Tells the energy of both phases.
        data: The case's data set where it is loaded already.
        target_accuracy: See `Plan`.
        procedure: How inference is measured; `Procedure`'s defaults without it.
        signals: Where stop requests arrive.

    Raises:
        FrugalError: The case cannot be run; the message says why.
        Interrupted: A stop was requested.
    """
    signals = signals or StopSignals()
    data = data or datasets.load(case.config.data, case.config.data_dir)
    _forget_earlier_cases()
    probe = Probe(meter, target_accuracy)
    try:
        result = _train(case, seed, probe, data, signals)
    except SystemExit:  # how a training within the training, a teacher's say, ends when it is asked to stop
        if signals.requested is None:
            raise
        raise Interrupted(signals.requested) from None
    if result.signal is not None:
        raise Interrupted(result.signal)
    run, deployed = probe.run, probe.deployed
    accuracy = result.val_accuracy if result.test_accuracy is None else result.test_accuracy
    if accuracy is None:
        raise DataError(f"case {case.name!r}: its data set {case.config.data} has no held-out examples to judge by")
    trained = Trial(
        case=case.name,
        baseline=case.baseline,
        phase=Phase.TRAINING,
        seed=seed,
        data=case.config.data,
        energy=probe.cost,
        to_accuracy=probe.to_accuracy,
        samples=result.samples,
        flops=probe.training_flops(),
        parameters=sum(parameter.numel() for parameter in deployed.parameters()),
        bytes=stored_bytes(deployed),
        accuracy=accuracy,
        figures={name: figures for name, figures in result.techniques.items() if name != Probe.name},
    )
    trials = [trained] if Phase.TRAINING in case.phases else []
    if Phase.INFERENCE in case.phases:
        held_out = run.data.validation if run.data.test is None else run.data.test
        with answering(run, deployed) as (forward, device):
            energy, samples = infer(forward, held_out, device, meter, procedure or Procedure(), signals)
        flops = float(samples * _answer_flops(run, deployed, result.techniques.get("quantization", {})))
        trials.append(
            replace(trained, phase=Phase.INFERENCE, energy=energy, samples=samples, flops=flops, to_accuracy=None)
        )
    return trials


def warm_up(case: Case, data: DataSplits) -> None:
    """A few steps of ``case`` on a few examples, unmetered: imports, kernels and memory pools are there afterwards.

    So are compiled graphs, on disk: what a compiler costs a machine that has never seen the model is in no trial.
    """
    few = min(len(data.train), WARM_UP_STEPS * case.config.batch_size)
    small = replace(
        data,
        train=data.train.subset(torch.arange(few)),
        validation=data.validation.subset(torch.arange(min(few, len(data.validation)))),
        test=None,
    )
    brief = replace(case, config=replace(case.config, epochs=1))
    try:
        _train(brief, 0, None, small, StopSignals())
    except Exception:  # so few examples may be too few for it; the real run will tell what is wrong
        log.debug("warm-up of %s failed", case.name, exc_info=True)


class Probe(Technique):
    """Meters a training from within, as the last technique: changes nothing, draws nothing."""

    name = "bench-probe"
    stage = Stage.CONTROL

    def __init__(self, meter: Meter, target_accuracy: float | None) -> None:
        self._meter = meter
        self._target = target_accuracy
        self._measurement: Measurement
        self._models: list[tuple[nn.Module, int]] = []  # each model that learned, and examples before it took over
        self._samples = 0
        self.to_accuracy: Energy | None = None
        # Known once the training is complete:
        self.run: Run
        self.cost: Energy
        self.deployed: nn.Module

    @contextmanager
    def metering(self) -> Iterator[None]:
        """Within it the whole training; a teacher's, or a proxy's, may take longer than a counter's wrap-around."""
        self._measurement = self._meter.start()
        with kept_up(self._measurement):
            yield

    def start(self, run: Run) -> None:
        """See `Technique.start`."""
        self.run = run
        self._models = [(run.model, 0)]

    def after_step(self, run: Run) -> None:
        """See `Technique.after_step`."""
        self._samples = run.samples
        self._follow(run)

    def after_epoch(self, run: Run, evaluation: Evaluation) -> None:
        """See `Technique.after_epoch`."""
        self._follow(run)
        reached = self._target is not None and evaluation.accuracy >= self._target
        if reached and self.to_accuracy is None:
            self.to_accuracy = self._measurement.energy()

    def finish(self, run: Run, model: nn.Module) -> nn.Module:
        """See `Technique.finish`."""
        self.cost = self._measurement.energy()
        self.deployed = model
        return model

    def training_flops(self) -> float:
        """Of all examples learned from, each by the model that learned from it."""
        ends = [*(begin for _, begin in self._models[1:]), self._samples]
        passes = sum(
            (end - begin) * count_flops(model, self.run.data.shape)
            for (model, begin), end in zip(self._models, ends, strict=True)
        )
        return float(FORWARD_PASSES_OF_A_STEP * passes)

    def _follow(self, run: Run) -> None:
        if run.model is not self._models[-1][0]:
            self._models.append((run.model, self._samples))


@contextmanager
def answering(run: Run, model: nn.Module) -> Iterator[tuple[Forward, torch.device]]:
    """How the finished model is called, and where: as the trainer evaluates it.

    Techniques that changed nothing on the model itself (autocast, compilers) still work on the trained one.
    """
    model.eval()
    tensor: Tensor | None = next(chain(model.parameters(), model.buffers()), None)
    if model is run.model:
        with run.techniques.forward_context(run):
            yield run.eval_forward, run.device
    else:
        with nullcontext():
            yield model, torch.device("cpu") if tensor is None else tensor.device


@torch.no_grad()
def infer(
    forward: Forward,
    examples: Examples,
    device: torch.device,
    meter: Meter,
    procedure: Procedure,
    signals: StopSignals,
) -> tuple[Energy, int]:
    """What answering costs, and how many examples that was: the repeat of median cost per example.

    Raises:
        Interrupted: A stop was requested.
    """
    batches = _ready(examples, device, procedure.batch)
    _answer(forward, batches, procedure.warm_up_seconds, None, signals)
    repeats = []
    for _ in range(procedure.repeats):
        measurement = meter.start()
        samples = _answer(forward, batches, procedure.seconds, measurement, signals)
        repeats.append((measurement.energy(), samples))
    return sorted(repeats, key=lambda repeat: _cost(repeat[0]) / repeat[1])[(len(repeats) - 1) // 2]


def _answer(
    forward: Forward,
    batches: Sequence[Tensor],
    seconds: float,
    measurement: Measurement | None,
    signals: StopSignals,
) -> int:
    """``batches``, one after another and again, until ``seconds`` have passed; how many examples that was."""
    samples = 0
    began = time.perf_counter()
    for batch in cycle(batches):
        output = forward(batch)
        samples += len(batch)
        if signals.requested is not None:
            raise Interrupted(signals.requested)
        if measurement is not None:
            measurement.keep_up()
        if time.perf_counter() - began >= seconds:
            output[:1].cpu()  # waits for a device that only queues
            break
    return samples


def _cost(energy: Energy) -> float:
    if energy.joules is not None:
        return energy.joules
    return energy.seconds if energy.estimated_joules is None else energy.estimated_joules


def _ready(examples: Examples, device: torch.device, size: int) -> list[Tensor]:
    """Full batches only (a compiler would compile a last, shorter one anew), unless there is not even one."""
    size = min(size, len(examples))
    batches: list[Tensor] = []
    for indices in torch.split(torch.arange(len(examples) // size * size), size):
        batches.append(examples.batch(indices, device)[0])
        if sum(batch.nbytes for batch in batches) >= MOST_INPUT_BYTES:
            break
    return batches


def _train(case: Case, seed: int, probe: Probe | None, data: DataSplits, signals: StopSignals) -> TrainingResult:
    config = replace(case.config, seed=seed, checkpoint_dir=None, resume=False)
    techniques: list[Technique] = [registry.create(spec) for spec in case.techniques]
    if probe is not None:
        techniques.append(probe)
    trainer = Trainer(config, techniques, data=data, signals=signals, world=World())
    if probe is None:
        return trainer.train()
    with probe.metering():
        return trainer.train()


def _answer_flops(run: Run, deployed: nn.Module, quantized: Mapping[str, Value]) -> int:
    """Of one answer. Integer kernels have no formula and would count nothing: `quantization` told its multiply-adds."""
    macs = [value for name, value in quantized.items() if name.startswith("mac_") and isinstance(value, int | float)]
    return 2 * int(sum(macs)) if macs else count_flops(deployed, run.data.shape)


def _forget_earlier_cases() -> None:
    gc.collect()
    if "torch._dynamo" in sys.modules:
        # Its caches outlive a model; after some recompilations of the same code it would silently give up.
        torch.compiler.reset()
