"""Frugal's own trainer as a sweep's work: any model, data set and techniques that ``frugal train`` takes.

What is measured is joules of training steps, but the trainer validates after each epoch. Stopping the counter for that
would cost precision: it moves ten times a second, and epochs may be shorter. So validation is made next to nothing: a
few examples, whose kernels are made ready (compiled, tuned) before the first step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from frugal import data as datasets
from frugal import registry
from frugal.config import TrainConfig
from frugal.data import DataSplits
from frugal.evaluation import evaluate
from frugal.run import Run
from frugal.signals import StopSignals
from frugal.sweep.errors import Interrupted, SweepError
from frugal.sweep.work import StepProbe
from frugal.technique import Batch, Stage, Technique
from frugal.trainer import Trainer

REASON = "measured"
VALIDATED = 8  # examples; not one, which compilers take for a case of its own


class Training:
    """Trains as ``config`` says, from the begin each time it is called.

    Args:
        config: What to train, on a GPU.
        specs: Techniques, as after ``--with``.
        signals: Where stop requests arrive.

    Raises:
        SweepError: There is no GPU to train on.
    """

    def __init__(self, config: TrainConfig, specs: Sequence[str], signals: StopSignals) -> None:
        if config.device != "cpu" and not torch.cuda.is_available():
            raise SweepError(
                "torch finds no GPU to train on (is this a build of torch without CUDA, or the simulated NVML?): name"
                " the work as a command: frugal sweep … -- COMMAND"
            )
        self._config = config
        self._specs = specs
        self._signals = signals
        self._data = _hardly_validated(datasets.load(config.data, config.data_dir))

    def __call__(self, probe: StepProbe) -> float | None:
        """Train until ``probe`` says that it is enough; returns the mean training loss up to there.

        Raises:
            Interrupted: A signal asked to stop.
        """
        watch = _Probe(probe)
        techniques = [*map(registry.create, self._specs), watch]
        result = Trainer(self._config, techniques, data=self._data, signals=self._signals).train()
        if result.signal is not None:
            raise Interrupted("stopped")
        return watch.loss


def _hardly_validated(data: DataSplits) -> DataSplits:
    few = torch.arange(min(VALIDATED, len(data.validation)))
    return replace(data, validation=data.validation.subset(few), test=None)


class _Probe(Technique):
    """Asks the probe after each step."""

    name = "sweep-probe"
    stage = Stage.CONTROL

    def __init__(self, probe: StepProbe) -> None:
        self._probe = probe
        self._sums: list[Tensor] = []

    @property
    def loss(self) -> float | None:
        """Mean loss over the steps."""
        return float(torch.stack(self._sums).mean()) if self._sums else None

    def start(self, run: Run) -> None:
        """See `Technique.start`."""
        evaluate(run, run.data.validation)  # compiles what it needs now, not within the measurement

    def compute_losses(self, run: Run, batch: Batch, outputs: Tensor, losses: Tensor) -> Tensor:
        """See `Technique.compute_losses`."""
        self._sums.append((losses.detach() * batch.weights).sum() / batch.weights.sum())  # stays on the device
        return losses

    def after_step(self, run: Run) -> None:
        """See `Technique.after_step`."""
        if run.device.type == "cuda":
            torch.cuda.synchronize(run.device)
        if self._probe(run.step):
            run.request_stop(REASON)
