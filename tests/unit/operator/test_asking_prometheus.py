"""Of several replicas only the one that leads asks Prometheus, and none where there is no Prometheus."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ballast import operator as module
from ballast.decide.telemetry import Poll
from tests.builders import NOW
from tests.unit.operator.replica import Certificates, Replica, settle

URL = "http://prometheus.example:9090"


class Reader:
    """Stands for what asks.

    Attributes:
        asked: told when it begins.
    """

    asked = asyncio.Event()

    def __init__(self, *_: object) -> None:
        pass

    async def run(self, take: Any, lost_pods: Any) -> None:
        assert lost_pods() == ()
        take(Poll(NOW, problem="no route"))
        self.asked.set()
        await asyncio.Event().wait()


@pytest.fixture(autouse=True)
def _doubles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AgentCertificates", Certificates)
    monkeypatch.setattr(module, "TelemetryReader", Reader)
    monkeypatch.setattr(Reader, "asked", asyncio.Event())


async def test_who_leads_asks() -> None:
    async with Replica(prometheus_url=URL).running(leads=True):
        await Reader.asked.wait()


async def test_who_does_not_lead_asks_nothing_until_it_takes_over() -> None:
    replica = Replica(prometheus_url=URL)
    async with replica.running(leads=False):
        await settle()
        assert not Reader.asked.is_set()
        replica.leadership.leads.set()
        await Reader.asked.wait()


async def test_without_prometheus_nobody_is_asked() -> None:
    replica = Replica()
    async with replica.running(leads=True):
        await replica.deciding.wait()
        await settle()
        assert not Reader.asked.is_set()
