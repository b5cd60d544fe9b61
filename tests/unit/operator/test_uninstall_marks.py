"""Uninstalling takes label and condition off nodes, once nobody is left who would write them again."""

from __future__ import annotations

import pytest

from ballast import uninstall as module
from ballast.api.labels import EMPTY, EMPTY_CONDITION
from ballast.kube import ApiRefused
from ballast.uninstall import uninstall
from tests.unit.operator.uninstall_api import NAMESPACE, NODES, Cluster

PATIENT, IMPATIENT = 60.0, 0.05
NODE = f"{NODES}/a"


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL_SECONDS", 0.0)


@pytest.fixture
def cluster() -> Cluster:
    """A node that is marked as empty, with a label of its owner's, and one that is not."""
    cluster = Cluster()
    cluster.add_node("a")
    cluster.add_node("b")
    cluster.objects[NODE]["metadata"] |= {"uid": "uid-of-a", "labels": {EMPTY: "true", "pool": "gpu"}}
    cluster.objects[NODE]["status"]["conditions"].append({"type": EMPTY_CONDITION, "status": "True"})
    return cluster


async def test_label_and_condition_go_and_nothing_else(cluster: Cluster) -> None:
    assert await uninstall(cluster, NAMESPACE, PATIENT) == 0
    assert cluster.objects[NODE]["metadata"]["labels"] == {"pool": "gpu"}
    assert [each["type"] for each in cluster.objects[NODE]["status"]["conditions"]] == ["Ready"]
    assert [write for write in cluster.writes if write.startswith("merge")] == [f"merge {NODE}/status"]


async def test_not_while_the_operator_still_runs(cluster: Cluster) -> None:
    cluster.add_operator("operator-1", "b")
    assert await uninstall(cluster, NAMESPACE, IMPATIENT) == 1
    assert EMPTY in cluster.objects[NODE]["metadata"]["labels"]


async def test_a_condition_that_says_no_goes_too(cluster: Cluster) -> None:
    del cluster.objects[NODE]["metadata"]["labels"][EMPTY]
    assert await uninstall(cluster, NAMESPACE, PATIENT) == 0
    assert [each["type"] for each in cluster.objects[NODE]["status"]["conditions"]] == ["Ready"]


async def test_a_node_that_goes_meanwhile_is_no_obstacle(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    async def gone(path: str, body: object) -> None:
        del cluster.objects[NODE]
        raise ApiRefused(404, "NotFound", path)

    monkeypatch.setattr(cluster, "merge", gone)
    assert await uninstall(cluster, NAMESPACE, PATIENT) == 0


async def test_a_right_that_is_missing_is_told(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refused(path: str, body: object) -> None:
        raise ApiRefused(403, "Forbidden", "nodes/status")

    monkeypatch.setattr(cluster, "merge", refused)
    with pytest.raises(ApiRefused, match="nodes/status"):
        await uninstall(cluster, NAMESPACE, PATIENT)
