"""G4: pods and what nobody is charged for are what the boards counted; each pod is charged for what it truly used.

A board held whole, boards that two pods share, and boards that nobody holds until then; truth is the simulator's, which
agents cannot read. Figures are compared when the load is over: while a board draws 250 W, a reading that is half a
second older says 125 J less. Nor is anything run in the pods to ask: it would be load.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.cluster import Cluster
from tests.e2e.agent.asking import ask_with, metric, token_of
from tests.e2e.agent.conftest import GpuSite
from tests.e2e.agent.jobs import gpu_job
from tests.e2e.agents import Agents
from tests.e2e.kube import JsonObject, Kube
from tests.e2e.namespace import Namespace

COMPUTE_THEN_IDLE = (
    "import time; end = time.monotonic() + {seconds}\nwhile time.monotonic() < end: sum(range(1000))\ntime.sleep(600)"
)
SECONDS = 40
"""Boards tell processes' shares in whole percents, now and then: that evens out."""
IDLE_WATTS = 50
ENERGY = "ballast_node_gpu_energy_joules_total"
UNATTRIBUTED = "ballast_node_gpu_unattributed_joules_total"


@pytest.fixture
def sliced(a40: GpuSite, kube: Kube) -> Iterator[GpuSite]:
    """A node each of whose GPUs is handed out twice, as its device plugin and GPU feature discovery say."""
    _slice(a40, kube, 2)
    yield a40
    _slice(a40, kube, 1)


def test_pods_and_idle_are_what_the_boards_counted(
    agents: Agents, sliced: GpuSite, namespace: Namespace, cluster: Cluster
) -> None:
    unattributed, counted = metric(agents, sliced.node, UNATTRIBUTED), _counters(sliced)
    namespace.submit(gpu_job("half", sliced.node, program=COMPUTE_THEN_IDLE, seconds=SECONDS))
    namespace.wait_for_phase("half", "Running")
    # All that is left: the other half of that GPU, and both halves of the others.
    rest = gpu_job("rest", sliced.node, program=COMPUTE_THEN_IDLE, seconds=SECONDS, gpus=7)
    namespace.submit(rest)
    namespace.wait_for_phase("rest", "Running")
    pods = {name: namespace.pods(name)[0] for name in ("half", "rest")}
    tokens = {name: token_of(cluster, pod) for name, pod in pods.items()}
    time.sleep(SECONDS)
    sliced.wait_until(lambda: max(_watts(sliced)) < IDLE_WATTS, "the load is over")
    time.sleep(2)  # the last of it is charged

    told = {name: _told(tokens[name], pod) for name, pod in pods.items()}
    nobodys, counters = metric(agents, sliced.node, UNATTRIBUTED), _counters(sliced)
    truths = {uuid: sliced.gpus.truth(uuid) for uuid in sliced.gpus.uuids}

    [shared] = told["half"]
    assert set(told["rest"]) == set(sliced.gpus.uuids)
    for uuid, truth in truths.items():
        charged = 0.0
        for name in ("half", "rest") if uuid == shared else ("rest",):
            uid, share = pods[name]["metadata"]["uid"], told[name][uuid]
            assert share["source"] == "Counter"
            # Apart, they say that idle and active are not mixed up; how well each is measured, their sum says.
            assert share["activeJoules"] == pytest.approx(truth.active_joules[uid], rel=0.1)
            assert share["idleJoules"] == pytest.approx(truth.idle_joules[uid], rel=0.1)
            joules = share["activeJoules"] + share["idleJoules"]
            assert joules == pytest.approx(truth.active_joules[uid] + truth.idle_joules[uid], rel=0.05)
            charged += joules
        rise = counters[uuid] - counted[uuid]
        assert charged + nobodys[uuid] - unattributed[uuid] == pytest.approx(rise, rel=0.01)


def test_a_gpu_that_nobody_holds_is_nobodys(agents: Agents, v100: GpuSite) -> None:
    before, unattributed = metric(agents, v100.node, ENERGY), metric(agents, v100.node, UNATTRIBUTED)
    time.sleep(3)
    after = metric(agents, v100.node, ENERGY)
    for uuid, joules in metric(agents, v100.node, UNATTRIBUTED).items():
        assert after[uuid] > before[uuid]
        assert joules - unattributed[uuid] == pytest.approx(after[uuid] - before[uuid], rel=0.5)


def _told(token: str, pod: JsonObject) -> dict[str, JsonObject]:
    """What a pod is told of its GPUs, by UUID."""
    status, readings = ask_with(token, pod["status"]["hostIP"])
    assert status == 200, readings
    return {share["uuid"]: share for share in readings["gpus"]}


def _watts(site: GpuSite) -> list[float]:
    return [site.gpus.gpu(uuid).watts for uuid in site.gpus.uuids]


def _counters(site: GpuSite) -> dict[str, float]:
    return {uuid: site.gpus.gpu(uuid).energy_joules for uuid in site.gpus.uuids}


def _slice(site: GpuSite, kube: Kube, replicas: int) -> None:
    site.gpus.set_replicas(replicas)
    path = f"/api/v1/nodes/{site.node}"
    kube.merge(path, {"metadata": {"labels": {"nvidia.com/gpu.replicas": str(replicas)}}})
    wanted = str(replicas * len(site.gpus.uuids))
    site.wait_until(
        lambda: kube.get(path)["status"]["allocatable"].get("nvidia.com/gpu") == wanted, f"{wanted} GPUs to hand out"
    )
