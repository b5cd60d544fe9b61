"""Whatever befalls the boards while they are capped, they get their points again, and in the end what was found."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.integration.agent_restore.gpu_node import CAPPED, FOUND, Agent, GpuNode
from tests.nvmlsim.faults import Fault
from tests.nvmlsim.simulator import Load

DEFAULT = tuple((watts, None, None) for watts in (300.0, 250.0, 300.0))


@contextmanager
def capped(node: GpuNode) -> Iterator[Agent]:
    """An agent that has set the points."""
    with node.agent() as agent:
        node.pods_run()
        agent.wait_for(CAPPED)
        agent.wait_until(lambda: agent.state(0).get("enforced") is not None)
        yield agent


def test_driver_reset(node: GpuNode) -> None:
    """All boards fall back to their defaults; the capped ones get their points, and in the end the limit of before."""
    with capped(node) as agent:
        node.gpus.inject(None, Fault.driver_reset())
        agent.wait_for((*CAPPED[:2], DEFAULT[2]))
        node.pods_end()
        agent.wait_for((*FOUND[:2], DEFAULT[2]))


def test_driver_reset_then_killed(node: GpuNode) -> None:
    """What was found outlives driver and agent."""
    with capped(node) as agent:
        agent.kill()
    node.gpus.inject(None, Fault.driver_reset())
    node.uninstall()
    assert node.settings() == (*FOUND[:2], DEFAULT[2])


def test_driver_unloaded_for_a_while(node: GpuNode) -> None:
    """Without a driver the agent waits for it; then all is as after a reset."""
    with capped(node) as agent:
        node.gpus.inject(None, Fault.driver_unloaded())
        agent.wait_until(lambda: agent.told["gone"] is not None)
        agent.wait_rounds()
        node.gpus.clear_faults()
        agent.wait_for((*CAPPED[:2], DEFAULT[2]))
        agent.end()
    assert node.settings()[:2] == FOUND[:2]


def test_gpu_lost_and_back(node: GpuNode) -> None:
    """The others are served meanwhile; back from the dead it gets its point again."""
    with capped(node) as agent:
        node.gpus.inject(node.uuids[0], Fault.lost())
        agent.wait_until(lambda: "does not answer" in (agent.state(0).get("problem") or ""))
        assert agent.state(1)["problem"] is None
        node.gpus.clear_faults()
        agent.wait_for(CAPPED)
        agent.end()
    assert node.settings() == FOUND


def test_gpu_lost_until_all_is_over(node: GpuNode) -> None:
    """What a lost GPU had is kept through the agent's end, and restored by the next one that sees it."""
    with capped(node) as agent:
        node.gpus.inject(node.uuids[0], Fault.lost())
        node.pods_end()
        agent.wait_until(lambda: node.settings()[1] == FOUND[1])
        assert agent.end() == 0
        assert list(agent.told["problems"]) == [node.uuids[0]]
    node.gpus.clear_faults()
    with node.agent() as agent:
        agent.wait_for(FOUND)


@pytest.mark.parametrize("watts", [250.0, 110.0])
def test_another_tool_sets_a_limit(node: GpuNode, watts: float) -> None:
    """It is set again and counted; in the end it is what was found, not what the tool wanted."""
    with capped(node) as agent:
        node.gpus.set_power_limit(node.uuids[0], watts)
        agent.wait_for(CAPPED)
        agent.wait_until(lambda: agent.state(0).get("reapplied") == 1)
        node.pods_end()
        agent.wait_for(FOUND)


def test_another_tool_after_a_kill(node: GpuNode) -> None:
    """What a tool set while no agent was there is no original, either."""
    with capped(node) as agent:
        agent.kill()
    node.gpus.set_power_limit(node.uuids[0], 222.0)
    node.uninstall()
    assert node.settings() == FOUND


def test_another_tool_takes_a_lock_off(node: GpuNode) -> None:
    """A lock cannot be read back: the clock that rises above it under load gives it away."""
    with capped(node) as agent:
        node.gpus.set_load(node.uuids[1], [Load("q", demand=0.4)])
        node.gpus.unlock_clocks(node.uuids[1])
        node.gpus.set_power_limit(node.uuids[1], 120.0)

        def locked_again() -> bool:
            node.gpus.advance(0.1)
            return node.settings() == CAPPED

        agent.wait_until(locked_again)
        agent.wait_until(lambda: agent.state(1).get("reapplied") == 1)
        agent.end()
    assert node.settings() == FOUND


def test_a_part_that_the_board_refuses(node: GpuNode) -> None:
    """No half of a point stays; the neighbour has its own."""
    node.gpus.inject(node.uuids[0], Fault.unsupported("nvmlDeviceSetGpuLockedClocks"))
    with node.agent() as agent:
        node.pods_run()
        agent.wait_until(lambda: agent.state(0).get("problem") is not None)
        agent.wait_for((FOUND[0], CAPPED[1], FOUND[2]))
        agent.end()
    assert node.settings() == FOUND
    assert node.kept() == []


def test_no_permission(node: GpuNode) -> None:
    """Nothing is changed, nothing is kept, and the problem says what to do."""
    node.gpus.inject(None, Fault.no_permission())
    with node.agent() as agent:
        node.pods_run()
        agent.wait_until(lambda: "run as root" in (agent.state(0).get("problem") or ""))
        agent.wait_rounds()
        assert node.settings() == FOUND
        assert node.kept() == []
