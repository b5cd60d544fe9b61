"""What the exporter knows of its pod's training: the newest of each figure, speeds, and every evaluation numbered.

An evaluation is a report of the job's `earlyStopping.metric`. What must hold: each is counted once, over restarts of
this process, so whoever shows a count saves it first (`changed_at`, `to_json`): a number that was seen is never given
again. The number of metrics is bounded; those that were first stay, and the job's own always have a place.

Reports come from the threads of the server, questions from others: each holds a lock, briefly.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from ballast.api.exporter import MAX_METRICS
from ballast.api.finalreading import Training, from_plain, to_plain
from ballast.exporter.report import Report
from ballast.exporter.ring import Ring
from ballast.exporter.speed import Counted, Speed

logger = logging.getLogger(__name__)

MAXIMIZE: Final = "Maximize"
"""`earlyStopping.goal` of a metric that gets better upwards; any other is one that gets better downwards."""
REMEMBERED: Final = 64
"""Things that were left out, so that each is logged once."""


class Progress:
    """How far a training is.

    Args:
        metric: the job's `earlyStopping.metric`; without it there are no evaluations.
        training_metric: `earlyStopping.trainingMetric`.
        goal: `earlyStopping.goal`.
        clock: seconds since the epoch, which only pass (`SteadyClock.now`).
    """

    def __init__(
        self,
        metric: str | None = None,
        training_metric: str | None = None,
        goal: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.metric = metric or None
        self._training_metric = training_metric or None
        self._is_better: Callable[[float, float], bool] = float.__gt__ if goal == MAXIMIZE else float.__lt__
        self._clock = clock
        self._lock = threading.Lock()
        self._step: int | None = None
        self._total_steps: int | None = None
        self._epoch: float | None = None
        self._percent: float | None = None
        self._seconds_left: float | None = None
        self._samples: Counted | None = None
        self._cpu: Counted | None = None
        self._reported_at: float | None = None
        self._metrics: dict[str, float] = {}
        self._best: float | None = None
        self._ring = Ring()
        self._keys: dict[str, str] = {}
        self._step_speed = Speed()
        self._sample_speed = Speed()
        self._left_out: set[str] = set()
        self._changed_at: float | None = None

    @property
    def changed_at(self) -> float | None:
        """When something was reported last, seconds since the epoch; None if nothing was since this process began."""
        return self._changed_at

    @property
    def cpu_seconds(self) -> float | None:
        """CPU time that the trainer has used, as it told; over its restarts, never falling."""
        with self._lock:
            return None if self._cpu is None else self._cpu.total

    def report(self, *reports: Report, key: str | None = None, source: str = "") -> Mapping[str, str]:
        """Take reports, and return what was left out of them and why, by field or metric.

        Args:
            reports: in the order in which they were made.
            key: of these reports. If the same come again (nobody heard the answer, or a trainer repeats what it told
                last), under the same key, their evaluations are not counted again.
            source: which way they came; each has keys of its own.
        """
        ignored: dict[str, str] = {}
        with self._lock:
            now = self._clock()
            is_again = key is not None and key == self._keys.get(source)
            for report in reports:
                ignored |= report.ignored
                self._take_place(report, now)
                ignored |= self._take_metrics(report)
                if not is_again:
                    self._take_evaluation(report)
            if key is not None:
                self._keys[source] = key
            self._reported_at = self._changed_at = now
            news = [name for name in ignored if name not in self._left_out]
            self._left_out.update(news[: REMEMBERED - len(self._left_out)])
            news = [name for name in news if name in self._left_out]
        for name in news:
            logger.warning("the trainer reports what is left out", extra={"what": name, "why": ignored[name]})
        return ignored

    def training(self, now: float | None = None) -> Training | None:
        """Return how far it is; None if nothing was reported yet.

        Args:
            now: seconds since the epoch; as the clock says by default. Speeds are not told after a long silence.
        """
        with self._lock:
            if self._reported_at is None:
                return None
            now = self._clock() if now is None else now
            steps_per_second = self._step_speed.per_second(now)
            newest = self._metrics.get(self.metric, math.nan) if self.metric else math.nan
            return Training(
                step=self._step,
                total_steps=self._total_steps,
                epoch=self._epoch,
                samples=None if self._samples is None else self._samples.total,
                percent=self._done_percent(),
                steps_per_second=steps_per_second,
                samples_per_second=self._sample_speed.per_second(now),
                seconds_left=self._left(steps_per_second),
                metric=newest if math.isfinite(newest) else None,
                best=self._best,
                reported_at=self._reported_at,
                evaluations=self._ring.count,
                ring=self._ring.newest,
            )

    def metrics(self) -> Mapping[str, float]:
        """Return the newest value of each metric that is kept, the job's own first; values may be NaN or infinite."""
        with self._lock:
            first = [name for name in self._own() if name in self._metrics]
            return {name: self._metrics[name] for name in dict.fromkeys((*first, *self._metrics))}

    def to_json(self) -> dict[str, Any]:
        """Return everything but speeds, as it is saved; plain JSON, without NaN."""
        with self._lock:
            return {
                **{name: getattr(self, f"_{name}") for name in _SAVED},
                "samples": None if self._samples is None else self._samples.to_json(),
                "cpu": None if self._cpu is None else self._cpu.to_json(),
                "keys": dict(self._keys),
                "metrics": {name: to_plain(value) for name, value in self._metrics.items()},
                "ring": self._ring.to_json(),
            }

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Take over what an earlier process saved.

        Raises:
            ValueError, KeyError, TypeError: it is not what `to_json` gives; nothing was taken over.
        """
        values = {name: _checked(name, saved[name]) for name in _SAVED}
        samples, cpu = (None if saved[name] is None else Counted.from_json(saved[name]) for name in ("samples", "cpu"))
        metrics = {str(name): from_plain(value) for name, value in dict(saved["metrics"]).items()}
        keys = {str(source): str(key) for source, key in dict(saved["keys"]).items()}
        ring = Ring.from_json(saved["ring"])
        with self._lock:
            for name, value in values.items():
                setattr(self, f"_{name}", value)
            self._samples, self._cpu, self._metrics, self._keys, self._ring = samples, cpu, metrics, keys, ring

    def _take_place(self, report: Report, now: float) -> None:
        """Take where the training is. What was told of an earlier place is void at a new one."""
        if report.step is not None:
            self._step = report.step
            self._step_speed.add(now, report.step)
            self._percent = self._seconds_left = None
        if report.total_steps is not None:
            self._total_steps = report.total_steps
        if report.epoch is not None:
            self._epoch = report.epoch
        if report.percent is not None:
            self._percent = report.percent
        if report.seconds_left is not None:
            self._seconds_left = report.seconds_left
        if report.samples is not None:
            self._samples = self._samples or Counted()
            self._samples.take(report.samples)
            self._sample_speed.add(now, self._samples.total)
        if report.cpu_seconds is not None:
            self._cpu = self._cpu or Counted()
            self._cpu.take(report.cpu_seconds)

    def _take_metrics(self, report: Report) -> dict[str, str]:
        ignored = {}
        for name, value in report.metrics.items():
            if self._has_place(name):
                self._metrics[name] = value
            else:
                ignored[name] = f"{MAX_METRICS} metrics are kept, and there are others: report fewer"
        return ignored

    def _take_evaluation(self, report: Report) -> None:
        if self.metric is None:
            return
        self._ring.miss(report.missed.get(self.metric, 0))
        value = report.metrics.get(self.metric)
        if value is None:
            return
        training_value = self._metrics.get(self._training_metric) if self._training_metric else None
        self._ring.add(value, self._step, training_value)
        if math.isfinite(value) and (self._best is None or self._is_better(value, self._best)):
            self._best = value

    def _own(self) -> list[str]:
        return [name for name in (self.metric, self._training_metric) if name is not None]

    def _has_place(self, name: str) -> bool:
        own = set(self._own())
        others = sum(1 for each in self._metrics if each not in own)
        return name in self._metrics or name in own or others < MAX_METRICS - len(own)

    def _done_percent(self) -> float | None:
        if self._percent is not None:
            return self._percent
        if self._step is None or self._total_steps is None:
            return None
        return min(100.0, 100.0 * self._step / self._total_steps)

    def _left(self, steps_per_second: float | None) -> float | None:
        """Return what the trainer told, or else an estimate; both as of the last report."""
        if self._seconds_left is not None:
            return self._seconds_left
        if self._step is None or self._total_steps is None:
            return None
        steps = self._total_steps - self._step
        if steps <= 0:
            return 0.0
        return steps / steps_per_second if steps_per_second else None


_SAVED: Final[Mapping[str, type]] = {
    "step": int,
    "total_steps": int,
    "epoch": float,
    "percent": float,
    "seconds_left": float,
    "reported_at": float,
    "best": float,
}


def _checked(name: str, value: Any) -> Any:
    kind = _SAVED[name]
    if value is None:
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} was saved as {value!r}, which is no {kind.__name__}")
    return kind(value)
