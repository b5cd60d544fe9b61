"""G7: a pod is told what it uses itself, by its own node's agent, and nothing of anybody else."""

from __future__ import annotations

import time

from tests.cluster import Cluster
from tests.e2e.agent.asking import ask, ask_with, token_of
from tests.e2e.agent.conftest import GpuSite
from tests.e2e.agent.jobs import gpu_job
from tests.e2e.agents import Agents
from tests.e2e.namespace import Namespace

REVOKED_WITHIN_SECONDS = 75
"""The API server's own lag is about 10 s, and up to 71 s while a finalizer holds the pod; the agent hears it sooner."""


def test_a_pod_reads_its_own_power(agents: Agents, v100: GpuSite, namespace: Namespace, cluster: Cluster) -> None:
    namespace.submit(gpu_job("train", v100.node), gpu_job("other", v100.node))
    for name in ("train", "other"):
        namespace.wait_for_phase(name, "Running")
    time.sleep(3)
    [train], [other] = namespace.pods("train"), namespace.pods("other")
    status, readings = ask(cluster, train)
    assert status == 200
    assert readings["podUid"] == train["metadata"]["uid"]
    [share] = readings["gpus"]
    assert share["uuid"] in v100.gpus.uuids
    assert share["watts"] > 50, "it computes"
    assert readings["cpu"]["source"] == "Estimated", "there is no RAPL here"

    status, problem = ask(cluster, train, f"?pod={other['metadata']['uid']}")
    assert status == 403
    assert "its own" in problem["detail"]


def test_a_deleted_pods_token_is_worth_nothing(
    agents: Agents, v100: GpuSite, namespace: Namespace, cluster: Cluster
) -> None:
    namespace.submit(gpu_job("train", v100.node))
    namespace.wait_for_phase("train", "Running")
    [pod] = namespace.pods("train")
    token, host = token_of(cluster, pod), pod["status"]["hostIP"]
    time.sleep(2)
    assert ask_with(token, host)[0] == 200
    namespace.delete_job("train")
    namespace.wait_until_gone()
    deadline = time.monotonic() + REVOKED_WITHIN_SECONDS
    while (status := ask_with(token, host)[0]) != 401 and time.monotonic() < deadline:
        time.sleep(0.5)
    assert status == 401
