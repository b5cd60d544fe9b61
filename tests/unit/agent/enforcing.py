"""Enforcement over GPUs in memory, on a node whose time, spec, holders and Lease the test sets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from ballast.agent.capping.enforcement import Enforcement, Inputs
from ballast.agent.capping.operator_lease import OperatorLease
from ballast.agent.device_thread import DeviceThread
from ballast.agent.gpus import Gpus
from ballast.api.nodepower import NodePowerSpec, PodOperatingPoint, WithoutOperator
from ballast.api.operatingpoint import OperatingPoint
from tests.unit.agent.capping import Capping

STALE_SECONDS = 120.0
DRIFT_SECONDS = 5.0


def asks(hold: bool = False, **points: OperatingPoint) -> NodePowerSpec:
    """What the operator asks, by pod: `asks(pod=point(150))`."""
    return NodePowerSpec(
        pods=tuple(PodOperatingPoint(uid=uid, operating_point=one) for uid, one in points.items()),
        without_operator=WithoutOperator.HOLD if hold else WithoutOperator.RESTORE,
    )


def held(**pods: str) -> Mapping[str, frozenset[str]]:
    """Who holds which GPU: `held(a="pod")`."""
    return {uuid: frozenset({pod}) for uuid, pod in pods.items()}


def renewed(times: int) -> dict[str, Any]:
    """The operator's Lease after so many renewals."""
    return {"spec": {"holderIdentity": "operator", "renewTime": str(times)}}


class Node(Capping):
    """A node whose agent enforces.

    Attributes:
        inputs: what a round goes by.
        told: how many rounds were told of.
    """

    def __init__(self, folder: Path, *uuids: str) -> None:
        super().__init__(folder, *uuids)
        self.inputs = Inputs()
        self.told = 0
        self.reopened = 0
        self._renewals = 0
        reopen = self.driver.reopen

        def counted() -> None:
            self.reopened += 1
            reopen()

        self.driver.reopen = counted  # type: ignore[method-assign]
        self.begin()

    def begin(self) -> None:
        """A new process's parts."""
        self.thread = DeviceThread()
        self.gpus = Gpus(self.driver)
        self.gpus.look()
        self.lease = OperatorLease(STALE_SECONDS, self.now)
        self.enforcement = Enforcement(
            self.thread,
            self.gpus,
            self.capper,
            self.lease,
            lambda: self.inputs,
            lambda: self.now,
            DRIFT_SECONDS,
            on_round=self._note,
        )

    def renew(self) -> None:
        """The operator lives."""
        for _ in range(2):  # the first sight is no news
            self._renewals += 1
            self.lease.observe(renewed(self._renewals), self.now)

    async def round(self, seconds: float = 0.0) -> None:
        """Some time later, one round."""
        self.now += seconds
        await self.enforcement.round()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Rounds, as the agent runs them."""
        task = asyncio.create_task(self.enforcement.run())
        await self.rounds(1)
        yield
        assert not task.done(), task
        task.cancel()
        await asyncio.wait([task])

    async def rounds(self, count: int) -> None:
        """Wait until there were so many."""
        async with asyncio.timeout(30):
            while self.told < count:  # noqa: ASYNC110 - rounds are counted, and there is no event for each number
                await asyncio.sleep(0.001)

    def end(self) -> None:
        """End the process."""
        self.thread.close()
        self.close()

    def _note(self) -> None:
        self.told += 1
