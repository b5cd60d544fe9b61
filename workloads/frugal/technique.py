"""The seam: a technique is a small object with hooks at named points of a training run.

A technique overrides the hooks it needs; the others do nothing. Hooks that take a value return the value for the next
technique, so they compose as a pipeline; hooks that take ``proceed`` wrap what comes after them, the first technique
outermost. `Stage` orders techniques, whatever order the user named them in; `Claim` says what cannot be shared, so that
two that exclude each other are refused before training starts.

What must hold, for the run to be resumable bit by bit:

- everything a technique learns is in `Technique.state_dict`, as tensors and plain values;
- random draws come from torch's, numpy's or Python's own streams (the trainer saves them);
- with several processes, whatever a technique decides is decided alike in all of them.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from enum import Enum, IntEnum, auto
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

if TYPE_CHECKING:
    from frugal.config import TrainConfig
    from frugal.data import DataSplits
    from frugal.run import Run

Forward = Callable[[Tensor], Tensor]
Value = str | int | float | bool | None


class Stage(IntEnum):
    """Where a technique stands in the order; within a stage, the user's order holds."""

    DATA = 10  # which examples: core-sets, dynamic data pruning
    BATCH = 20  # what examples look like: augmentation, MixUp
    ARCHITECTURE = 30  # which model: searched, spiking, other activations
    WEIGHTS = 40  # which weights count: pruning
    LOSS = 50  # what is learned from: distillation, smoothing
    OPTIMIZER = 60  # how weights move: optimizers, schedules
    PRECISION = 70  # how numbers are kept: mixed precision, quantization
    EXECUTION = 80  # how it runs: micro-batches, compilers, memory layout
    CONTROL = 90  # whether it goes on: early stopping


