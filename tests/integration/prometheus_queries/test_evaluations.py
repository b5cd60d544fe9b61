"""Evaluations are read as one scrape showed them: no slot of another time, no slot of another scraper."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import pytest

from ballast.api import exporter
from ballast.api.finalreading import Evaluation
from ballast.decide.telemetry import Telemetry
from tests.integration.prometheus_queries.conftest import Asking, Scraped
from tests.integration.prometheus_queries.exposition import ExposedPod


def evaluated(pod_uid: str, count: int, kept: int = exporter.RING) -> ExposedPod:
    """Return a pod that has reported so many; evaluation n has the value n / 4."""
    ring = [Evaluation(n, n / 4, n * 10, n / 2) for n in range(max(count - kept, 0) + 1, count + 1)]
    told = {exporter.REPORTED_AT: time.time()}
    return ExposedPod(pod_uid, pod_uid, training=told, evaluations=count, ring=ring)


def have(evaluations: int) -> Callable[[Telemetry], bool]:
    return lambda job: job.training is not None and job.training.evaluations == evaluations


async def test_new_ones_are_told_with_all_that_is_known_of_them(scraped: Scraped) -> None:
    place = scraped.show(evaluated("ring", 10))
    asking = Asking(scraped.url)
    async with asking.client:
        first = await asking.job("ring", have(10))
        scraped.pages[place] = evaluated("ring", 12).text
        second = await asking.job("ring", have(12))
    assert first.training is not None
    assert second.training is not None
    assert [each.number for each in first.training.ring] == list(range(11 - exporter.RING, 11))
    assert first.missed_evaluations == 10 - exporter.RING
    assert second.training.ring == (Evaluation(11, 2.75, 110, 5.5), Evaluation(12, 3.0, 120, 6.0))
    assert second.missed_evaluations == 10 - exporter.RING


async def test_of_two_scrapers_the_one_that_has_seen_more_is_read_alone(scraped: Scraped) -> None:
    """The newest stands where 1 stood; the scraper that is behind still shows 1, whose values are greater."""
    count = exporter.RING + 1
    ahead = evaluated("behind", count)
    ahead.ring[-1] = newest = Evaluation(count, -5.0, 0, -5.0)
    place = scraped.show(ahead)
    scraped.pages[place + "second"] = evaluated("behind", exporter.RING).text
    asking = Asking(scraped.url)
    async with asking.client:
        await asking.rows(f'count({{__name__="{exporter.EVALUATIONS}",pod_uid="behind"}}) == 2')
        job = await asking.job("behind")
    assert job.training is not None
    assert (job.training.evaluations, job.training.ring[-1]) == (count, newest)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf], ids=str)
async def test_a_training_that_diverges_is_told(scraped: Scraped, value: float) -> None:
    """One scraper is behind: what it shows in the slot is a number, which `max` prefers to NaN."""
    count, name = exporter.RING + 1, f"diverges-{value}"
    ahead = evaluated(name, count)
    ahead.ring[-1] = Evaluation(count, value, 7, value)
    place = scraped.show(ahead)
    scraped.pages[place + "second"] = evaluated(name, exporter.RING).text
    asking = Asking(scraped.url)
    async with asking.client:
        await asking.rows(f'count({{__name__="{exporter.EVALUATIONS}",pod_uid="{name}"}}) == 2')
        job = await asking.job(name)
    assert job.training is not None
    told = job.training.ring[-1]
    for each in (told.value, told.training_value):
        assert each == pytest.approx(value, nan_ok=True)
    assert (told.number, told.step, len(job.training.ring)) == (count, 7, exporter.RING)
    assert job.missed_evaluations == 1


async def test_a_slot_that_is_not_shown_any_more_is_missed_and_not_read_from_the_past(scraped: Scraped) -> None:
    """An exporter that has kept its count, but not its ring: slots of the newest two showed 1 and 2 before."""
    place = scraped.show(evaluated("kept", exporter.RING))
    asking = Asking(scraped.url)
    async with asking.client:
        await asking.job("kept", have(exporter.RING))
        scraped.pages[place] = evaluated("kept", exporter.RING + 2, kept=0).text
        job = await asking.job("kept", have(exporter.RING + 2))
    assert job.training is not None
    assert (job.training.ring, job.missed_evaluations) == ((), 2)
