"""How a run tells the outside how far it is.

A `ProgressSink` receives `Progress`; the log is one, `exporter_sink` is another. A sink that fails is
reported once and never stops training: whoever watches a run must not be able to end it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Protocol

import torch
from torch import Tensor

from frugal.run import Run
from frugal.technique import Evaluation

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a run stands; sums and means are over all processes, since the report before.

    Attributes:
        epoch: The epoch under way, from 1.
        samples: Examples that this attempt has trained on.
        loss: Mean training loss.
        accuracy: Share of training examples predicted right; None if no step was taken since the last report.
        val_loss: Of the validation just made, if one was.
        seconds_left: Estimate from the speed so far; None until there is one.
        synthetic: True if the examples are random numbers: only the speed means something. Else None.
    """

    step: int
    total_steps: int
    epoch: int
    epochs: int
    samples: int
    loss: float | None
    accuracy: float | None
    val_loss: float | None = None
    val_accuracy: float | None = None
    samples_per_second: float | None
    lr: float
    seconds: float
    seconds_left: float | None
    synthetic: bool | None = None


class ProgressSink(Protocol):
    """Receives progress, in the main process."""

    def report(self, progress: Progress) -> None:
        """Pass it on; must return soon, the training waits."""
        ...


class LogSink:
    """One log line a report."""

    def report(self, progress: Progress) -> None:
        """See `ProgressSink.report`."""
        log.info("progress", extra={"fields": asdict(progress)})


class Reporter:
    """Adds up what happens between reports and tells the sinks.

    Sums stay on the device until a report is due: reading them earlier would make every step wait for the GPU.
    """

    def __init__(self, run: Run, sinks: Sequence[ProgressSink], clock: Callable[[], float] = time.monotonic) -> None:
        self._run = run
        self._sinks = list(sinks)
        self._clock = clock
        self._started_at = clock()
        self._started_step = run.step
        self._sums = torch.zeros(3, dtype=torch.float64, device=run.device)  # loss, correct, examples
        self._elapsed = 0.0
        self._window_started: float | None = None
        self._trained_samples = 0
        self._trained_seconds = 0.0
        self.last_loss: float | None = None
        self.last_accuracy: float | None = None

    @property
    def seconds(self) -> float:
        """Training time over all attempts."""
        return self._run.seconds + self._clock() - self._started_at

    @property
    def samples_per_second(self) -> float | None:
        """Training speed of this attempt."""
        return self._trained_samples / self._trained_seconds if self._trained_seconds > 0 else None

    def add(self, losses: Tensor, outputs: Tensor, labels: Tensor, weights: Tensor) -> None:
        """Count the examples of one micro-batch; padding (weight 0) is left out."""
        counted = weights > 0
        correct = ((outputs.argmax(dim=1) == labels) & counted).sum()
        self._sums += torch.stack([(losses * weights).sum().double(), correct.double(), counted.sum().double()])

    def report(self, evaluation: Evaluation | None = None) -> None:
        """Tell the sinks; collective. Time spent in ``evaluation`` is not training time: call `pause` before it."""
        self.pause()
        loss_sum, correct, count = self._run.world.sum(self._sums).tolist()
        elapsed, self._elapsed = self._elapsed, 0.0
        self._sums.zero_()
        if count:
            self.last_loss, self.last_accuracy = loss_sum / count, correct / count
            self._trained_samples += int(count)
            self._trained_seconds += elapsed
        if self._run.world.is_main:
            self._tell(
                Progress(
                    step=self._run.step,
                    total_steps=self._run.total_steps,
                    epoch=min(self._run.epoch + 1, self._run.config.epochs),
                    epochs=self._run.config.epochs,
                    samples=self._trained_samples,
                    loss=self.last_loss if count else None,
                    accuracy=self.last_accuracy if count else None,
                    val_loss=None if evaluation is None else evaluation.loss,
                    val_accuracy=None if evaluation is None else evaluation.accuracy,
                    samples_per_second=count / elapsed if count and elapsed > 0 else None,
                    lr=self._run.optimizer.param_groups[0]["lr"],
                    seconds=self.seconds,
                    seconds_left=self._seconds_left(),
                    synthetic=self._run.synthetic or None,
                )
            )

    def pause(self) -> None:
        """Stop the clock of the training speed until the next step begins."""
        if self._window_started is not None:
            self._elapsed += self._clock() - self._window_started
            self._window_started = None

    def resume(self) -> None:
        """Let the clock of the training speed run."""
        if self._window_started is None:
            self._window_started = self._clock()

    def _seconds_left(self) -> float | None:
        steps = self._run.step - self._started_step
        if steps == 0:
            return None
        return (self._clock() - self._started_at) / steps * (self._run.total_steps - self._run.step)

    def _tell(self, progress: Progress) -> None:
        for sink in list(self._sinks):
            try:
                sink.report(progress)
            except Exception:
                log.exception("progress sink %s failed and is left out from now on", type(sink).__name__)
                self._sinks.remove(sink)
