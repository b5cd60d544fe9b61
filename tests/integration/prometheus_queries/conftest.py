"""One Prometheus that scrapes each second whatever the tests put into place."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from itertools import count

import pytest

from ballast.decide.telemetry import Poll, Telemetry
from ballast.observe.prometheus.client import PrometheusClient
from ballast.observe.prometheus.reader import SETTLED_SECONDS, TelemetryReader
from tests.integration.prometheus_queries.exposition import ExposedPod
from tests.integration.prometheus_queries.server import PrometheusServer, Target

PLACES = 16
CLUSTER = "ours"
PATIENCE_SECONDS = 30.0


class Scraped:
    """What is scraped, by place; each place is one target of two scrapers, of which the second sees another page."""

    def __init__(self) -> None:
        self.pages: dict[str, Callable[[], str | None]] = {}
        self._places = count()
        self.url = ""

    def render(self, path: str) -> str | None:
        page = self.pages.get(path)
        return page() if page is not None else ""

    def place(self) -> str:
        """Return a place that no test uses."""
        return f"/{next(self._places)}"

    def show(self, *pods: ExposedPod) -> str:
        """Let pods be scraped by one scraper; return the place."""
        place = self.place()
        self.pages[place] = lambda: "".join(pod.text() for pod in pods)
        return place


@pytest.fixture(scope="package")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scraped]:
    """What is scraped."""
    scraped = Scraped()
    with Target(scraped.render) as target:
        configs = [
            {
                "job_name": f"{scraper}{number}",
                "metrics_path": f"/{number}{scraper}",
                "static_configs": [
                    {
                        "targets": [target.address],
                        "labels": {"namespace": "team", "cluster": CLUSTER, "scraper": scraper or "first"},
                    }
                ],
            }
            for number in range(PLACES)
            for scraper in ("", "second")
        ]
        foreign = {
            "job_name": "foreign",
            "metrics_path": "/foreign",
            "static_configs": [{"targets": [target.address], "labels": {"namespace": "team", "cluster": "theirs"}}],
        }
        with PrometheusServer(tmp_path_factory.mktemp("prometheus"), [*configs, foreign]) as server:
            scraped.url = server.url
            yield scraped


class Asking:
    """Asks as the operator does.

    Args:
        url: the server's.
        stale_seconds: see `TelemetryReader`.
    """

    def __init__(self, url: str, stale_seconds: float = 60.0) -> None:
        self.client = PrometheusClient(url)
        self.reader = TelemetryReader(self.client, {"cluster": CLUSTER}, 15, stale_seconds, time.time)

    async def until(self, is_so: Callable[[Poll], bool]) -> Poll:
        """Ask until an answer is as expected, and return it."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            poll = await self.reader.poll()
            assert poll.problem is None
            if is_so(poll):
                return poll
            assert time.monotonic() < deadline, poll
            await asyncio.sleep(0.2)

    async def job(self, job_uid: str, is_so: Callable[[Telemetry], bool] = lambda _: True) -> Telemetry:
        """Ask until a job is known and as expected."""
        poll = await self.until(lambda poll: job_uid in poll.jobs and is_so(poll.jobs[job_uid]))
        return poll.jobs[job_uid]

    async def rows(self, expression: str, *, some: bool = True) -> None:
        """Ask until an expression has rows, or has none any more, for the moment for which the reader asks."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while bool((await self.client.query(expression, time.time() - SETTLED_SECONDS, list)).value) is not some:
            assert time.monotonic() < deadline, expression
            await asyncio.sleep(0.1)
