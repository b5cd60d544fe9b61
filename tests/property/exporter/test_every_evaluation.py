"""Whatever is reported, whenever somebody looks and the exporter restarts: each evaluation is known, or known missing.

Whoever looks sees what a scrape shows: the count and what stands in each slot.
"""

from __future__ import annotations

import json
import math

from hypothesis import given
from hypothesis import strategies as st

from ballast.api.exporter import RING
from ballast.api.finalreading import Evaluation
from ballast.exporter.progress import Progress
from ballast.exporter.report import Report

METRIC = "val_loss"

evaluation = st.tuples(
    st.floats(allow_nan=True, allow_infinity=True),
    st.integers(min_value=0, max_value=3),  # missed before
    st.none() | st.integers(min_value=0, max_value=1000),  # step
)
look = st.just("look")
restart = st.just("restart")
other = st.just("other")
histories = st.lists(evaluation | evaluation | look | restart | other, max_size=80)


def scrape(progress: Progress) -> tuple[int, dict[int, Evaluation]]:
    """Return the count and the slots, as Prometheus has them."""
    training = progress.training()
    if training is None:
        return 0, {}
    slots = {each.number % RING: each for each in training.ring}
    assert len(slots) == len(training.ring)
    return training.evaluations, slots


@given(histories)
def test_each_is_known_or_known_to_be_missing(history: list[tuple[float, int, int | None] | str]) -> None:
    progress = Progress(METRIC)
    true: dict[int, float | None] = {}
    known: dict[int, float] = {}
    missing: set[int] = set()
    seen = 0
    step: int | None = None
    for event in [*history, "look"]:
        if event == "look":
            count, slots = scrape(progress)
            assert count == len(true) >= seen
            for number in range(seen + 1, count + 1):
                each = slots.get(number % RING) if number > count - RING else None
                if each is None:
                    missing.add(number)
                else:
                    known[number] = each.value
            seen = count
        elif event == "restart":
            saved = json.loads(json.dumps(progress.to_json(), allow_nan=False))
            progress = Progress(METRIC)
            progress.restore(saved)
        elif event == "other":
            progress.report(Report(metrics={"loss": 1.0}))
        else:
            assert isinstance(event, tuple)
            value, missed, told_step = event
            progress.report(Report(step=told_step, metrics={METRIC: value}, missed={METRIC: missed}))
            true |= {len(true) + 1 + more: None for more in range(missed)}
            true[len(true) + 1] = value
            step = told_step if told_step is not None else step
            training = progress.training()
            assert training is not None
            assert training.ring[-1].step == step
    assert known.keys() | missing == true.keys()
    assert known.keys().isdisjoint(missing)
    for number, value in known.items():
        expected = true[number]
        assert expected is not None
        assert value == expected or (math.isnan(value) and math.isnan(expected))


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=40), st.integers(min_value=1, max_value=RING))
def test_nothing_is_missing_for_whoever_looks_often_enough(values: list[float], often: int) -> None:
    progress = Progress(METRIC)
    known: list[float] = []
    seen = 0
    for number, value in enumerate(values, start=1):
        progress.report(Report(metrics={METRIC: value}))
        if number % often == 0 or number == len(values):
            count, slots = scrape(progress)
            known += [slots[each % RING].value for each in range(seen + 1, count + 1)]
            seen = count
    assert [repr(value) for value in known] == [repr(value) for value in values]


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=40), st.booleans())
def test_the_best_is_the_best_of_the_finite_values(values: list[float], maximize: bool) -> None:
    progress = Progress(METRIC, goal="Maximize" if maximize else "Minimize")
    for value in values:
        progress.report(Report(metrics={METRIC: value}))
    training = progress.training()
    assert training is not None
    finite = [value for value in values if math.isfinite(value)]
    assert training.best == (None if not finite else max(finite) if maximize else min(finite))
    assert training.evaluations == len(values)
