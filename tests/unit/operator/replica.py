"""One operator as far as leading goes: a Lease that the test gives, an authority of agents, cycles that are counted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from ballast import operator as module
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


class Kube:
    """Stands for a client that nobody asks."""

    def beside(self, requests_per_second: float) -> Kube:
        return self


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
            made = module._Operator(self.settings, Kube(), *parts)  # type: ignore[arg-type]
            self.access: Any = given[AGENT_ACCESS]
            self.certificates: Any = made._certificates
            made._loop.run = self._decide  # type: ignore[method-assign]
            made._resync.complete = self._listed  # type: ignore[method-assign]
            made._state.synced.set()
            attempt = tasks.create_task(self._answer(leads))
            leading = tasks.create_task(made._lead(attempt))
            yield
            for task in (leading, made._keeping, made._signing, made._asking):
                if task is not None:
                    task.cancel()

    async def _decide(self) -> Any:
        self.deciding.set()
        await asyncio.Event().wait()

    async def _listed(self) -> None:
        pass

    async def _answer(self, leads: bool) -> bool:
        return leads


async def settle() -> None:
    """Let everything happen that waits for nothing."""
    for _ in range(20):
        await asyncio.sleep(0)
