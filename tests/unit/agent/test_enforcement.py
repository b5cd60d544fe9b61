"""Rounds of enforcing: by the newest spec, holders and Lease, and never before these are known."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from ballast.agent.capping.enforcement import LOOK_SECONDS
from tests.unit.agent.capping import point
from tests.unit.agent.enforcing import DRIFT_SECONDS, STALE_SECONDS, Node, asks, held
from tests.unit.agent.fake_gpu import FOUND_WATTS


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    node = Node(tmp_path, "a", "b")
    yield node
    node.end()


def capped(node: Node, watts: float = 150) -> None:
    node.inputs.spec, node.inputs.holders = asks(pod=point(watts)), held(a="pod")


# -- what is known


@pytest.mark.parametrize("known", ["nothing", "spec", "holders"])
async def test_nothing_is_touched_before_spec_and_holders_are_known(node: Node, known: str) -> None:
    if known == "spec":
        node.inputs.spec = asks(pod=point(150))
    elif known == "holders":
        node.inputs.holders = held(a="pod")
    await node.round()
    assert node.board("a").calls == []
    assert node.enforcement.states == {}
    assert node.told == 1, "it is told all the same"


async def test_then_everything_is_set(node: Node) -> None:
    capped(node)
    await node.round()
    assert node.board("a").limit_watts == 150
    assert node.enforcement.states["a"].enforced == point(150)
    assert node.enforcement.changed == {"a"}
    assert node.board("b").calls == []


async def test_what_an_earlier_agent_left_stays_until_then_and_is_told(node: Node) -> None:
    capped(node)
    await node.round()
    node.start()
    node.begin()
    node.inputs.spec = None
    await node.round()
    assert node.board("a").limit_watts == 150
    assert node.enforcement.changed == {"a"}


async def test_when_the_pod_lets_go_the_gpu_gets_back_what_was_found(node: Node) -> None:
    capped(node)
    await node.round()
    node.inputs.holders = {}
    await node.round(1)
    assert node.board("a").limit_watts == FOUND_WATTS
    assert node.enforcement.changed == frozenset()
    assert node.enforcement.confirmed == {}


# -- without an operator


async def test_a_stale_operator_restores(node: Node) -> None:
    capped(node)
    await node.round()
    await node.round(STALE_SECONDS)
    assert node.board("a").limit_watts == FOUND_WATTS


async def test_it_does_so_before_spec_and_holders_are_known(node: Node) -> None:
    """What an earlier agent left must not stay for ever."""
    capped(node)
    await node.round()
    node.start()
    node.begin()
    node.inputs.spec = node.inputs.holders = None
    await node.round(STALE_SECONDS)
    assert node.board("a").limit_watts == FOUND_WATTS


async def test_unless_the_spec_that_is_kept_says_hold(node: Node) -> None:
    node.inputs.spec, node.inputs.holders = asks(hold=True, pod=point(150)), held(a="pod")
    await node.round()
    node.start()
    node.begin()
    node.inputs.holders = None
    await node.round(STALE_SECONDS)
    assert node.board("a").limit_watts == 150
    node.inputs.holders = held(a="pod")
    await node.round()
    assert node.board("a").limit_watts == 150


async def test_an_operator_that_is_back_is_obeyed_again(node: Node) -> None:
    capped(node)
    await node.round(STALE_SECONDS)
    assert node.board("a").limit_watts == FOUND_WATTS
    node.renew()
    await node.round()
    assert node.board("a").limit_watts == 150


# -- rounds


async def test_a_round_follows_each_change(node: Node) -> None:
    async with node.running():
        capped(node)
        node.enforcement.wake()
        await node.rounds(2)
        assert node.board("a").limit_watts == 150


async def test_and_without_one_there_is_none_for_some_seconds(node: Node) -> None:
    async with node.running():
        await asyncio.sleep(0.05)
        assert node.told == 1


async def test_a_change_during_a_round_leads_to_another(node: Node) -> None:
    capped(node, 150)

    def change() -> None:
        if node.inputs.spec == asks(pod=point(150)):
            node.inputs.spec = asks(pod=point(120))
            loop.call_soon_threadsafe(node.enforcement.wake)

    loop = asyncio.get_running_loop()
    node.board("a").on_change = change
    async with node.running():
        await node.rounds(2)
        assert node.board("a").limit_watts == 120


async def test_many_changes_lead_to_one(node: Node) -> None:
    async with node.running():
        for _ in range(10):
            node.enforcement.wake()
        await node.rounds(2)
        await asyncio.sleep(0.05)
        assert node.told == 2


async def test_rounds_do_not_overlap(node: Node) -> None:
    inside, most = 0, 0
    reconcile = node.capper.reconcile

    def counted(*arguments: object) -> object:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        loop.call_soon_threadsafe(node.enforcement.wake)
        answer = reconcile(*arguments)  # type: ignore[arg-type]
        inside -= 1
        return answer

    loop = asyncio.get_running_loop()
    node.capper.reconcile = counted  # type: ignore[assignment,method-assign]
    capped(node)
    async with node.running():
        await node.rounds(20)
    assert most == 1


async def test_what_somebody_else_changed_is_set_again(node: Node) -> None:
    capped(node)
    await node.round()
    node.board("a").limit_watts = 280
    await node.round(DRIFT_SECONDS)
    assert node.board("a").limit_watts == 150
    assert node.enforcement.states["a"].reapplied == 1


async def first_pause(node: Node, monkeypatch: pytest.MonkeyPatch) -> float:
    """How long it waits after a round if nothing changes."""
    pauses: list[float] = []
    waits = asyncio.Event()
    timeout = asyncio.timeout

    def noted(seconds: float) -> asyncio.Timeout:
        pauses.append(seconds)
        waits.set()
        return timeout(seconds)

    with monkeypatch.context() as patch:
        patch.setattr("ballast.agent.capping.enforcement.asyncio.timeout", noted)
        task = asyncio.create_task(node.enforcement.run())
        await waits.wait()
        task.cancel()
        await asyncio.wait([task])
    return pauses[0]


async def test_the_next_round_is_at_the_latest_when_the_operator_turns_stale(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.now += STALE_SECONDS - 2.0
    pause = await first_pause(node, monkeypatch)
    assert 2.0 <= pause <= 2.1
    node.now += pause
    assert not node.lease.is_fresh(node.now), "it finds it stale"


@pytest.mark.parametrize("seconds", [0.0, STALE_SECONDS], ids=["fresh", "stale"])
async def test_else_it_is_when_drift_is_looked_for(node: Node, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    node.now += seconds
    assert await first_pause(node, monkeypatch) == pytest.approx(DRIFT_SECONDS, abs=0.1)


# -- the end


async def test_at_the_end_every_gpu_gets_back_what_was_found(node: Node) -> None:
    capped(node)
    await node.round()
    done = await node.enforcement.restore()
    assert done.restored == ("a",)
    assert node.board("a").limit_watts == FOUND_WATTS
    assert node.enforcement.states == {}
    assert node.enforcement.confirmed == {}
    assert node.enforcement.changed == frozenset()


async def test_what_cannot_be_given_back_is_told(node: Node) -> None:
    capped(node)
    await node.round()
    node.board("a").is_lost = True
    await node.enforcement.restore()
    state = node.enforcement.states["a"]
    assert "does not answer" in (state.problem or "")
    assert state.enforced is None
    assert state.found_power_limit_watts == FOUND_WATTS
    assert node.enforcement.changed == {"a"}


async def test_gpus_are_looked_for_now_and_then(node: Node) -> None:
    node.board("b").is_lost = True
    await node.round(1)
    assert "b" in node.gpus.devices
    await node.round(LOOK_SECONDS)
    assert "b" not in node.gpus.devices
