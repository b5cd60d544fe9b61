"""A trial meters what it says it does, and measuring changes nothing."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from frugal.bench.counters import CounterError
from frugal.bench.meters import MachineMeter, Measurement, kept_up
from frugal.bench.plan import Case
from frugal.bench.power_model import PowerModel
from frugal.bench.records import Phase, Trial
from frugal.bench.trial import Interrupted, Procedure, infer, run_case, warm_up
from frugal.costs.flops import count_flops
from frugal.data import DataSplits, TensorExamples
from frugal.errors import ConfigError
from frugal.run import Run
from frugal.signals import StopSignals
from frugal.technique import Forward, Stage, Technique, Value

from ..builders import blobs, config, train
from .meters import Counting, estimating

TOYS = "tests.unit.frugal.toys"
HERE = __name__
QUICK = Procedure(batch=16, seconds=0.001, repeats=1, warm_up_seconds=0)


def case(*techniques: str, phases: tuple[Phase, ...] = (Phase.TRAINING, Phase.INFERENCE), **settings: Any) -> Case:
    return Case(name="case", config=config(**settings), techniques=techniques, phases=phases)


def run(tried: Case, meter: MachineMeter | None = None, **options: Any) -> list[Trial]:
    options = {"procedure": QUICK, "data": blobs(), **options}
    return run_case(tried, 3, meter or estimating(), **options)


@dataclass
class Deployer(Technique):
    """Deploys another model than it trained: the same, with its weights halved, in a module of its own."""

    name = "deployer"
    stage = Stage.PRECISION

    def finish(self, run: Run, model: nn.Module) -> nn.Module:
        return Calls(model)

    def results(self, run: Run) -> Mapping[str, Value]:
        return {"told": 7}


class Calls(nn.Module):
    """Counts how often it is called."""

    made = 0

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Tensor) -> Tensor:
        Calls.made += 1
        outputs: Tensor = self.model(inputs)
        return outputs


def test_measuring_changes_nothing() -> None:
    plain = train(config(seed=3))
    measured, _ = run(case(), target_accuracy=0.1)
    assert (measured.accuracy, measured.samples, measured.seed) == (plain.val_accuracy, plain.samples, 3)


def test_the_test_part_judges_where_there_is_one() -> None:
    data = blobs()
    wrong = TensorExamples(data.validation.batch(torch.arange(40), torch.device("cpu"))[0], torch.full((40,), 3))
    trained, asked = run(case(), data=replace(data, test=wrong))
    assert trained.accuracy == asked.accuracy < 0.5


def test_training_flops_are_three_forward_passes_an_example() -> None:
    plain, _ = run(case(epochs=2))
    model = train_model()
    assert plain.flops == 3 * 2 * 101 * count_flops(model, (1, 4, 4))
    assert plain.parameters == sum(parameter.numel() for parameter in model.parameters())


def train_model() -> nn.Module:
    from frugal import models

    return models.build("mlp", (1, 4, 4), 4)


def test_a_model_that_shrinks_halfway_is_counted_as_what_it_was() -> None:
    """One epoch of three with the whole model, two with the halved one, which is also what is deployed."""
    trained, asked = run(case(f"{TOYS}:Shrink"))
    whole = count_flops(train_model(), (1, 4, 4))
    halved = asked.flops / asked.samples
    assert halved < 0.8 * whole
    assert trained.flops == pytest.approx(3 * 101 * (whole + 2 * halved))
    assert trained.bytes == asked.bytes == 4 * trained.parameters


def test_inference_asks_the_deployed_model() -> None:
    Calls.made = 0
    trained, asked = run(case(f"{HERE}:Deployer"))
    evaluating = counting_flops = 1
    assert Calls.made >= evaluating + counting_flops + 2  # and warming up, and one repeat at least
    assert dict(asked.figures) == {"deployer": {"told": 7}}  # and nothing of the probe's
    assert asked.samples % QUICK.batch == 0
    assert (trained.to_accuracy, asked.to_accuracy) == (None, None)


@dataclass
class Wrapper(Technique):
    """Counts the calls that go through it, and those of them made within its context."""

    name = "wrapper"
    stage = Stage.EXECUTION
    within = False
    calls = 0
    calls_within = 0

    def wrap_forward(self, run: Run, forward: Forward) -> Forward:
        def call(inputs: Tensor) -> Tensor:
            Wrapper.calls += 1
            Wrapper.calls_within += Wrapper.within
            return forward(inputs)

        return call

    @contextmanager
    def forward_context(self, run: Run) -> Iterator[None]:
        Wrapper.within = True
        yield
        Wrapper.within = False


def test_inference_of_the_trained_model_goes_through_what_wraps_it() -> None:
    """A compiler or autocast, which leave the model itself alone, work in inference as in training."""
    Wrapper.calls = Wrapper.calls_within = 0
    run(case(f"{HERE}:Wrapper", epochs=1))
    training, validating = 7, 1
    assert Wrapper.calls >= training + validating + 2
    assert Wrapper.calls == Wrapper.calls_within


def test_only_the_phases_asked_for_are_measured() -> None:
    for phase in Phase:
        (trial,) = run(case(phases=(phase,)))
        assert trial.phase is phase


def test_training_is_metered_until_the_model_is_ready_and_no_further() -> None:
    """Readings: at the start, at the one epoch that reaches the target, at the end; 1 J, 10 J and 100 J before each."""
    counter = Counting([1, 10, 100])
    meter = MachineMeter([counter], PowerModel(cores=1))
    (trained,) = run(case(phases=(Phase.TRAINING,), epochs=12, lr=0.02), meter, target_accuracy=0.5)
    assert counter.readings == 3
    assert trained.to_accuracy is not None
    assert (trained.to_accuracy.joules, trained.energy.joules) == (10, 110)
    assert trained.to_accuracy.seconds < trained.energy.seconds


def test_a_target_out_of_reach_is_never_reached() -> None:
    (trained,) = run(case(phases=(Phase.TRAINING,), epochs=1, lr=1e-6), target_accuracy=1.0)
    assert trained.to_accuracy is None


def test_without_counters_no_trial_has_joules() -> None:
    for trial in run(case(), target_accuracy=0.1):
        for energy in (trial.energy, trial.to_accuracy):
            if energy is not None:
                assert (energy.joules, energy.source) == (None, None)
                assert energy.estimated_joules == pytest.approx(3.5 * energy.cpu_seconds)


def answers(joules: list[float], forward: Callable[[Tensor], Tensor] = lambda batch: batch.flatten(1)) -> float | None:
    """The joules that stand for inference whose repeats took ``joules``."""
    steps = [step for repeat in joules for step in (0.0, repeat)]
    meter = MachineMeter([Counting(steps)], PowerModel(cores=1))
    procedure = Procedure(batch=16, seconds=1e-9, repeats=len(joules), warm_up_seconds=1e-9)
    energy, samples = infer(forward, blobs().validation, torch.device("cpu"), meter, procedure, StopSignals())
    assert samples == 16
    return energy.joules


def test_the_median_repeat_stands_for_inference() -> None:
    assert answers([5, 900, 4]) == 5
    assert answers([7]) == 7


def test_batches_are_full_and_held_out() -> None:
    """40 held-out examples make two batches of 16; the 8 left over would be a batch of another shape."""
    seen: list[Tensor] = []

    def forward(batch: Tensor) -> Tensor:
        seen.append(batch)
        return batch.flatten(1)

    meter = estimating()
    infer(
        forward,
        blobs().validation,
        torch.device("cpu"),
        meter,
        Procedure(batch=16, seconds=0.01, repeats=1),
        StopSignals(),
    )
    expected = blobs().validation.batch(torch.arange(32), torch.device("cpu"))[0]
    assert torch.equal(torch.cat(seen[:2]), expected)
    assert {len(batch) for batch in seen} == {16}
    assert torch.equal(seen[2], seen[0])


@dataclass
class TeacherStopper(Technique):
    """Is asked to stop while it trains a model of its own, as distillation's teacher."""

    name = "teacher-stopper"
    stage = Stage.LOSS

    def build_model(self, run: Run, model: nn.Module) -> nn.Module:
        run.signals.handle(signal.SIGTERM)
        raise SystemExit(143)


