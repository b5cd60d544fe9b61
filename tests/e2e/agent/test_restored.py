"""G2: whatever ends the job, the agent or the operator, every GPU ends as it was found, read from the boards."""

from __future__ import annotations

import pytest

from tests.cluster import Cluster
from tests.e2e.agent.conftest import GpuSite
from tests.e2e.agent.jobs import gpu_job
from tests.e2e.agents import Agents
from tests.e2e.namespace import Namespace
from tests.e2e.operators import Operators
from tests.nvmlsim.faults import Fault


@pytest.fixture
def capped(agents: Agents, v100: GpuSite, namespace: Namespace) -> GpuSite:
    """A node on which a job that goes on for long has one GPU at 150 W."""
    namespace.submit(gpu_job("train", v100.node, watts=150))
    v100.wait_until_capped(150)
    namespace.wait_for_phase("train", "Running")
    return v100


def test_a_job_that_is_deleted(capped: GpuSite, namespace: Namespace) -> None:
    namespace.delete_job("train")
    capped.wait_until_restored()


def test_a_job_that_is_suspended(capped: GpuSite, namespace: Namespace) -> None:
    namespace.edit("train", suspend=True)
    capped.wait_until_restored()


def test_an_agent_that_is_told_to_end_restores_and_its_successor_caps_again(capped: GpuSite, agents: Agents) -> None:
    agents.stop(capped.node)
    capped.wait_until_restored()
    capped.wait_until_capped(150)


def test_an_agent_that_is_killed_takes_over_what_it_left(capped: GpuSite, agents: Agents) -> None:
    calls = len(capped.gpus.calls())
    agents.kill(capped.node)
    agents.run()
    agents.wait_for_power(capped.node, lambda power: power["status"]["cappedGpus"] == 1, "the GPU is known as capped")
    assert 150 in capped.limits()
    assert len(capped.gpus.calls()) == calls, "still wanted so: it did not flicker"


def test_a_job_that_goes_while_its_agent_is_dead(capped: GpuSite, agents: Agents, namespace: Namespace) -> None:
    agents.kill(capped.node)
    namespace.delete_job("train")
    capped.wait_until_restored()


def test_a_driver_that_is_reset(capped: GpuSite, namespace: Namespace) -> None:
    with capped.gpus.simulator() as simulator:
        default = simulator.gpu(capped.gpus.uuids[0]).default_power_limit_watts
    assert default != capped.found_watts
    capped.gpus.inject(None, Fault.driver_reset())
    capped.wait_until(lambda: sorted({*capped.limits()}) == sorted({150.0, default}), "capped again")
    namespace.delete_job("train")
    # The others were at the driver's default since the reset, which was no doing of the agent's.
    capped.wait_until(lambda: sorted({*capped.limits()}) == sorted({capped.found_watts, default}), "what was found")
    for uuid in capped.capped():
        capped.gpus.set_power_limit(uuid, capped.found_watts)


def test_another_tool_that_changes_the_limit(capped: GpuSite, agents: Agents, namespace: Namespace) -> None:
    uuid = capped.capped()[0]
    capped.gpus.set_power_limit(uuid, 200.0)
    capped.wait_until_capped(150)
    power = agents.wait_for_power(
        capped.node, lambda power: any(_reapplied(gpu) for gpu in power["status"]["gpus"]), "it is counted"
    )
    assert [_reapplied(gpu) for gpu in power["status"]["gpus"] if gpu["uuid"] == uuid] == [1]
    namespace.delete_job("train")
    capped.wait_until_restored()


def test_a_node_that_is_drained(capped: GpuSite, cluster: Cluster) -> None:
    try:
        cluster.kubectl(
            "drain", capped.node, "--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=60s"
        )
        capped.wait_until_restored()
    finally:
        cluster.kubectl("uncordon", capped.node)


def test_agents_that_are_removed(capped: GpuSite, agents: Agents) -> None:
    agents.remove()
    assert not capped.capped()


def test_a_silent_operator(capped: GpuSite, agents: Agents, operators: Operators) -> None:
    operators.stop()
    capped.wait_until_restored()
    power = agents.wait_for_power(capped.node, lambda power: _fresh(power) == "False", "it says so")
    assert power["spec"].get("pods"), "the operator did not take it back: nobody was there"
    operators.shared()
    capped.wait_until_capped(150)


def _fresh(power: dict[str, dict[str, list[dict[str, str]]]]) -> str:
    found = {each["type"]: each["status"] for each in power["status"]["conditions"]}
    return found["OperatorFresh"]


def _reapplied(gpu: dict[str, dict[str, int]]) -> int:
    return gpu.get("enforced", {}).get("reapplied", 0)
