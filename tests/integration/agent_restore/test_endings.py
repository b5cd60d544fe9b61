"""However pod, operator or agent end, the boards have what was found, as the boards themselves tell."""

from __future__ import annotations

import pytest

from tests.integration.agent_restore.gpu_node import CAPPED, FOUND, GpuNode
from tests.unit.agent.capping import FAILPOINTS


def test_pods_end(node: GpuNode) -> None:
    """When their pods are gone, GPUs are restored and nothing of them is kept; the third GPU was never touched."""
    with node.agent() as agent:
        node.pods_run()
        agent.wait_for(CAPPED)
        assert len(node.kept()) == 2
        node.pods_end()
        agent.wait_for(FOUND)
        agent.wait_rounds()
    assert node.kept() == []
    assert node.setters_of_the_third() == []


def test_sigterm(node: GpuNode) -> None:
    """The agent restores before it ends."""
    with node.agent() as agent:
        node.pods_run()
        agent.wait_for(CAPPED)
        assert agent.end() == 0
        assert sorted(agent.told["restored"]) == sorted(node.uuids[:2])
    assert node.settings() == FOUND
    assert node.kept() == []


def test_stale_lease(node: GpuNode) -> None:
    """The dead man's switch: no operator, no caps; and with an operator again, caps again."""
    with node.agent() as agent:
        node.pods_run()
        agent.wait_for(CAPPED)
        node.ask(renewed="long ago")
        agent.wait_for(FOUND)
        node.ask(renewed="always")
        agent.wait_for(CAPPED)
        agent.end()
    assert node.settings() == FOUND


def test_stale_lease_under_a_hard_budget(node: GpuNode) -> None:
    """With Hold what is set stays without an operator, until the pods are gone."""
    node.ask(spec=node.asked["spec"] | {"withoutOperator": "Hold"})
    with node.agent() as agent:
        node.pods_run()
        agent.wait_for(CAPPED)
        node.ask(renewed="long ago")
        agent.wait_until(lambda: not agent.told.get("fresh", True))
        agent.wait_rounds()
        assert node.settings() == CAPPED
        node.pods_end()
        agent.wait_for(FOUND)


def test_sigkill_and_uninstall(node: GpuNode) -> None:
    """What a killed agent left is restored by the hook of the uninstall."""
    with node.agent() as agent:
        node.pods_run()
        agent.wait_for(CAPPED)
        agent.kill()
    assert node.settings() == CAPPED
    told = node.uninstall()
    assert (len(told["restored"]), told["problems"]) == (2, {})
    assert node.settings() == FOUND
    assert node.kept() == []


def test_sigkill_and_restart(node: GpuNode) -> None:
    """The next agent takes over what is still wanted without loosening it, and restores it at its pod's end."""
    with node.agent() as agent:
        node.pods_run()
        agent.wait_for(CAPPED)
        agent.kill()
    node.gpus.forget_calls()
    with node.agent() as agent:
        agent.wait_until(lambda: agent.state(0).get("enforced") is not None)
        assert node.settings() == CAPPED
        assert {call.name for call in node.gpus.calls()} == {
            "nvmlDeviceSetGpuLockedClocks",
            "nvmlDeviceSetMemoryLockedClocks",
        }
        node.pods_end()
        agent.wait_for(FOUND)


@pytest.mark.parametrize("failpoint", FAILPOINTS)
def test_sigkill_at_each_step(node: GpuNode, failpoint: str) -> None:
    """Killed before or after any step, by any GPU's turn, the next agent restores what the first one found."""
    with node.agent(failpoint=failpoint) as agent:
        node.pods_run()
        agent.wait_until(lambda: agent.has_died or agent.state(0).get("enforced") is not None)
        node.pods_end()
        agent.wait_until(lambda: agent.has_died)
    with node.agent() as agent:
        agent.wait_for(FOUND)
        agent.wait_until(lambda: node.kept() == [])
    assert node.setters_of_the_third() == []
