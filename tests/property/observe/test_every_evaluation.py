"""Whenever a training is scraped and asked about: each of its evaluations is known, or known to be missed, once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ballast.api.exporter import RING
from ballast.observe.evaluations import LOOKBACK_SECONDS, EvaluationDecoder, Slot

EVALUATIONS_PER_SECOND = 10
SCRAPE_SECONDS = 15


def value(number: int) -> float:
    return number * 0.25


def slots(count: int) -> dict[int, Slot]:
    return {number % RING: Slot(value(number)) for number in range(max(count - RING, 0) + 1, count + 1)}


@given(
    pace=st.sampled_from([EVALUATIONS_PER_SECOND, 1, 0.5, 0.02]),
    pauses=st.lists(st.integers(1, 60), min_size=1, max_size=30),
    lost=st.lists(st.booleans(), min_size=1, max_size=10),
    lags=st.lists(st.integers(0, 2), min_size=1, max_size=10),
    moved=st.lists(st.integers(0, 200), min_size=1, max_size=10),
)
def test_known_and_missed_are_all(
    pace: float, pauses: list[int], lost: list[bool], lags: list[int], moved: list[int]
) -> None:
    """Scrapes every 15 s, any of them lost; asked at any times, of scrapers that are up to two scrapes behind.

    `moved`: how far the count went on between the query that chose the slots and the one that read them.
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
        wanted = decoder.wanted("job", 1, seen)
        shown = {slot: content for slot, content in slots(later).items() if slot in wanted}
        if not wanted:
            decoded = decoder.known("job", 1, now)
        else:
            decoded = decoder.take("job", 1, "pod", later, shown, now, asked=seen)
        for each in decoded.new:
            assert each.value == value(each.number)
        known += [each.number for each in decoded.new]
        assert len(known) == len(set(known)), "one was told twice"
        assert known == sorted(known)
        assert len(known) + decoded.missed == decoded.evaluations
    assert decoder.known("job", 1, now).evaluations <= max(scraped) * pace
