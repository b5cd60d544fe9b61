"""Somebody else's Job or Service has the name that Ballast needs: it stays as it is, and the job says so."""

from __future__ import annotations

import pytest

from tests.e2e.aftermath import assert_nothing_left
from tests.e2e.audit import AuditLog
from tests.e2e.kube import JsonObject
from tests.e2e.manifests import KWOK_TOLERATION, training_job
from tests.e2e.namespace import Namespace, condition

NODE = "a40-0"

pytestmark = pytest.mark.usefixtures("hasty_operator")


def _service(name: str, cluster_ip: str | None) -> JsonObject:
    spec: JsonObject = {"selector": {"app": "users"}, "ports": [{"name": "http", "port": 80}]}
    if cluster_ip is not None:
        spec["clusterIP"] = cluster_ip
    return {"metadata": {"name": name, "labels": {"app": "users"}}, "spec": spec}


def _job(name: str, **spec: object) -> JsonObject:
    pod = {
        "restartPolicy": "Never",
        "tolerations": [KWOK_TOLERATION],
        "nodeSelector": {"kubernetes.io/hostname": NODE},
        "containers": [{"name": "users", "image": "example.com/users:1"}],
    }
    return {"metadata": {"name": name}, "spec": {"template": {"spec": pod}, **spec}}


def _essence(obj: JsonObject) -> JsonObject:
    metadata = obj["metadata"]
    kept = {key: metadata.get(key) for key in ("uid", "labels", "ownerReferences")}
    return {"metadata": kept, "spec": obj["spec"]}


@pytest.mark.parametrize("cluster_ip", ["None", None], ids=["headless", "with-an-address"])
def test_a_service(cluster_ip: str | None, namespace: Namespace, audit: AuditLog) -> None:
    theirs = namespace.kube.create(namespace.services_path, _service("gang-gang", cluster_ip))
    namespace.submit(training_job("gang").pods(2).gpus(1).torchrun().on_node(NODE))
    job = namespace.wait_for_phase("gang", "Failed")
    failed = condition(job, "Failed")
    assert failed is not None
    assert failed["reason"] == "InvalidSpec"
    assert "Service gang-gang exists already and is somebody else's" in failed["message"]
    assert namespace.pods("gang") == []

    namespace.delete_job("gang")
    namespace.wait(namespace.jobs_path, "gang", lambda found: not found, "the job is gone")
    still = namespace.kube.get(f"{namespace.services_path}/gang-gang")
    assert _essence(still) == _essence(theirs)
    namespace.kube.delete(f"{namespace.services_path}/gang-gang")
    assert_nothing_left(namespace, audit)


@pytest.mark.parametrize("suspended", [False, True], ids=["running", "suspended"])
def test_a_job(suspended: bool, namespace: Namespace, audit: AuditLog) -> None:
    manifest = _job("digits-1", suspend=suspended, completionMode="Indexed", completions=1, parallelism=1)
    theirs = namespace.kube.create(namespace.workloads_path, manifest)
    namespace.submit(training_job("digits").gpus(1).on_node(NODE))
    job = namespace.wait_for_phase("digits", "Failed")
    failed = condition(job, "Failed")
    assert failed is not None
    assert failed["reason"] == "InvalidSpec"
    assert "Job digits-1 exists already and is somebody else's" in failed["message"]

    namespace.delete_job("digits")
    namespace.wait(namespace.jobs_path, "digits", lambda found: not found, "the job is gone")
    still = namespace.kube.get(f"{namespace.workloads_path}/digits-1")
    assert _essence(still) == _essence(theirs)
    namespace.kube.delete(f"{namespace.workloads_path}/digits-1", propagationPolicy="Foreground")
    assert_nothing_left(namespace, audit)
