"""Each hook reaches what it is for: small techniques change data, model, loss, optimizer, steps and result."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from frugal.data import DataSplits
from frugal.run import Run
from frugal.technique import Batch, Claim, Evaluation, Forward, Optimization, Stage, Technique, Value

from .builders import blobs, config, newest, same, train, weights
from .toys import Accumulation, NoDropout, Shrink, Smoothing


def test_accumulated_gradients_equal_the_large_batch(tmp_path: Path) -> None:
    plain, parts = tmp_path / "plain", tmp_path / "parts"
    train(config(plain), [NoDropout()])
    result = train(config(parts), [NoDropout(), Accumulation(parts=5)])
    assert result.techniques["accumulation"] == {"passes": 5 * 21}
    for name, weight in weights(plain).items():
        torch.testing.assert_close(weight, weights(parts)[name], rtol=1e-4, atol=1e-5)


def test_padding_of_small_batches_counts_for_nothing() -> None:
    one = torch.ones(3)
    batch = Batch(inputs=one, targets=one, labels=one, indices=torch.arange(3), weights=one)
    parts = batch.split(5)
    assert [len(part) for part in parts] == [1, 1, 1, 1, 1]
    assert [part.weights.item() for part in parts] == [1, 1, 1, 0, 0]


def test_smoothing_equals_torchs_own(tmp_path: Path) -> None:
    class Own(Technique):
        name = "own"
        stage = Stage.LOSS

        def compute_losses(self, run: Run, batch: Batch, outputs: Tensor, losses: Tensor) -> Tensor:
            return functional.cross_entropy(outputs, batch.targets, label_smoothing=0.2, reduction="none")

    train(config(tmp_path / "toy"), [Smoothing(0.2)])
    train(config(tmp_path / "own"), [Own()])
    train(config(tmp_path / "none"))
    for name, weight in weights(tmp_path / "toy").items():
        torch.testing.assert_close(weight, weights(tmp_path / "own")[name], rtol=1e-4, atol=1e-5)
    assert not same(weights(tmp_path / "toy"), weights(tmp_path / "none"))


def test_data_can_be_reduced() -> None:
    class FirstHalf(Technique):
        name = "first-half"
        stage = Stage.DATA

        def prepare_data(self, run: Run, data: DataSplits) -> DataSplits:
            return dataclasses.replace(data, train=data.train.subset(torch.arange(len(data.train) // 2)))

    result = train(config(), [FirstHalf()])
    assert (result.samples, result.steps) == (3 * 50, 3 * 4)


def test_mixed_targets_leave_accuracy_to_the_labels() -> None:
    class Flip(Technique):
        """Turns hard targets into probabilities, as MixUp does."""

        name = "soft"
        stage = Stage.BATCH

        def transform_batch(self, run: Run, batch: Batch) -> Batch:
            soft = functional.one_hot(batch.targets, run.data.classes).float() * 0.9 + 0.025
            return dataclasses.replace(batch, targets=soft)

    result = train(config(epochs=8), [Flip()])
    assert result.accuracy is not None
    assert result.accuracy > 0.8


def test_weights_of_examples_scale_their_gradients(tmp_path: Path) -> None:
    class Weighted(Technique):
        name = "weighted"
        stage = Stage.DATA

        def transform_batch(self, run: Run, batch: Batch) -> Batch:
            return dataclasses.replace(batch, weights=batch.weights * (batch.indices % 2))

    class OddOnly(Technique):
        """The same gradients by another way: even examples' losses are set to zero."""

        name = "odd-only"
        stage = Stage.LOSS

        def compute_losses(self, run: Run, batch: Batch, outputs: Tensor, losses: Tensor) -> Tensor:
            return losses * (batch.indices % 2)

    train(config(tmp_path / "weights"), [Weighted()])
    train(config(tmp_path / "losses"), [OddOnly()])
    assert same(weights(tmp_path / "weights"), weights(tmp_path / "losses"))


def test_optimizer_can_be_replaced() -> None:
    class Momentum(Technique):
        name = "momentum"
        stage = Stage.OPTIMIZER
        claims = frozenset({Claim.OPTIMIZER, Claim.SCHEDULE})

        def configure_optimizer(self, run: Run, optimization: Optimization) -> Optimization:
            optimizer = torch.optim.SGD(run.model.parameters(), lr=run.config.lr, momentum=0.9)
            return Optimization(optimizer=optimizer, scheduler=None)

    class Sink:
        rates: ClassVar[list[float]] = []

        def report(self, progress: object) -> None:
            self.rates.append(progress.lr)  # type: ignore[attr-defined]

    assert train(config(), [Momentum()], sinks=[Sink()]).outcome == "completed"
    assert Sink.rates == [0.002] * 3


