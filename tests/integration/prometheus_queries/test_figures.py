"""Figures are right in spite of gaps, resets, late samples and pods that are scraped twice."""

from __future__ import annotations

import time

from ballast.api import exporter
from ballast.api.finalreading import Joules
from ballast.api.source import Component, Source
from ballast.observe.prometheus.reader import TelemetryReader
from tests.integration.prometheus_queries.conftest import Asking, Scraped
from tests.integration.prometheus_queries.exposition import ExposedPod

STALE_SECONDS = 3.0


def a_pod(pod_uid: str, job_uid: str, joules: float = 1000.0) -> ExposedPod:
    return ExposedPod(
        pod_uid,
        job_uid,
        joules={"gpu": joules, "cpu": 10.0},
        watts={"gpu": 200.0, "cpu": 30.0},
        read_at=time.time() - 2,
    )


async def test_the_pods_of_a_job_together(scraped: Scraped) -> None:
    first, second = a_pod("sum-a", "sum"), a_pod("sum-b", "sum")
    first.training = {exporter.STEP: 40, exporter.REPORTED_AT: time.time() - 1, exporter.STEPS_PER_SECOND: 2.5}
    scraped.show(first)
    scraped.show(second)
    asking = Asking(scraped.url)
    async with asking.client:
        job = await asking.job("sum", lambda job: job.pods == 2)
    assert job.joules == {Component.GPU: 2200.0, Component.CPU: 22.0}
    assert (job.watts, job.oldest_at) == (460.0, min(first.read_at or 0, second.read_at or 0))
    assert job.training is not None
    assert (job.training.step, job.training.steps_per_second) == (40, 2.5)


async def test_a_pod_that_is_scraped_twice_counts_once(scraped: Scraped) -> None:
    place = scraped.show(a_pod("twice", "twice"))
    scraped.pages[place + "second"] = scraped.pages[place]
    asking = Asking(scraped.url)
    async with asking.client:
        await asking.job("twice")
        await asking.rows(f'count({{__name__="{exporter.READ_AT}",pod_uid="twice"}}) == 2')
        job = await asking.job("twice")
    assert (job.pods, job.watts, job.joules) == (1, 230.0, {Component.GPU: 1100.0, Component.CPU: 11.0})


async def test_a_gap_changes_nothing_until_the_window_is_over(scraped: Scraped) -> None:
    place = scraped.show(a_pod("gap", "gap"))
    asking = Asking(scraped.url, STALE_SECONDS)
    async with asking.client:
        await asking.job("gap")
        scraped.pages[place] = lambda: None
        await asking.rows(f'{{__name__="{exporter.READ_AT}",pod_uid="gap"}}', some=False)
        during = (await asking.reader.poll()).jobs["gap"]
        after = await asking.job("gap", lambda job: job.watts is None)
        await asking.until(lambda poll: "gap" not in poll.jobs)
    assert (during.watts, during.joules) == (230.0, after.joules)
    assert after.joules == {Component.GPU: 1100.0, Component.CPU: 11.0}, "watts go first: they are of now"


async def test_an_exporter_that_began_anew_is_taken_at_its_word(scraped: Scraped) -> None:
    pod = a_pod("reset", "reset", 5000.0)
    scraped.show(pod)
    asking = Asking(scraped.url)
    async with asking.client:
        await asking.job("reset", lambda job: job.joules[Component.GPU] == 5500.0)
        pod.joules = {"gpu": 100.0, "cpu": 10.0}
        await asking.job("reset", lambda job: job.joules[Component.GPU] == 110.0)


async def test_a_sample_that_comes_late_counts(scraped: Scraped) -> None:
    place = scraped.place()
    stamp = int((time.time() - 20) * 1000)

    def page() -> str:
        lines = a_pod("late", "late").text().splitlines()
        return "".join(f"{line} {stamp}\n" for line in lines)

    scraped.pages[place] = page
    asking = Asking(scraped.url)
    async with asking.client:
        job = await asking.job("late")
    assert (job.pods, job.watts) == (1, 230.0)


async def test_another_clusters_series_are_not_ours(scraped: Scraped) -> None:
    scraped.pages["/foreign"] = a_pod("foreign", "foreign").text
    scraped.show(a_pod("ours", "ours"))
    asking = Asking(scraped.url)
    async with asking.client:
        await asking.job("ours")
        await asking.rows(f'{{__name__="{exporter.READ_AT}",pod_uid="foreign"}}')
        everywhere = TelemetryReader(asking.client, {}, 15, 60, time.time)
        assert "foreign" in (await everywhere.poll()).jobs
        assert "foreign" not in (await asking.reader.poll()).jobs


async def test_the_last_of_a_pod_that_went_without_a_word(scraped: Scraped) -> None:
    pod = a_pod("lost", "lost")
    place = scraped.show(pod)
    asking = Asking(scraped.url, STALE_SECONDS)
    async with asking.client:
        await asking.job("lost")
        scraped.pages[place] = lambda: None
        await asking.until(lambda poll: "lost" not in poll.jobs)
        poll = await asking.reader.poll(["lost", "never-heard-of", 'odd"}|.*'])
    assert poll.problem is None
    assert poll.pods.keys() == {"lost"}
    assert poll.pods["lost"].at == pod.read_at
    assert poll.pods["lost"].joules == {
        Component.CPU: Joules(10.0, 1.0, Source.INTEGRAL),
        Component.GPU: Joules(1000.0, 100.0, Source.INTEGRAL),
    }