@dataclass
class SlowStarter(Technique):
    """Takes its time before the first step, as a technique that trains a teacher first."""

    name = "slow-starter"
    stage = Stage.LOSS
    counter: Counting | None = None

    def build_model(self, run: Run, model: nn.Module) -> nn.Module:
        counter = SlowStarter.counter
        assert counter is not None
        seen, end = counter.readings, time.monotonic() + 5
        while counter.readings < seen + 2 and time.monotonic() < end:
            time.sleep(0.001)
        assert counter.readings >= seen + 2
        return model


def test_counters_are_read_on_time_before_the_first_step_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A counter that wraps around while a teacher is trained would lose a whole range of joules, unnoticed."""
    monkeypatch.setattr("frugal.bench.meters.POLL_SECONDS", 0.001)
    SlowStarter.counter = Counting([])
    run(case(f"{HERE}:SlowStarter", phases=(Phase.TRAINING,)), MachineMeter([SlowStarter.counter], None))
    assert not [thread for thread in threading.enumerate() if thread.name == "energy-counters"]


class Broken:
    """Is reset while nobody looks."""

    source = "broken"

    def __init__(self) -> None:
        self.readings = 0

    def joules(self) -> float:
        self.readings += 1
        if self.readings > 1:
            raise CounterError("the counter was reset")
        return 0.0


def test_a_counter_that_fails_meanwhile_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("frugal.bench.meters.POLL_SECONDS", 0.001)
    counter = Broken()
    measurement = MachineMeter([counter], None).start()
    with pytest.raises(CounterError, match="was reset"):
        _look_away(measurement, counter)


def _look_away(measurement: Measurement, counter: Broken) -> None:
    with kept_up(measurement):
        end = time.monotonic() + 5
        while counter.readings < 2 and time.monotonic() < end:
            time.sleep(0.001)


def test_a_stop_request_during_a_teachers_training_is_one_too() -> None:
    with pytest.raises(Interrupted) as interrupted:
        run(case(f"{HERE}:TeacherStopper"), signals=StopSignals())
    assert interrupted.value.signum == signal.SIGTERM


@pytest.mark.parametrize("pruned", [(), ("pruning,structure=channels,sparsity=0.5",)])
def test_an_integer_models_flops_are_those_of_the_shape_that_answers(pruned: tuple[str, ...]) -> None:
    """No counter knows integer kernels; the trained model may have been cut smaller before."""
    phases = (Phase.INFERENCE,)
    (floats,) = run(case(*pruned, phases=phases))
    (integers,) = run(case(*pruned, "quantization", phases=phases))
    assert integers.flops / integers.samples == floats.flops / floats.samples


def test_a_stop_request_ends_training_and_answering_alike() -> None:
    for when in ("training", "inference"):
        signals = StopSignals()
        tried = case()
        if when == "training":
            signals.handle(signal.SIGINT)
        else:
            tried = case(f"{HERE}:Stopper")
            Stopper.signals = signals
        with pytest.raises(Interrupted) as interrupted:
            run(tried, signals=signals)
        assert interrupted.value.signum == signal.SIGINT


@dataclass
class Stopper(Technique):
    """Asks to stop once the training is done."""

    name = "stopper"
    stage = Stage.CONTROL
    signals = StopSignals()

    def finish(self, run: Run, model: nn.Module) -> nn.Module:
        self.signals.handle(signal.SIGINT)
        return model


def test_warming_up_is_short_and_forgives() -> None:
    data = blobs(train=500)
    asked: list[int] = []
    taken = TensorExamples.subset

    class Noting(TensorExamples):
        def subset(self, indices: Tensor) -> TensorExamples:
            asked.append(len(indices))
            return taken(self, indices)

    assert isinstance(data.train, TensorExamples)
    small: DataSplits = replace(data, train=Noting(data.train.inputs, data.train.labels))
    Wrapper.calls = 0
    warm_up(case(f"{HERE}:Wrapper", epochs=50), small)
    assert asked == [3 * 16]
    assert Wrapper.calls == 3 + 1  # steps of one epoch, and a validation
    warm_up(case("tests.unit.frugal.nowhere:Nothing"), small)


@pytest.mark.parametrize("wrong", [{"batch": 0}, {"repeats": 0}, {"seconds": 0.0}])
def test_an_impossible_procedure_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="inference_"):
        replace(QUICK, **wrong)
