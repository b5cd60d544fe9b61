"""Whenever a training is scraped and asked about: each of its evaluations is known, or known to be missed, once."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ballast.api.exporter import RING
from ballast.observe.prometheus.evaluations import LOOKBACK_SECONDS, EvaluationDecoder, Slot

EVALUATIONS_PER_SECOND = 10
SCRAPE_SECONDS = 15


def value(number: int, diverges: int) -> float:
    """Return what is mostly no number from an evaluation on; NaN is always another object, as if parsed."""
    none = {0: float("nan"), 1: float("nan"), 2: math.inf, 3: -math.inf}
    return none.get(number % 5, number * 0.25) if number >= diverges else number * 0.25


def slots(count: int, diverges: int) -> dict[int, Slot]:
    numbers = range(max(count - RING, 0) + 1, count + 1)
    return {number % RING: Slot(value(number, diverges)) for number in numbers}


@given(
    pace=st.sampled_from([EVALUATIONS_PER_SECOND, 1, 0.1, 0.02]),
    pauses=st.lists(st.integers(1, 60), min_size=10, max_size=30),
    lost=st.lists(st.sampled_from([False, False, False, True]), min_size=3, max_size=10),
    lags=st.lists(st.sampled_from([0, 1, 2]), min_size=3, max_size=10),
    moved=st.lists(st.integers(0, 200), min_size=1, max_size=10),
    diverges=st.sampled_from([1, 5, 50, 10**9]),
)
def test_known_and_missed_are_all(
    pace: float, pauses: list[int], lost: list[bool], lags: list[int], moved: list[int], diverges: int
) -> None:
    """Scrapes every 15 s, any of them lost; asked at any times, of scrapers that are up to two scrapes behind.

    `moved`: how far the count went on between the query that chose the slots and the one that read them; `diverges`:
    from which evaluation on there are values that are NaN or infinite.
    """
    decoder = EvaluationDecoder()
    known: list[int] = []
    now = 0
    scraped = [0]
    for number, pause in enumerate(pauses):
        seconds = range(now + 1, now + pause + 1)
        scraped += [s for s in seconds if s % SCRAPE_SECONDS == 0 and not lost[s // SCRAPE_SECONDS % len(lost)]]
        now += pause
        at = scraped[max(len(scraped) - 1 - lags[number % len(lags)], 0)]
        if now - at > LOOKBACK_SECONDS:
            continue
        seen = int(at * pace)
        later = seen + moved[number % len(moved)] if pace == EVALUATIONS_PER_SECOND else seen
        heard = decoder.known("job", 1, now).evaluations
        wanted = decoder.wanted("job", 1, seen)
        shown = {slot: content for slot, content in slots(later, diverges).items() if slot in wanted}
        if not wanted:
            decoded = decoder.known("job", 1, now)
        else:
            decoded = decoder.take("job", 1, "pod", later, shown, now, asked=seen)
        for each in decoded.new:
            assert each.value == pytest.approx(value(each.number, diverges), nan_ok=True)
        new = [each.number for each in decoded.new]
        assert new == list(range(max(heard, later - RING) + 1, seen + 1)), "all that are still shown are known"
        known += new
        assert len(known) == len(set(known)), "one was told twice"
        assert known == sorted(known)
        assert len(known) + decoded.missed == decoded.evaluations
    assert decoder.known("job", 1, now).evaluations <= max(scraped) * pace
