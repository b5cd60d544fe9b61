"""Uninstalling: first nobody caps, then every GPU is back, then what the operator made is gone."""

from __future__ import annotations

import logging

import pytest

from ballast import uninstall as module
from ballast.kube import ApiRefused, ApiUnavailable
from ballast.uninstall import uninstall
from tests.unit.operator.uninstall_api import NAMESPACE, NODE_POWERS, NODES, PODS, SCALE, SECRET, Cluster

PATIENT, IMPATIENT = 60.0, 0.05


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL_SECONDS", 0.0)


@pytest.fixture
def cluster() -> Cluster:
    """Two nodes, one of them with capped GPUs."""
    cluster = Cluster()
    for name in ("a", "b"):
        cluster.add_node(name)
    cluster.add_node_power("a", capped=2)
    cluster.add_node_power("b")
    return cluster


def _remaining(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the last error said."""
    told: list[str] = [record for record in caplog.records if record.levelno == logging.ERROR][-1].__dict__["remaining"]
    return told


async def test_the_operator_is_stopped_before_anything_is_cleared_and_objects_go_last(cluster: Cluster) -> None:
    assert await uninstall(cluster, NAMESPACE, PATIENT) == 0
    assert cluster.objects[SCALE]["spec"]["replicas"] == 0
    first = {path: cluster.writes.index(path) for path in (f"patch {SCALE}", f"patch {NODE_POWERS}/a")}
    assert first[f"patch {SCALE}"] < first[f"patch {NODE_POWERS}/a"]
    assert cluster.writes[-2:] == [f"delete {NODE_POWERS}/a", f"delete {NODE_POWERS}/b"]
    assert f"patch {NODE_POWERS}/b" not in cluster.writes


async def test_a_parked_gpu_is_capped_too(cluster: Cluster) -> None:
    cluster.add_node_power("b", spec={"freeGpus": "Park"})
    assert await uninstall(cluster, NAMESPACE, PATIENT) == 0
    assert f"patch {NODE_POWERS}/b" in cluster.writes


async def test_nothing_is_removed_while_a_node_has_not_confirmed(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    cluster.deaf = {"a"}
    assert await uninstall(cluster, NAMESPACE, IMPATIENT) == 1
    assert cluster.node_powers() == ["a", "b"]
    assert _remaining(caplog) == ["node a: 2 GPUs are not as they were found"]


async def test_an_agent_that_has_not_seen_the_new_spec_has_not_confirmed(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    """It may have capped a GPU since it last told."""
    cluster.add_node_power("a", spec={"pods": [{"uid": "new"}]})
    cluster.deaf = {"a"}
    assert await uninstall(cluster, NAMESPACE, IMPATIENT) == 1
    assert _remaining(caplog) == ["node a: its agent has not seen yet that nothing is asked of it"]


async def test_the_same_call_goes_on_after_a_failure(cluster: Cluster) -> None:
    cluster.deaf = {"a"}
    assert await uninstall(cluster, NAMESPACE, IMPATIENT) == 1
    cluster.deaf = set()
    assert await uninstall(cluster, NAMESPACE, PATIENT) == 0
    assert cluster.node_powers() == []


async def test_a_node_that_cannot_be_reached_is_not_waited_for(cluster: Cluster) -> None:
    cluster.deaf = {"a"}
    cluster.add_node("a", ready="Unknown")
    assert await uninstall(cluster, NAMESPACE, PATIENT) == 0


async def test_a_node_that_is_gone_is_not_waited_for(cluster: Cluster) -> None:
    cluster.deaf = {"a"}
    del cluster.objects[f"{NODES}/a"]
    assert await uninstall(cluster, NAMESPACE, PATIENT) == 0
    assert cluster.node_powers() == []


async def test_a_node_that_never_had_an_agent_is_not_waited_for(cluster: Cluster) -> None:
    cluster.add_node_power("b", spec={"pods": [{"uid": "a"}]})
    cluster.objects[f"{NODE_POWERS}/b"]["status"] = {}
    assert await uninstall(cluster, NAMESPACE, PATIENT) == 0


async def test_an_operator_that_still_runs_is_waited_for(cluster: Cluster, caplog: pytest.LogCaptureFixture) -> None:
    cluster.add_operator("operator-1", "a")
    assert await uninstall(cluster, NAMESPACE, IMPATIENT) == 1
    assert _remaining(caplog) == ["pod operator-1 of the operator still runs"]
    del cluster.objects[f"{PODS}/operator-1"]
    assert await uninstall(cluster, NAMESPACE, PATIENT) == 0


async def test_an_operator_that_has_ended_or_is_on_a_lost_node_is_not_waited_for(cluster: Cluster) -> None:
    cluster.add_node("lost", ready="Unknown")
    cluster.add_operator("evicted", "a", phase="Failed")
    cluster.add_operator("on-lost", "lost")
    assert await uninstall(cluster, NAMESPACE, PATIENT) == 0


async def test_the_webhooks_secret_goes_too(cluster: Cluster) -> None:
    cluster.objects[SECRET] = {"metadata": {"name": "ballast-webhook", "uid": "secret"}}
    assert await uninstall(cluster, NAMESPACE, PATIENT) == 0
    assert SECRET not in cluster.objects


async def test_without_an_operator_and_without_node_powers_nothing_is_to_be_done() -> None:
    cluster = Cluster()
    del cluster.objects[SCALE]
    assert await uninstall(cluster, NAMESPACE, PATIENT) == 0
    assert cluster.writes == []


async def test_an_api_server_that_is_away_is_asked_again(cluster: Cluster) -> None:
    cluster.failures = [ApiUnavailable("503: overloaded")] * 3
    assert await uninstall(cluster, NAMESPACE, PATIENT) == 0
    assert cluster.node_powers() == []


async def test_an_api_server_that_stays_away_is_told(cluster: Cluster, caplog: pytest.LogCaptureFixture) -> None:
    cluster.failures = [ApiUnavailable("503: overloaded")] * 1_000_000
    assert await uninstall(cluster, NAMESPACE, IMPATIENT) == 1
    assert _remaining(caplog) == ["the API server does not answer: 503: overloaded"]


async def test_a_right_that_is_missing_is_told_at_once(cluster: Cluster) -> None:
    cluster.failures = [ApiRefused(403, "Forbidden", "deployments/scale")]
    with pytest.raises(ApiRefused, match="deployments/scale"):
        await uninstall(cluster, NAMESPACE, PATIENT)


async def test_what_was_measured_stays(cluster: Cluster) -> None:
    path = "/apis/ballast.dev/v1alpha1/namespaces/team/energyprofiles/resnet"
    cluster.objects[path] = {"metadata": {"name": "resnet", "namespace": "team", "uid": "uid-resnet"}}
    assert await uninstall(cluster, NAMESPACE, PATIENT) == 0
    assert path in cluster.objects
    assert not any("energyprofiles" in write for write in cluster.writes)
