"""The agent as a whole: what is asked reaches the boards, the status says so, and the end gives everything back."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ballast.agent.agent import REREAD_SECONDS
from ballast.agent.device import NoPermission
from ballast.agent.node.pod_resources import PodResourcesUnavailable
from tests.power_builders import manifest
from tests.unit.agent.agent_process import NODE, AgentProcess
from tests.unit.agent.capping import point
from tests.unit.agent.enforcing import asks
from tests.unit.agent.fake_gpu import FOUND_WATTS, Fault


@pytest.fixture
def agent(tmp_path: Path) -> AgentProcess:
    """Two GPUs; a pod holds the first."""
    agent = AgentProcess(tmp_path, "GPU-0", "GPU-1")
    agent.api.add_pod("pod")
    agent.kubelet.give("pod", "GPU-0")
    return agent


async def test_what_is_asked_is_set_and_told(agent: AgentProcess) -> None:
    async with agent.running():
        agent.api.ask(asks(pod=point(150)))
        await agent.until(lambda: agent.last.capped_gpus == 1)
        assert agent.driver["GPU-0"].limit_watts == 150
        first = agent.last
        assert first.limit_watts == 150 + FOUND_WATTS, "not what the boards had before"
        enforced = first.gpus[0].enforced
        assert enforced is not None
        assert enforced.operating_point == point(150)
        assert enforced.delay_seconds is not None
        assert [holder.name for holder in first.gpus[0].holders] == ["pod"]


async def test_what_a_training_pod_used_is_told_once_it_has_ended_though_its_object_is_held(
    agent: AgentProcess,
) -> None:
    """The kubelet's own list may show it for longer."""
    labels = {"ballast.dev/trainingjob-uid": "job"}
    agent.api.add_pod("pod", **labels)
    async with agent.running():
        await agent.until(lambda: bool(agent.last.gpus[0].holders))
        assert not any(status.ended_pods for status in agent.api.statuses)
        agent.api.add_pod("pod", "Succeeded", **labels)
        await agent.until(lambda: bool(agent.last.ended_pods))
        (ended,) = agent.last.ended_pods
        assert (ended.uid, [used.component for used in ended.used]) == ("pod", ["gpu"])
        assert agent.last.gpus[0].holders == ()


async def test_it_does_not_wait_for_the_next_round_nor_for_a_kubelet_that_is_away(agent: AgentProcess) -> None:
    labels = {"ballast.dev/trainingjob-uid": "job"}
    agent.api.add_pod("pod", **labels)
    agent.settings = agent.settings.model_copy(update={"drift_seconds": 3600.0})
    async with agent.running():
        await agent.until(lambda: bool(agent.last.gpus[0].holders))
        await asyncio.sleep(REREAD_SECONDS + 0.5)  # the last report that comes by itself
        agent.kubelet.error = PodResourcesUnavailable("it restarts")
        agent.api.add_pod("pod", "Failed", **labels)
        await agent.until(lambda: [ended.uid for ended in agent.last.ended_pods] == ["pod"])


async def test_nothing_asked_nothing_done(agent: AgentProcess) -> None:
    async with agent.running():
        await agent.until(lambda: agent.last.limit_watts == 2 * FOUND_WATTS)
    assert [board.calls for board in agent.driver.boards.values()] == [[], []]


async def test_the_end_gives_everything_back_and_says_so(agent: AgentProcess) -> None:
    agent.api.ask(asks(pod=point(150)))
    async with agent.running():
        await agent.until(lambda: agent.last.capped_gpus == 1)
    assert agent.driver["GPU-0"].limit_watts == FOUND_WATTS
    assert agent.last.capped_gpus == 0
    assert agent.last.limit_watts == 2 * FOUND_WATTS
    assert agent.last.gpus[0].enforced is None
    assert (agent.last.conditions[0].type, agent.last.conditions[0].reason) == ("Ready", "Ended")


async def test_it_says_what_could_not_be_given_back(agent: AgentProcess) -> None:
    """Whoever uninstalls must not take it for restored."""
    agent.api.ask(asks(pod=point(150)))
    async with agent.running():
        await agent.until(lambda: agent.last.capped_gpus == 1)
        agent.driver["GPU-0"].faults["set_power_limit"] = Fault(NoPermission("not root"))
    assert agent.driver["GPU-0"].limit_watts == 150
    assert agent.last.capped_gpus == 1
    assert "not root" in (agent.last.gpus[0].problem or "")


async def test_a_node_power_that_is_made_again_gets_a_status(agent: AgentProcess) -> None:
    async with agent.running():
        changes = agent.api._changes["/apis/ballast.dev/v1alpha1/nodepowers"]
        await agent.until(lambda: agent.last.limit_watts == 2 * FOUND_WATTS)
        agent.api.power = None
        changes.put_nowait(("DELETED", manifest(NODE)))
        await agent.until(changes.empty)
        agent.api.statuses.clear()
        agent.api.power = manifest(NODE, uid="another")
        changes.put_nowait(("ADDED", agent.api.power))
        await agent.until(lambda: bool(agent.api.statuses))


async def test_a_driver_that_is_reloaded_is_found_again_with_nothing_capped(agent: AgentProcess) -> None:
    async with agent.running():
        await agent.until(lambda: agent.last.gpu_count == 2)
        agent.driver.reload()
        await agent.until(lambda: agent.driver.generation > 0)
        await agent.until(lambda: agent.last.gpu_count == 2 and agent.last.conditions[0].reason == "AgentReady")


async def test_and_with_a_point_that_is_set_again(agent: AgentProcess) -> None:
    agent.api.ask(asks(pod=point(150)))
    async with agent.running():
        await agent.until(lambda: agent.last.capped_gpus == 1)
        agent.driver.reload()
        await agent.until(lambda: agent.driver["GPU-0"].limit_watts == 150)
    assert agent.driver["GPU-0"].limit_watts == FOUND_WATTS
