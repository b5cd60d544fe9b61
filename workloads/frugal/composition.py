"""Several techniques as one: ordered by stage, refused if they exclude each other, called as a pipeline.

The trainer talks to a `Composition` only. It is itself a `Technique`, the composite of the ones in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from frugal.errors import CheckpointError, TechniqueError
from frugal.technique import Batch, Claim, Evaluation, Forward, Optimization, Technique, Value

if TYPE_CHECKING:
    from frugal.config import TrainConfig
    from frugal.data import DataSplits
    from frugal.run import Run


class Composition(Technique):
    """The techniques of one run.

    Raises:
        TechniqueError: Two of them cannot be combined; the message names both and why.
    """

    name = "composition"

    def __init__(self, techniques: Sequence[Technique]) -> None:
        self._techniques = tuple(sorted(techniques, key=lambda technique: technique.stage))
        _refuse_conflicts(self._techniques)

    def __iter__(self) -> Iterator[Technique]:
        return iter(self._techniques)

    def __len__(self) -> int:
        return len(self._techniques)

    @property
    def identity(self) -> dict[str, dict[str, Value]]:
        """Names and options, as a checkpoint stores them."""
        return {technique.name: dict(technique.options()) for technique in self}

    def check(self, config: TrainConfig) -> None:
        """See `Technique.check`."""
        for technique in self:
            technique.check(config)

    def prepare_data(self, run: Run, data: DataSplits) -> DataSplits:
        """See `Technique.prepare_data`."""
        for technique in self:
            data = technique.prepare_data(run, data)
        return data

    def build_model(self, run: Run, model: nn.Module) -> nn.Module:
        """See `Technique.build_model`."""
        for technique in self:
            model = technique.build_model(run, model)
        return model

    def wrap_forward(self, run: Run, forward: Forward) -> Forward:
        """See `Technique.wrap_forward`."""
        for technique in self:
            forward = technique.wrap_forward(run, forward)
        return forward

    def configure_optimizer(self, run: Run, optimization: Optimization) -> Optimization:
        """See `Technique.configure_optimizer`."""
        for technique in self:
            optimization = technique.configure_optimizer(run, optimization)
        return optimization

    def start(self, run: Run) -> None:
        """See `Technique.start`."""
        for technique in self:
            technique.start(run)

    def epoch_order(self, run: Run, order: Tensor) -> Tensor:
        """See `Technique.epoch_order`."""
        for technique in self:
            order = technique.epoch_order(run, order)
        return order

    def transform_batch(self, run: Run, batch: Batch) -> Batch:
        """See `Technique.transform_batch`."""
        for technique in self:
            batch = technique.transform_batch(run, batch)
        return batch

    def split_batch(self, run: Run, batch: Batch) -> Sequence[Batch]:
        """See `Technique.split_batch`."""
        parts: Sequence[Batch] = [batch]
        for technique in self:
            parts = [smaller for part in parts for smaller in technique.split_batch(run, part)]
        return parts

    @contextmanager
    def forward_context(self, run: Run) -> Iterator[None]:
        """See `Technique.forward_context`."""
        with ExitStack() as stack:
            for technique in self:
                stack.enter_context(technique.forward_context(run))
            yield

    def compute_losses(self, run: Run, batch: Batch, outputs: Tensor, losses: Tensor) -> Tensor:
        """See `Technique.compute_losses`."""
        for technique in self:
            losses = technique.compute_losses(run, batch, outputs, losses)
        return losses

    def backward(self, run: Run, loss: Tensor, proceed: Callable[[Tensor], None]) -> None:
        """See `Technique.backward`."""
        for technique in reversed(self._techniques):
            proceed = partial(technique.backward, run, proceed=proceed)
        proceed(loss)

    def before_update(self, run: Run) -> None:
        """See `Technique.before_update`."""
        for technique in self:
            technique.before_update(run)

    def update(self, run: Run, proceed: Callable[[], None]) -> None:
        """See `Technique.update`."""
        for technique in reversed(self._techniques):
            proceed = partial(technique.update, run, proceed)
        proceed()

    def after_step(self, run: Run) -> None:
        """See `Technique.after_step`."""
        for technique in self:
            technique.after_step(run)

    def after_epoch(self, run: Run, evaluation: Evaluation) -> None:
        """See `Technique.after_epoch`."""
        for technique in self:
            technique.after_epoch(run, evaluation)

    def finish(self, run: Run, model: nn.Module) -> nn.Module:
        """See `Technique.finish`."""
        for technique in self:
            model = technique.finish(run, model)
        return model

    def figures(self, run: Run) -> dict[str, dict[str, Value]]:
        """The figures of each technique, by its name."""
        return {technique.name: dict(technique.results(run)) for technique in self}

    def state_dict(self) -> dict[str, Any]:
        """See `Technique.state_dict`; one entry per technique, by name."""
        return {technique.name: technique.state_dict() for technique in self}

    def load_state_dict(self, run: Run, state: dict[str, Any]) -> None:
        """See `Technique.load_state_dict`."""
        for technique in self:
            technique.load_state_dict(run, state[technique.name])

    def require_identity(self, stored: Mapping[str, Mapping[str, Value]]) -> None:
        """Refuse a checkpoint that was made with other techniques or options.

        Raises:
            CheckpointError: Names both sides.
        """
        if {name: dict(options) for name, options in stored.items()} != self.identity:
            raise CheckpointError(
                f"the checkpoint was made with techniques {_described(stored)}, this run has "
                f"{_described(self.identity)}: use the same, a fresh --checkpoint-dir, or --no-resume"
            )


def _refuse_conflicts(techniques: Sequence[Technique]) -> None:
    claimed: dict[Claim, str] = {}
    names: set[str] = set()
    for technique in techniques:
        if technique.name in names:
            raise TechniqueError(f"technique {technique.name!r} is given twice: name it once, with all its options")
        names.add(technique.name)
        for claim in sorted(technique.claims, key=lambda claim: claim.value):
            if claim in claimed:
                what = claim.name.lower().replace("_", " ")
                raise TechniqueError(
                    f"techniques {claimed[claim]!r} and {technique.name!r} both decide the {what}: leave one out"
                )
            claimed[claim] = technique.name
    for technique in techniques:
        for other in sorted(technique.excludes & names):
            raise TechniqueError(f"technique {technique.name!r} cannot be combined with {other!r}: leave one out")


def _described(identity: Mapping[str, Mapping[str, Value]]) -> str:
    words = [",".join([name, *(f"{k}={v}" for k, v in options.items())]) for name, options in identity.items()]
    return " ".join(words) or "(none)"