class Claim(Enum):
    """Something that only one technique of a run can decide."""

    EXAMPLES = auto()
    MODEL = auto()
    CRITERION = auto()
    OPTIMIZER = auto()
    SCHEDULE = auto()
    TRAINING_PRECISION = auto()
    INFERENCE_PRECISION = auto()
    MICRO_BATCHES = auto()
    COMPILER = auto()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Batch:
    """One process's share of a step's examples (or of a micro-batch of them).

    Attributes:
        inputs: ``[n, *shape]``, on the device.
        targets: What the loss compares with: ``[n]`` classes or ``[n, classes]`` probabilities.
        labels: ``[n]`` true classes, for accuracy; stay as they are when targets are mixed.
        indices: ``[n]`` numbers of the examples in the training set, on the CPU.
        weights: ``[n]`` weight of each example's loss; 0 marks padding, which only keeps processes in step.
    """

    inputs: Tensor
    targets: Tensor
    labels: Tensor
    indices: Tensor
    weights: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, chosen: slice) -> Batch:
        """The examples ``chosen``."""
        return Batch(
            inputs=self.inputs[chosen],
            targets=self.targets[chosen],
            labels=self.labels[chosen],
            indices=self.indices[chosen],
            weights=self.weights[chosen],
        )

    def padding(self) -> Batch:
        """One example that counts for nothing: keeps a process without examples in step with the others."""
        one = self.take(slice(0, 1))
        return dataclasses.replace(one, weights=torch.zeros_like(one.weights))

    def split(self, parts: int) -> list[Batch]:
        """Exactly ``parts`` micro-batches, as equal as can be, padded where there are fewer examples than parts."""
        size = math.ceil(len(self) / parts)
        cuts = (self.take(slice(start, start + size)) for start in range(0, parts * size, size))
        return [cut if len(cut) else self.padding() for cut in cuts]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Optimization:
    """What moves the weights: the optimizer and its schedule, which advances once a step."""

    optimizer: Optimizer
    scheduler: LRScheduler | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Loss and accuracy over a whole part of the data, the same in every process."""

    loss: float
    accuracy: float
    samples: int

    @property
    def rank(self) -> tuple[float, float]:
        """Higher is better; a loss that is not finite is worse than any that is."""
        return self.accuracy, -self.loss if math.isfinite(self.loss) else -math.inf


class Technique:
    """Base of all techniques. Subclasses are dataclasses whose fields are the options of ``--with``.

    Attributes:
        name: What users call it.
        stage: Its place in the order.
        claims: What it decides alone.
        excludes: Names of techniques that it cannot be combined with, beyond what claims say.
    """

    name: ClassVar[str]
    stage: ClassVar[Stage]
    claims: ClassVar[frozenset[Claim]] = frozenset()
    excludes: ClassVar[frozenset[str]] = frozenset()

    def options(self) -> Mapping[str, Value]:
        """The options it was made with; a checkpoint resumes only under the same."""
        if not dataclasses.is_dataclass(self):
            return {}
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.init}

    def check(self, config: TrainConfig) -> None:
        """Refuse a configuration that cannot work.

        Raises:
            ConfigError: Says which field to change.
        """

    # Once, before training, in this order.

    def prepare_data(self, run: Run, data: DataSplits) -> DataSplits:
        """Choose or transform examples."""
        return data

    def build_model(self, run: Run, model: nn.Module) -> nn.Module:
        """Change or replace the model, on the CPU, before it moves to the device and before the optimizer exists."""
        return model

    def wrap_forward(self, run: Run, forward: Forward) -> Forward:
        """Wrap the call of the model in training and evaluation (compilers). Called whenever the run gets a model."""
        return forward

    def configure_optimizer(self, run: Run, optimization: Optimization) -> Optimization:
        """Change or replace optimizer and schedule."""
        return optimization

    def start(self, run: Run) -> None:
        """Everything is built, and restored if the run resumes."""

    # Each epoch and step.

    def epoch_order(self, run: Run, order: Tensor) -> Tensor:
        """Choose the examples of the epoch and their order; called once an epoch, the same in every process."""
        return order

    def transform_batch(self, run: Run, batch: Batch) -> Batch:
        """Change the examples of a step."""
        return batch

    def split_batch(self, run: Run, batch: Batch) -> Sequence[Batch]:
        """Cut a step's batch into micro-batches whose gradients add up; the same number in every process."""
        return [batch]

    def forward_context(self, run: Run) -> AbstractContextManager[object]:
        """Surround forward pass and loss, in training and evaluation (autocast)."""
        return nullcontext()

    def compute_losses(self, run: Run, batch: Batch, outputs: Tensor, losses: Tensor) -> Tensor:
        """The loss of each example ``[n]``, given what stood before (cross-entropy at first)."""
        return losses

    def backward(self, run: Run, loss: Tensor, proceed: Callable[[Tensor], None]) -> None:
        """Around the backward pass (loss scaling)."""
        proceed(loss)

    def before_update(self, run: Run) -> None:
        """Gradients are complete and averaged over processes (clipping, masks)."""

    def update(self, run: Run, proceed: Callable[[], None]) -> None:
        """Around the optimizer's step (scalers, skipped steps)."""
        proceed()

    def after_step(self, run: Run) -> None:
        """The weights moved; ``run.step`` counts it already."""

    def after_epoch(self, run: Run, evaluation: Evaluation) -> None:
        """The epoch was validated; call ``run.request_stop`` to make it the last."""

    # Once, after training.

    def finish(self, run: Run, model: nn.Module) -> nn.Module:
        """The model as it will be deployed (quantized, physically pruned); evaluated once more if it changed."""
        return model

    def results(self, run: Run) -> Mapping[str, Value]:
        """Figures for the final report (sparsity reached, spikes counted)."""
        return {}

    # Exact resume.

    def state_dict(self) -> dict[str, Any]:
        """What was learned, as tensors and plain values.

        Called in every process at the same step, so it may use collectives; the main process's answer is kept and
        every process gets it back.
        """
        return {}

    def load_state_dict(self, run: Run, state: dict[str, Any]) -> None:
        """Put it back.

        Weights and optimizer state are loaded afterwards: if shapes changed, call ``run.replace_model`` here.
        """
