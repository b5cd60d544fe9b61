"""Uninstalling lets the pods go that were kept for the ledger: nobody would do it afterwards."""

from __future__ import annotations

import logging

import pytest

from ballast import uninstall as module
from ballast.api.finalreading import FINALIZER
from ballast.kube import ApiRefused
from ballast.uninstall import uninstall
from tests.unit.operator.uninstall_api import NAMESPACE, PODS, SCALE, Cluster

OTHER = "example.com/other"


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL_SECONDS", 0.0)


async def test_ours_goes_and_that_of_others_stays() -> None:
    cluster = Cluster()
    pods = [cluster.add_training_pod("a", FINALIZER), cluster.add_training_pod("b", OTHER, FINALIZER)]
    other = cluster.add_training_pod("c", OTHER)
    assert await uninstall(cluster, NAMESPACE, 60.0) == 0
    assert [pod["metadata"]["finalizers"] for pod in (*pods, other)] == [[], [OTHER], [OTHER]]
    assert cluster.writes == [f"patch {SCALE}", *(f"patch /api/v1/namespaces/team/pods/{name}" for name in "ab")]


async def test_not_while_the_operator_may_still_enter_what_they_used() -> None:
    cluster = Cluster()
    pod = cluster.add_training_pod("a", FINALIZER)
    cluster.add_node("n")
    cluster.add_operator("operator-1", "n")
    assert await uninstall(cluster, NAMESPACE, 0.05) == 1
    assert pod["metadata"]["finalizers"] == [FINALIZER]
    del cluster.objects[f"{PODS}/operator-1"]
    assert await uninstall(cluster, NAMESPACE, 60.0) == 0
    assert pod["metadata"]["finalizers"] == []


async def test_also_while_a_node_has_not_confirmed() -> None:
    cluster = Cluster()
    pod = cluster.add_training_pod("a", FINALIZER)
    cluster.add_node("n")
    cluster.add_node_power("n", capped=2)
    cluster.deaf = {"n"}
    assert await uninstall(cluster, NAMESPACE, 0.05) == 1
    assert pod["metadata"]["finalizers"] == []


@pytest.mark.parametrize(
    ("error", "code"), [(ApiRefused(404, "NotFound", "gone"), 0), (ApiRefused(422, "Invalid", "it moved"), 1)], ids=str
)
async def test_a_pod_that_changes_meanwhile(error: ApiRefused, code: int, caplog: pytest.LogCaptureFixture) -> None:
    """One that is gone is none of ours; one whose finalizers changed is tried again."""

    class Moving(Cluster):
        async def json_patch(self, path: str, operations: list[dict[str, object]]) -> dict[str, object]:
            if "/pods/" in path:
                raise error
            return await super().json_patch(path, operations)

    cluster = Moving()
    cluster.add_training_pod("a", FINALIZER)
    assert await uninstall(cluster, NAMESPACE, 0.05) == code
    told = [record.__dict__["remaining"] for record in caplog.records if record.levelno == logging.ERROR]
    assert told == [[f"pod team/a still has the finalizer {FINALIZER}"]] * code
