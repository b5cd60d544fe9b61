"""When a point was confirmed, and when it had been asked for: one answer for each question."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ballast.agent.capping.enforcement import Confirmed
from ballast.agent.device import DeviceError
from tests.unit.agent.capping import point
from tests.unit.agent.enforcing import DRIFT_SECONDS, Node, asks, held
from tests.unit.agent.fake_gpu import Fault


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    node = Node(tmp_path, "a")
    node.inputs.holders = held(a="pod")
    node.inputs.spec = asks()
    yield node
    node.end()


async def ask(node: Node, watts: float, *, seconds: float = 0.0) -> float:
    """Ask for a limit; the round comes so much later. Return when it was asked."""
    node.inputs.spec = asks(pod=point(watts))
    asked_at = node.now
    node.enforcement.wake()
    await node.round(seconds)
    return asked_at


async def test_both_are_known(node: Node) -> None:
    asked_at = await ask(node, 150, seconds=0.25)
    assert node.enforcement.confirmed["a"] == Confirmed(asked_at + 0.25, asked_at)


async def test_a_point_that_was_found_by_the_way_was_asked_for_at_that_round(node: Node) -> None:
    node.inputs.spec = asks(pod=point(150))
    await node.round(3)
    assert node.enforcement.confirmed["a"] == Confirmed(node.now, node.now)


async def test_the_first_of_many_wakes_counts(node: Node) -> None:
    node.inputs.spec = asks(pod=point(150))
    asked_at = node.now
    node.enforcement.wake()
    node.now += 1
    node.enforcement.wake()
    await node.round(1)
    assert node.enforcement.confirmed["a"].asked_at == asked_at


async def test_later_rounds_change_neither(node: Node) -> None:
    await ask(node, 150, seconds=0.25)
    before = node.enforcement.confirmed["a"]
    node.enforcement.wake()
    await node.round(DRIFT_SECONDS)
    assert node.enforcement.confirmed["a"] == before


async def test_another_point_is_another_question(node: Node) -> None:
    await ask(node, 150)
    node.now += 100
    asked_at = await ask(node, 120, seconds=0.5)
    assert node.enforcement.confirmed["a"] == Confirmed(asked_at + 0.5, asked_at)


async def test_a_point_that_was_taken_away_and_comes_back_is_one_too(node: Node) -> None:
    await ask(node, 150)
    node.inputs.spec = asks()
    await node.round(50)
    assert node.enforcement.confirmed == {}
    asked_at = await ask(node, 150, seconds=0.5)
    assert node.enforcement.confirmed["a"] == Confirmed(asked_at + 0.5, asked_at)


async def test_the_time_of_tries_that_failed_counts(node: Node) -> None:
    node.board("a").faults["set_power_limit"] = Fault(DeviceError("timeout"), times=1)
    asked_at = await ask(node, 150)
    assert node.enforcement.confirmed == {}
    for _ in range(3):
        await node.round(DRIFT_SECONDS)
    confirmed = node.enforcement.confirmed["a"]
    assert confirmed.asked_at == asked_at
    assert confirmed.at > asked_at


async def test_what_is_set_again_after_a_reload_answers_nobody(node: Node) -> None:
    """Hours later, it would look as if the board had taken hours."""
    await ask(node, 150)
    node.now += 7200
    node.renew()
    node.driver.reload()
    await node.round()
    await node.round(1)
    assert node.board("a").limit_watts == 150
    confirmed = node.enforcement.confirmed["a"]
    assert confirmed.at >= 7200
    assert confirmed.asked_at is None


async def test_nothing_is_confirmed_of_a_point_that_the_board_refused(node: Node) -> None:
    await ask(node, 9000)
    assert node.enforcement.confirmed == {}
    assert node.enforcement.states["a"].problem
