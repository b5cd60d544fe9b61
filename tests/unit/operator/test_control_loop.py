"""The loop: no cycle before the first complete list; then one per change, as many actions as there is room for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ballast import control_loop
from ballast.act.executor import Executor
from ballast.control_loop import ControlLoop
from ballast.decide.actions import Action, JobAction, Transition, WriteStatus
from ballast.decide.cycle import decide
from ballast.decide.snapshot import Snapshot
from ballast.observe.cluster_state import ClusterState, Kind
from ballast.serve.metrics import Metrics
from tests.builders import NOW, JobBuilder, job, node, pod


class Submitted(list[Action]):
    """Stands for the executor: keeps what is submitted, and has as much room as the test says."""

    def __init__(self, room: int = 100) -> None:
        super().__init__()
        self.room = room
        self.room_for_explanations = 100
        self.grew = asyncio.Event()

    def submit(self, action: Action) -> None:
        self.append(action)
        self.grew.set()

    @property
    def names(self) -> list[str]:
        return [action.job.metadata.name for action in self if isinstance(action, JobAction)]


class Running:
    """A loop that runs, and what it works with."""

    def __init__(self, room: int = 100) -> None:
        self.submitted = Submitted(room)
        self.metrics = Metrics()
        self.state = ClusterState(wake=lambda: self.loop.wake())
        self.loop = ControlLoop(
            self.state, cast("Executor", self.submitted), self.metrics, 0, idle_seconds=3_600, clock=lambda: NOW
        )

    def sees(self, *jobs: JobBuilder) -> None:
        for builder in jobs:
            self.state.observe(Kind.TRAINING_JOB, builder.manifest())

    @property
    def cycles(self) -> int:
        for line in self.metrics.render().decode().splitlines():
            if line.startswith("ballast_cycle_seconds_count"):
                return int(float(line.split()[1]))
        raise AssertionError

    async def submits(self, count: int) -> None:
        while len(self.submitted) < count:
            self.submitted.grew.clear()
            await self.submitted.grew.wait()


@asynccontextmanager
async def running(*, room: int = 100, synced: bool = True) -> AsyncIterator[Running]:
    operator = Running(room)
    operator.state.observe(Kind.NODE, node("a").manifest())
    if synced:
        operator.state.synced.set()
    task = asyncio.create_task(operator.loop.run())
    try:
        # Only so that what never happens fails, instead of being waited for.
        async with asyncio.timeout(60):
            yield operator
    finally:
        task.cancel()
        _, pending = await asyncio.wait({task}, timeout=60)
        assert not pending, "the loop goes on though it was cancelled"


async def turns(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_nothing_is_decided_before_the_first_complete_list() -> None:
    async with running(synced=False) as operator:
        operator.sees(job("train"))
        await turns()
        assert operator.cycles == 0
        assert not operator.loop.ready.is_set()
        operator.state.synced.set()
        await operator.loop.ready.wait()
        assert operator.submitted.names == ["train"]


async def test_it_is_ready_after_its_first_cycle_though_nothing_is_to_be_done() -> None:
    async with running() as operator:
        await operator.loop.ready.wait()
        assert operator.cycles == 1


async def test_a_change_is_a_cycle_and_its_actions_are_assumed() -> None:
    async with running() as operator:
        await operator.loop.ready.wait()
        operator.sees(job("train"))
        await operator.submits(1)
        [action] = operator.submitted
        assert isinstance(action, WriteStatus)
        assert action.transition is Transition.ADMIT
        assert operator.state.snapshot(NOW, 10).nodes[0].free["cpu"] == 31_000


async def test_what_is_under_way_is_not_decided_again() -> None:
    async with running() as operator:
        operator.sees(job("train"))
        await operator.submits(1)
        operator.sees(job("other"))
        await operator.submits(2)
        assert operator.submitted.names == ["train", "other"]


async def test_what_there_was_no_room_for_is_decided_next() -> None:
    async with running(room=1) as operator:
        operator.sees(job("a"), job("b"), job("c"))
        await operator.submits(3)
        assert operator.submitted.names == ["a", "b", "c"]
        assert operator.cycles >= 3


async def test_without_room_it_waits_whatever_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds = 0

    async def cycle() -> None:
        nonlocal rounds
        rounds += 1

    async with running(room=0) as operator:
        await operator.loop.ready.wait()
        monkeypatch.setattr(operator.loop, "_cycle", cycle)
        monkeypatch.setattr(operator.state, "seconds_to_next_due", lambda: 0.0)
        operator.loop.wake()
        await turns(200)
        assert rounds == 1
        operator.submitted.room = 1
        operator.loop.wake()
        await turns(200)
        assert rounds > 2


async def test_steps_of_admitted_jobs_that_were_cut_off_come_next() -> None:
    gang = job("gang").replicas(2).placed_on("a", "a")
    async with running(room=1) as operator:
        operator.state.observe(Kind.JOB, gang.job_manifest())
        for index in range(2):
            operator.state.observe(Kind.POD, pod(index, of=gang).gated().manifest())
        operator.sees(gang)
        await operator.submits(2)
        assert {cast("Any", action).pod_name for action in operator.submitted} == {"gang-1-0", "gang-1-1"}


async def test_admitted_jobs_that_were_cut_off_altogether_come_next_too() -> None:
    async with running(room=1) as operator:
        operator.sees(job("one").placed_on("a"), job("two").placed_on("a"), job("three").placed_on("a"))
        await operator.submits(3)
        assert set(operator.submitted.names) == {"one", "two", "three"}


async def test_without_room_there_is_no_cycle() -> None:
    async with running(room=0) as operator:
        operator.sees(job("train"))
        await turns()
        assert operator.cycles == 0
        operator.submitted.room = 1
        operator.loop.wake()
        await operator.submits(1)


async def test_a_resting_job_is_decided_when_it_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ballast.observe.timers.FIRST_RETRY_SECONDS", 0.01)
    async with running() as operator:
        operator.sees(job("train"))
        await operator.submits(1)
        operator.state.reject(operator.submitted[0])
        operator.loop.wake()
        await operator.submits(2)
        assert operator.submitted.names == ["train", "train"]


async def test_a_stuck_cycle_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    release, entered = asyncio.Event(), asyncio.Event()

    async def stuck(decide_: Callable[[Snapshot], Any], snapshot: Snapshot) -> Any:
        entered.set()
        await release.wait()
        return decide_(snapshot)

    monkeypatch.setattr(asyncio, "to_thread", stuck)
    async with running() as operator:
        await entered.wait()
        assert operator.loop.why_stuck(60) is None
        start = time.monotonic()
        monkeypatch.setattr(control_loop, "time", SimpleNamespace(monotonic=lambda: start + 61))
        why = operator.loop.why_stuck(60)
        assert why is not None
        assert why.startswith("no control cycle has ended for 6")
        assert why.endswith("(limit 60 s)")
        release.set()
        await operator.loop.ready.wait()
        assert operator.loop.why_stuck(60) is None


def test_waiting_for_the_first_list_is_not_being_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    operator = Running()
    start = time.monotonic()
    monkeypatch.setattr(control_loop, "time", SimpleNamespace(monotonic=lambda: start + 10_000))
    assert operator.loop.why_stuck(60) is None


async def test_deciding_does_not_block_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[bool] = []
    here = asyncio.get_running_loop()

    def watched(snapshot: Snapshot) -> Any:
        with suppress(RuntimeError):
            threads.append(asyncio.get_running_loop() is here)
        threads.append(False)
        return decide(snapshot)

    monkeypatch.setattr(control_loop, "decide", watched)
    async with running() as operator:
        await operator.loop.ready.wait()
    assert threads == [False]
