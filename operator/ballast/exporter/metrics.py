"""What Prometheus is told: the metrics that `api.exporter` names, from the newest figures and the trainer's progress.

What must hold: a scrape never waits for the agent; what is not known, or not any more, is absent rather than repeated;
all series carry `LABELS`. They are few: an idle share that nobody tells apart, as of CPUs, has none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, Protocol

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from ballast.api import exporter as names
from ballast.api.finalreading import Training
from ballast.api.source import Component
from ballast.clock import steady_seconds
from ballast.exporter.totals import Figures

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_TRAINING: Final = (
    (names.STEP, "step", "The newest step of the training."),
    (names.TOTAL_STEPS, "total_steps", "Steps of the whole training."),
    (names.EPOCH, "epoch", "The newest epoch."),
    (names.PERCENT, "percent", "How much of the training is done, in percent."),
    (names.STEPS_PER_SECOND, "steps_per_second", "Steps a second."),
    (names.SAMPLES_PER_SECOND, "samples_per_second", "Samples a second."),
    (names.SECONDS_LEFT, "seconds_left", "Estimated seconds until the training ends."),
    (names.REPORTED_AT, "reported_at", "When the trainer reported last, in seconds since the epoch."),
    (names.BEST, "best", "The best value of the metric that early stopping goes by."),
)


class Trainer(Protocol):
    """What is needed of a `Progress`."""

    def training(self) -> Training | None:
        """Return how far the training is."""
        ...

    def metrics(self) -> Mapping[str, float]:
        """Return the newest value of each metric."""
        ...


class PodCollector(Collector):
    """Makes the metrics of one pod at each scrape.

    Args:
        labels: the values of `LABELS`, in that order.
        figures: returns the newest figures.
        trainer: the trainer's progress.
        joules_per_step: returns what a step costs; None if that is not known.
        has_evaluations: whether the job has early stopping.
        has_training_metric: whether that needs a metric of the training data.
        clock: seconds that only pass.
    """

    def __init__(
        self,
        labels: Iterable[str],
        figures: Callable[[], Figures],
        trainer: Trainer,
        joules_per_step: Callable[[], float | None] = lambda: None,
        *,
        has_evaluations: bool = False,
        has_training_metric: bool = False,
        clock: Callable[[], float] = steady_seconds,
    ) -> None:
        self._labels = tuple(labels)
        self._figures = figures
        self._trainer = trainer
        self._joules_per_step = joules_per_step
        self._has_evaluations = has_evaluations
        self._has_training_metric = has_training_metric
        self._clock = clock

    def describe(self) -> Iterable[Metric]:
        """Tell nothing beforehand, so that registering does not collect."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics."""
        figures, training = self._figures(), self._trainer.training()
        yield from self._energy(figures)
        yield from self._power(figures)
        if training is not None:
            yield from self._training(training)
        if self._has_evaluations:
            yield from self._evaluations(training or Training())

    def _energy(self, figures: Figures) -> Iterator[Metric]:
        energy = self._counter(names.ENERGY, "What the pod has used since it began, in joules.", "component", "share")
        source = self._gauge(names.SOURCE, "1: where a component's figures come from.", "component", "source")
        for component, joules in figures.joules.items():
            energy.add_metric((component.value, "active", *self._labels), joules.active)
            if joules.idle or component is Component.GPU:
                energy.add_metric((component.value, "idle", *self._labels), joules.idle)
            source.add_metric((component.value, joules.source.value, *self._labels), 1.0)
        gpus = self._counter(names.GPU_ENERGY, "What the pod has used of a GPU, in joules.", "uuid")
        for gpu in figures.gpus:
            gpus.add_metric((gpu.uuid, *self._labels), gpu.joules)
        yield from (energy, source, gpus)
        if figures.at is not None:
            read_at = self._gauge(names.READ_AT, "When the meter looked last, in seconds since the epoch.")
            read_at.add_metric(self._labels, figures.at)
            yield read_at

    def _power(self, figures: Figures) -> Iterator[Metric]:
        if self._clock() > figures.fresh_until:
            return
        power = self._gauge(names.POWER, "The pod's power, in watts.", "component")
        for component, watts in figures.watts.items():
            power.add_metric((component.value, *self._labels), watts)
        gpus = self._gauge(names.GPU_POWER, "The pod's power on a GPU, in watts.", "uuid")
        limits = self._gauge(names.GPU_POWER_LIMIT, "The power limit of a GPU, in watts.", "uuid")
        for gpu in figures.gpus:
            if gpu.watts is not None:
                gpus.add_metric((gpu.uuid, *self._labels), gpu.watts)
            if gpu.power_limit_watts is not None:
                limits.add_metric((gpu.uuid, *self._labels), gpu.power_limit_watts)
        yield from (power, gpus, limits)

    def _training(self, training: Training) -> Iterator[Metric]:
        for name, attribute, meaning in _TRAINING:
            value = getattr(training, attribute)
            if value is not None:
                yield self._single(name, meaning, float(value))
        if training.samples is not None:
            samples = self._counter(names.SAMPLES, "Samples that this attempt has trained on.")
            samples.add_metric(self._labels, training.samples)
            yield samples
        cost = self._joules_per_step()
        if cost is not None:
            yield self._single(
                names.JOULES_PER_STEP, "What a step costs now, all components together, in joules.", cost
            )
        metrics = self._gauge(names.METRIC, "The newest value of a metric that the trainer reports.", "metric")
        for metric, value in self._trainer.metrics().items():
            metrics.add_metric((metric, *self._labels), value)
        yield metrics

    def _evaluations(self, training: Training) -> Iterator[Metric]:
        count = self._counter(names.EVALUATIONS, "How often the metric of early stopping was reported.")
        count.add_metric(self._labels, float(training.evaluations))
        values = self._gauge(names.EVALUATION_VALUE, "Its newest values: number n in slot n modulo the slots.", "slot")
        steps = self._gauge(names.EVALUATION_STEP, "At which step.", "slot")
        others = self._gauge(names.EVALUATION_TRAINING_VALUE, "The training metric then.", "slot")
        for each in training.ring:
            labels = (str(each.number % names.RING), *self._labels)
            values.add_metric(labels, each.value)
            if each.step is not None:
                steps.add_metric(labels, float(each.step))
            if each.training_value is not None and self._has_training_metric:
                others.add_metric(labels, each.training_value)
        yield from (count, values, steps, others)

    def _single(self, name: str, meaning: str, value: float) -> Metric:
        gauge = self._gauge(name, meaning)
        gauge.add_metric(self._labels, value)
        return gauge

    def _gauge(self, name: str, meaning: str, *labels: str) -> GaugeMetricFamily:
        return GaugeMetricFamily(name, meaning, labels=(*labels, *names.LABELS))

    def _counter(self, name: str, meaning: str, *labels: str) -> CounterMetricFamily:
        return CounterMetricFamily(name, meaning, labels=(*labels, *names.LABELS))


def exposition(collector: PodCollector) -> Callable[[], bytes]:
    """Return what makes the text of a scrape; nothing of the process itself is in it."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    return lambda: generate_latest(registry)
