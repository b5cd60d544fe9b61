"""New pods learn how to reach their nodes' agents from the operator that leads, and only where there are agents."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from ballast import operator as module
from ballast.act.agent_access import AgentAccess
from ballast.serve.metrics import Metrics
from ballast.settings import OperatorSettings

BUNDLE = "-----BEGIN CERTIFICATE-----"


class Certificates:
    """Stands for what keeps the agents' authority.

    Attributes:
        made: whether the authority can be had.
        runs: how often it was set to work.
    """

    made = True

    def __init__(self, *_: object, **__: object) -> None:
        self.ca_bundle: str | None = None
        self.ready = asyncio.Event()
        self.runs = 0
        self.is_ended = False

    async def run(self) -> None:
        self.runs += 1
        try:
            if self.made:
                self.make()
            await asyncio.Event().wait()
        finally:
            self.is_ended = True

    def make(self) -> None:
        self.ca_bundle = BUNDLE
        self.ready.set()


class Leadership:
    """Leads when the test says so."""

    def __init__(self) -> None:
        self.leads = asyncio.Event()

    async def acquire(self) -> None:
        await self.leads.wait()

    async def keep(self) -> None:
        await asyncio.Event().wait()


AGENT_ACCESS = 7
"""Which of the executor's arguments tells how pods reach the agents."""


class Replica:
    """One operator as far as leading goes; its cycles are only counted."""

    def __init__(self, **settings: Any) -> None:
        self.settings = OperatorSettings(namespace="ballast-system", agent_port=9555, **settings)
        self.leadership = Leadership()
        self.deciding = asyncio.Event()

    @asynccontextmanager
    async def running(self, *, leads: bool) -> AsyncIterator[None]:
        """It has tried once to get the Lease."""
        async with asyncio.TaskGroup() as tasks:
            given: list[Any] = []

            def executor(*parts: Any, **_: Any) -> object:
                given.extend(parts)
                return object()

            parts: Any = self.leadership, Metrics(), tasks, executor
            made = module._Operator(self.settings, object(), *parts)  # type: ignore[arg-type]
            self.access: Any = given[AGENT_ACCESS]
            self.certificates: Any = made._certificates
            made._loop.run = self._decide  # type: ignore[method-assign]
            made._resync.complete = self._listed  # type: ignore[method-assign]
            made._state.synced.set()
            attempt = tasks.create_task(self._answer(leads))
            leading = tasks.create_task(made._lead(attempt))
            yield
            for task in (leading, made._keeping, made._signing):
                if task is not None:
                    task.cancel()

    async def _decide(self) -> Any:
        self.deciding.set()
        await asyncio.Event().wait()

    async def _listed(self) -> None:
        pass

    async def _answer(self, leads: bool) -> bool:
        return leads


@pytest.fixture(autouse=True)
def _certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AgentCertificates", Certificates)


async def settle() -> None:
    """Let everything happen that waits for nothing."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_who_leads_knows_before_its_first_cycle() -> None:
    replica = Replica()
    async with replica.running(leads=True):
        await replica.deciding.wait()
        assert replica.access() == AgentAccess(BUNDLE, 9555)
        assert replica.certificates.runs == 1


async def test_who_does_not_lead_signs_nothing() -> None:
    replica = Replica()
    async with replica.running(leads=False):
        await settle()
        assert replica.certificates.runs == 0
        assert replica.access() is None
        assert not replica.deciding.is_set()


async def test_who_takes_over_begins_to() -> None:
    replica = Replica()
    async with replica.running(leads=False):
        await settle()
        replica.leadership.leads.set()
        await replica.deciding.wait()
        assert replica.certificates.runs == 1
        assert replica.access() == AgentAccess(BUNDLE, 9555)


async def test_jobs_do_not_wait_for_an_authority_that_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AUTHORITY_SECONDS", 0.01)
    monkeypatch.setattr(Certificates, "made", False)
    replica = Replica()
    async with replica.running(leads=True):
        await replica.deciding.wait()
        assert replica.access() is None, "their pods get nothing that they could not trust"
        replica.certificates.make()
        assert replica.access() == AgentAccess(BUNDLE, 9555)


async def test_without_agents_there_is_nothing_to_reach() -> None:
    replica = Replica(agents=False)
    async with replica.running(leads=True):
        await replica.deciding.wait()
        assert replica.certificates.runs == 0
        assert replica.access() is None
