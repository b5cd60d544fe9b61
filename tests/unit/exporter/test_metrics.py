"""Prometheus is told what `api.exporter` names, each series with all labels; what is not known is absent."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ballast.api import exporter as names
from ballast.api.finalreading import Evaluation, Joules, Training
from ballast.api.source import Component, Source
from ballast.exporter import metrics
from ballast.exporter.metrics import PodCollector, exposition
from ballast.exporter.totals import Figures, GpuFigures
from tests.unit.exporter.fakes import Clock, Trainer

LABELS = {"trainingjob": "sweep", "job_uid": "job-1", "attempt": "2", "pod_uid": "uid-1"}
FIGURES = Figures(
    at=1_800_000_000.5,
    fresh_until=110.0,
    joules={
        Component.GPU: Joules(1_000.0, 50.0, Source.COUNTER),
        Component.CPU: Joules(70.0, 0.0, Source.ESTIMATED),
        Component.DRAM: Joules(9.0, 0.0, Source.COUNTER),
    },
    watts={Component.GPU: 250.0, Component.CPU: 12.0, Component.DRAM: 3.0},
    gpus=(GpuFigures("GPU-1", 1_050.0, 250.0, 300.0),),
)
TRAINING = Training(
    step=100,
    total_steps=1_000,
    epoch=1.5,
    samples=3_200.0,
    percent=10.0,
    steps_per_second=2.0,
    samples_per_second=64.0,
    seconds_left=450.0,
    metric=0.3,
    best=0.25,
    reported_at=1_800_000_000.0,
    evaluations=20,
    ring=tuple(Evaluation(number, number / 10, number * 5, number / 5) for number in range(21 - names.RING, 21)),
)

MOST_SERIES = 40

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


def told(
    figures: Figures = FIGURES,
    trainer: Trainer | None = None,
    cost: float | None = None,
    *,
    has_evaluations: bool = True,
    has_training_metric: bool = True,
    now: float = 100.0,
) -> Series:
    """All series, by name and by the labels that are their own."""
    collector = PodCollector(
        LABELS.values(),
        lambda: figures,
        trainer or Trainer(),
        lambda: cost,
        has_evaluations=has_evaluations,
        has_training_metric=has_training_metric,
        clock=Clock(now).steady,
    )
    found: Series = {}
    for family in text_string_to_metric_families(exposition(collector)().decode()):
        for sample in family.samples:
            assert LABELS.items() <= sample.labels.items()
            key = (sample.name, frozenset(sample.labels.items() - LABELS.items()))
            assert key not in found
            found[key] = sample.value
    return found


def one(series: Series, name: str, **labels: str) -> float | None:
    return series.get((name, frozenset(labels.items())))


def all_of(series: Series, name: str) -> Mapping[frozenset[tuple[str, str]], float]:
    return {labels: value for (each, labels), value in series.items() if each == name}


def test_energy_by_component_and_share() -> None:
    series = told()
    assert one(series, names.ENERGY, component="gpu", share="active") == 1_000.0
    assert one(series, names.ENERGY, component="gpu", share="idle") == 50.0
    assert one(series, names.ENERGY, component="cpu", share="active") == 70.0
    assert one(series, names.ENERGY, component="cpu", share="idle") is None
    assert one(series, names.SOURCE, component="gpu", source="Counter") == 1.0
    assert one(series, names.SOURCE, component="cpu", source="Estimated") == 1.0


def test_power_and_each_gpu() -> None:
    series = told()
    assert one(series, names.POWER, component="dram") == 3.0
    assert one(series, names.GPU_ENERGY, uuid="GPU-1") == 1_050.0
    assert one(series, names.GPU_POWER, uuid="GPU-1") == 250.0
    assert one(series, names.GPU_POWER_LIMIT, uuid="GPU-1") == 300.0
    assert one(series, names.READ_AT) == 1_800_000_000.5


@pytest.mark.parametrize("name", [names.POWER, names.GPU_POWER, names.GPU_POWER_LIMIT])
def test_watts_that_hold_no_more_are_absent_and_joules_stay(name: str) -> None:
    assert all_of(told(now=110.0), name)
    stale = told(now=110.1)
    assert not all_of(stale, name)
    assert one(stale, names.ENERGY, component="gpu", share="active") == 1_000.0
    assert one(stale, names.READ_AT) == 1_800_000_000.5


def test_before_anything_is_known_there_are_evaluations_only() -> None:
    assert told(Figures()) == {(names.EVALUATIONS, frozenset()): 0.0}
    assert told(Figures(), has_evaluations=False) == {}


def test_progress() -> None:
    series = told(trainer=Trainer(TRAINING, {"eval_loss": 0.3, "loss": math.nan}), cost=12.5)
    values = {
        names.STEP: 100.0,
        names.TOTAL_STEPS: 1_000.0,
        names.EPOCH: 1.5,
        names.PERCENT: 10.0,
        names.STEPS_PER_SECOND: 2.0,
        names.SAMPLES_PER_SECOND: 64.0,
        names.SAMPLES: 3_200.0,
        names.SECONDS_LEFT: 450.0,
        names.REPORTED_AT: 1_800_000_000.0,
        names.BEST: 0.25,
        names.JOULES_PER_STEP: 12.5,
        names.EVALUATIONS: 20.0,
    }
    assert {name: one(series, name) for name in values} == values
    assert one(series, names.METRIC, metric="eval_loss") == 0.3
    assert math.isnan(one(series, names.METRIC, metric="loss") or 0.0)


def test_what_the_trainer_does_not_tell_is_absent() -> None:
    series = told(Figures(), Trainer(Training(step=1)), has_evaluations=False)
    assert set(series) == {(names.STEP, frozenset())}


def test_an_evaluation_stands_in_the_slot_of_its_number() -> None:
    series = told(trainer=Trainer(TRAINING))
    for number in range(21 - names.RING, 21):
        slot = str(number % names.RING)
        assert one(series, names.EVALUATION_VALUE, slot=slot) == number / 10
        assert one(series, names.EVALUATION_STEP, slot=slot) == number * 5
        assert one(series, names.EVALUATION_TRAINING_VALUE, slot=slot) == number / 5


def test_training_values_only_where_early_stopping_needs_them() -> None:
    series = told(trainer=Trainer(TRAINING), has_training_metric=False)
    assert not all_of(series, names.EVALUATION_TRAINING_VALUE)
    assert all_of(series, names.EVALUATION_VALUE)


def test_series_are_few() -> None:
    """One GPU, memory that is counted, early stopping with a training metric, and everything reported."""
    series = told(trainer=Trainer(TRAINING, {"eval_loss": 0.3, "loss": 0.6}), cost=12.5)
    slots = (names.EVALUATION_VALUE, names.EVALUATION_STEP, names.EVALUATION_TRAINING_VALUE)
    assert sum(len(all_of(series, name)) for name in slots) == 3 * names.RING
    assert len(series) <= MOST_SERIES


def test_names_stand_in_one_place() -> None:
    assert not re.search(r'"ballast_', Path(metrics.__file__).read_text())