def test_loss_scaling_wraps_backward_and_update(tmp_path: Path) -> None:
    class Scaling(Technique):
        """A gradient scaler's outline: scaled losses, unscaled before the step."""

        name = "scaling"
        stage = Stage.PRECISION

        def backward(self, run: Run, loss: Tensor, proceed: Callable[[Tensor], None]) -> None:
            proceed(loss * 1024)

        def update(self, run: Run, proceed: Callable[[], None]) -> None:
            for parameter in run.model.parameters():
                assert parameter.grad is not None
                parameter.grad /= 1024
            proceed()

    train(config(tmp_path / "scaled"), [Scaling()])
    train(config(tmp_path / "plain"))
    assert same(weights(tmp_path / "scaled"), weights(tmp_path / "plain"))  # powers of two are exact


def test_gradients_can_be_masked_and_weights_held() -> None:
    class Mask(Technique):
        """Prunes the first layer's odd rows and keeps them so."""

        name = "mask"
        stage = Stage.WEIGHTS

        def start(self, run: Run) -> None:
            self._prune(run)

        def after_step(self, run: Run) -> None:
            self._prune(run)

        def results(self, run: Run) -> Mapping[str, Value]:
            weight = next(run.model.parameters())
            return {"sparsity": (weight == 0).float().mean().item()}

        @torch.no_grad()
        def _prune(self, run: Run) -> None:
            next(run.model.parameters())[1::2] = 0

    assert train(config(), [Mask()]).techniques["mask"] == {"sparsity": 0.5}


def test_forward_runs_in_the_given_context_also_in_evaluation() -> None:
    class Lower(Technique):
        name = "lower"
        stage = Stage.PRECISION
        seen: ClassVar[set[tuple[bool, torch.dtype]]] = set()

        @contextmanager
        def forward_context(self, run: Run) -> Iterator[None]:
            with torch.autocast("cpu", dtype=torch.bfloat16):
                yield

        def wrap_forward(self, run: Run, forward: Forward) -> Forward:
            def call(inputs: Tensor) -> Tensor:
                outputs = forward(inputs)
                self.seen.add((run.model.training, outputs.dtype))
                return outputs

            return call

    train(config(epochs=1), [Lower()])
    assert Lower.seen == {(True, torch.bfloat16), (False, torch.bfloat16)}


def test_model_that_changes_shape_keeps_the_schedule() -> None:
    whole, shrunk = train(config()), train(config(), [Shrink()])
    assert shrunk.parameters < whole.parameters

    class Rates:
        def __init__(self) -> None:
            self.rates: list[float] = []

        def report(self, progress: object) -> None:
            self.rates.append(progress.lr)  # type: ignore[attr-defined]

    plain, changed = Rates(), Rates()
    train(config(), sinks=[plain])
    train(config(), [Shrink()], sinks=[changed])
    assert changed.rates == pytest.approx(plain.rates)


def test_early_stop_is_a_success_that_stays_stopped(tmp_path: Path) -> None:
    class Enough(Technique):
        name = "enough"
        stage = Stage.CONTROL

        def after_epoch(self, run: Run, evaluation: Evaluation) -> None:
            if run.epoch == 1:
                run.request_stop("validation loss no longer improves")

    first = train(config(tmp_path), [Enough()])
    assert (first.outcome, first.exit_status, first.epochs) == ("completed", 0, 2)
    assert first.stop_reason == "validation loss no longer improves"
    again = train(config(tmp_path), [Enough()])
    assert (again.steps, again.stop_reason) == (first.steps, first.stop_reason)


def test_stop_within_an_epoch_is_still_validated() -> None:
    class Now(Technique):
        name = "now"
        stage = Stage.CONTROL

        def after_step(self, run: Run) -> None:
            if run.step == 3:
                run.request_stop("seen enough")

    result = train(config(), [Now()])
    assert (result.steps, result.stop_reason) == (3, "seen enough")
    assert result.val_accuracy is not None


def test_finished_model_is_what_is_judged(tmp_path: Path) -> None:
    class Constant(Technique):
        name = "constant"
        stage = Stage.PRECISION

        def finish(self, run: Run, model: nn.Module) -> nn.Module:
            head = nn.Linear(16, run.data.classes)
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)
            return nn.Sequential(nn.Flatten(), head)

    data = blobs()
    result = train(config(tmp_path), [Constant()], data=dataclasses.replace(data, test=data.validation))
    assert result.val_accuracy == result.test_accuracy == 0.25
    assert result.best_val_accuracy != 0.25
    assert "1.weight" in newest(tmp_path)["model"]  # checkpoints keep the model in training


def test_parameters_are_those_of_the_model_that_was_trained() -> None:
    class Deployed(Technique):
        name = "deployed"
        stage = Stage.PRECISION

        def finish(self, run: Run, model: nn.Module) -> nn.Module:
            return nn.Sequential(nn.Flatten(), nn.Linear(16, run.data.classes))

    assert train(config(epochs=1), [Deployed()]).parameters == train(config(epochs=1)).parameters != 16 * 4 + 4
