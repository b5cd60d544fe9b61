"""When the driver goes all begins anew: what was set is set again, and nothing spins while GPUs stay away."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from ballast.agent.device import DriverGone
from tests.unit.agent.capping import point
from tests.unit.agent.enforcing import DRIFT_SECONDS, Node, asks, held
from tests.unit.agent.fake_gpu import FOUND_WATTS


@pytest.fixture
async def node(tmp_path: Path) -> Node:
    """A node with one GPU, which has an operating point."""
    node = Node(tmp_path, "a")
    node.inputs.spec, node.inputs.holders = asks(pod=point(150, clock=900)), held(a="pod")
    await node.round()
    return node


@pytest.fixture(autouse=True)
def _ended(node: Node) -> Iterator[None]:
    yield
    node.end()


async def test_everything_is_set_again_after_a_reload(node: Node) -> None:
    since = node.enforcement.confirmed["a"].at
    node.driver.reload()
    async with node.running():
        await node.rounds(3)
        assert node.board("a").limit_watts == 150
        assert node.board("a").clocks is not None
    assert node.enforcement.states["a"].since is not None
    assert node.enforcement.confirmed["a"].at >= since


async def test_what_is_restored_in_the_end_is_what_was_found_first(node: Node) -> None:
    """Not the driver's default, which the reload set."""
    node.driver.reload()
    await node.round(1)
    await node.round(1)
    await node.enforcement.restore()
    assert node.board("a").limit_watts == FOUND_WATTS


async def test_a_driver_that_stays_away_is_tried_at_each_round(node: Node) -> None:
    node.driver.reload()

    def away() -> None:
        node.reopened += 1
        raise DriverGone("not loaded")

    there = node.driver.reopen
    node.driver.reopen = away  # type: ignore[method-assign]
    for rounds in range(1, 4):
        await node.round(DRIFT_SECONDS)
        assert node.reopened >= rounds
    assert not node.gpus.devices
    node.driver.reopen = there  # type: ignore[method-assign]
    await node.round(DRIFT_SECONDS)
    assert node.board("a").limit_watts == 150


async def test_rounds_do_not_spin_while_the_only_gpu_is_lost(node: Node) -> None:
    """There is a driver, and nothing answers: opening it anew brings nothing back at once."""
    node.board("a").is_lost = True
    node.gpus.look()
    node.told = 0
    async with node.running():
        await asyncio.sleep(0.1)
        assert node.told <= 2
        assert node.reopened <= 2


async def test_nor_while_the_driver_goes_again_and_again(node: Node) -> None:
    def gone(*_: object) -> None:
        raise DriverGone("again")

    node.capper.reconcile = gone  # type: ignore[assignment,method-assign]
    node.told = 0
    async with node.running():
        await asyncio.sleep(0.1)
        assert node.told <= 3


async def test_a_lost_gpu_that_is_back_gets_its_point_again(node: Node) -> None:
    node.board("a").is_lost = True
    await node.round(DRIFT_SECONDS)
    assert node.enforcement.states["a"].enforced is None
    assert node.enforcement.confirmed == {}
    node.board("a").reset()
    node.board("a").is_lost = False
    await node.round(DRIFT_SECONDS)
    assert node.board("a").limit_watts == 150
    assert node.enforcement.confirmed["a"].at == node.now
