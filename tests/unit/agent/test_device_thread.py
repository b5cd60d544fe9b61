"""The device thread: one call after the other, and nothing of it blocks the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from ballast.agent.device import DeviceLost
from ballast.agent.device_thread import DeviceThread


@pytest.fixture
def thread() -> Iterator[DeviceThread]:
    thread = DeviceThread()
    yield thread
    thread.close()


class Gate:
    """A call that returns when it is let go."""

    def __init__(self) -> None:
        self.entered, self.opened = threading.Event(), threading.Event()

    def __call__(self) -> str:
        self.entered.set()
        assert self.opened.wait(20)
        return "done"


async def entered(gate: Gate) -> None:
    assert await asyncio.to_thread(gate.entered.wait, 20)


async def test_a_call_gets_its_arguments_and_gives_its_answer(thread: DeviceThread) -> None:
    assert await thread.run(int, "ff", base=16) == 255


async def test_calls_run_in_the_order_in_which_they_were_made(thread: DeviceThread) -> None:
    done: list[int] = []
    gate = Gate()
    first = asyncio.create_task(thread.run(gate))
    await entered(gate)
    others = [asyncio.create_task(thread.run(done.append, number)) for number in range(20)]
    await asyncio.sleep(0)
    assert done == []
    gate.opened.set()
    await asyncio.gather(first, *others)
    assert done == list(range(20))


async def test_they_run_on_one_thread_that_is_not_the_loops(thread: DeviceThread) -> None:
    names = {await thread.run(threading.get_ident) for _ in range(5)}
    assert len(names) == 1
    assert threading.get_ident() not in names


async def test_an_error_is_the_callers_and_the_next_call_runs(thread: DeviceThread) -> None:
    def fail() -> None:
        raise DeviceLost("GPU-0 fell off the bus")

    with pytest.raises(DeviceLost, match="GPU-0"):
        await thread.run(fail)
    assert thread.busy_seconds == 0
    assert await thread.run(lambda: 1) == 1


async def test_a_call_that_hangs_shows(thread: DeviceThread) -> None:
    assert thread.busy_seconds == 0
    gate = Gate()
    call = asyncio.create_task(thread.run(gate))
    await entered(gate)
    first = thread.busy_seconds
    await asyncio.sleep(0.01)
    assert 0 < first < thread.busy_seconds
    gate.opened.set()
    assert await call == "done"
    assert thread.busy_seconds == 0


async def test_one_that_waits_for_its_turn_is_not_busy_longer_than_it_runs(thread: DeviceThread) -> None:
    first, second = Gate(), Gate()
    calls = [asyncio.create_task(thread.run(gate)) for gate in (first, second)]
    await entered(first)
    await asyncio.sleep(0.05)
    before = thread.busy_seconds
    first.opened.set()
    await entered(second)
    assert thread.busy_seconds < before
    second.opened.set()
    await asyncio.gather(*calls)


async def test_who_stops_waiting_does_not_stop_the_call_that_runs(thread: DeviceThread) -> None:
    """What comes after it still comes after it: restoring never meets a round inside a driver."""
    gate, order = Gate(), list[str]()

    def step() -> None:
        gate()
        order.append("round")

    call = asyncio.create_task(thread.run(step))
    await entered(gate)
    call.cancel()
    await asyncio.wait([call])
    restoring = asyncio.create_task(thread.run(order.append, "restored"))
    await asyncio.sleep(0)
    gate.opened.set()
    await restoring
    assert order == ["round", "restored"]


async def test_a_call_whose_caller_gave_up_before_its_turn_never_runs(thread: DeviceThread) -> None:
    gate, ran = Gate(), list[int]()
    first = asyncio.create_task(thread.run(gate))
    await entered(gate)
    late = asyncio.create_task(thread.run(ran.append, 1))
    await asyncio.sleep(0)
    late.cancel()
    await asyncio.wait([late])
    gate.opened.set()
    await first
    await thread.run(lambda: None)
    assert ran == []


async def test_after_closing_nothing_runs(thread: DeviceThread) -> None:
    thread.close()
    with pytest.raises(RuntimeError):
        await thread.run(lambda: None)
