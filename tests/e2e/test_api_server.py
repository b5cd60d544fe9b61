"""The operator outlives what happens to the API server: no CRD yet, a crash, a restart, watches that broke for good."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster import Cluster
from tests.e2e.aftermath import assert_nothing_left
from tests.e2e.audit import AuditLog
from tests.e2e.etcd import forget_history
from tests.e2e.kube import JsonObject
from tests.e2e.manifests import HOLDING_GATE, training_job
from tests.e2e.namespace import Namespace, phase
from tests.e2e.operator_process import OperatorProcess
from tests.e2e.operators import Operators, install_api


@pytest.fixture
def without_crd(cluster: Cluster, operators: Operators) -> Iterator[None]:
    """A cluster on which nobody has installed the API yet."""
    operators.stop()
    cluster.kubectl("delete", "crd", "trainingjobs.ballast.dev")
    yield
    install_api(cluster)


@pytest.mark.usefixtures("without_crd")
def test_an_operator_that_comes_before_the_crd_waits_and_says_so(
    cluster: Cluster, operators: Operators, namespace: Namespace
) -> None:
    with operators.start() as operator:
        operator.wait_until_it_logs("are the CRDs installed")
        assert operator.ask("/healthz")[0] == 200
        status, said = operator.ask("/readyz")
        assert status == 503
        assert "first complete list" in said

        install_api(cluster)
        operator.wait_until_ready()
        namespace.submit(training_job("digits").gpus(1).on_node("a40-0"))
        namespace.wait_for_phase("digits", "Succeeded")


@pytest.mark.slow
def test_the_operator_outlives_a_crash_of_the_api_server(
    cluster: Cluster, operator: OperatorProcess, namespace: Namespace
) -> None:
    namespace.submit(
        training_job("a-runs").gpus(8).on_node("v100-0").runs(seconds=20),
        training_job("b-waits").gpus(8).on_node("v100-0"),
    )
    namespace.wait_for_phase("a-runs", "Running")
    pid = operator.pid
    cluster.kill_component("kube-apiserver")
    cluster.up(real_nodes=0)
    namespace.kube.close()  # its connection is the dead one's

    namespace.submit(training_job("c-new").gpus(1).on_node("a40-0"))
    namespace.wait_for_phase("c-new", "Succeeded")
    namespace.wait_for_phase("b-waits", "Succeeded")
    assert operator.running
    assert operator.pid == pid


@pytest.mark.slow
def test_no_phase_is_lost_in_a_crash_of_the_api_server(
    cluster: Cluster, operators: Operators, namespace: Namespace, audit: AuditLog
) -> None:
    before = {"a-placing": "Placing", "b-runs": "Running", "c-stops": "Suspending", "d-paused": "Suspended"}
    after = {"a-placing": "Succeeded", "b-runs": "Succeeded", "c-stops": "Suspended", "d-paused": "Suspended"}
    with operators.start() as operator:
        operator.wait_until_ready()
        namespace.submit(
            training_job("a-placing").pods(2).gpus(1).torchrun().on_node("v100-0").held(),
            training_job("b-runs").gpus(1).on_node("v100-0").runs(seconds=15),
            training_job("c-stops").gpus(1).on_node("v100-0").runs(seconds=600).takes_to_end(seconds=15),
            training_job("d-paused").gpus(1).on_node("v100-0").runs(seconds=600),
        )
        namespace.wait_for_pods(lambda pods: sum(_is_held(pod) for pod in pods) == 2, "pods wait for nobody but us")
        for name in ("b-runs", "c-stops", "d-paused"):
            namespace.wait_for_phase(name, "Running")
        namespace.submit(training_job("e-waits").gpus(8).on_node("v100-0"))
        namespace.wait_until_refused("e-waits", "WaitingForCapacity")
        namespace.edit("d-paused", suspend=True)
        namespace.wait_for_phase("d-paused", "Suspended")
        namespace.edit("c-stops", suspend=True)
        namespace.wait_for_phase("c-stops", "Suspending")

        cluster.kill_component("kube-apiserver")
        cluster.up(real_nodes=0)
        _begin_anew(namespace)
        seen = {name: phase(namespace.job(name)) for name in before}
        assert seen["a-placing"] == "Placing"
        assert seen["d-paused"] == "Suspended"
        for pod in namespace.pods("a-placing"):
            namespace.kube.merge(
                f"{namespace.pods_path}/{pod['metadata']['name']}", {"spec": {"schedulingGates": None}}
            )
        for name, end in after.items():
            namespace.wait_for_phase(name, end)
        namespace.wait_for_phase("e-waits", "Succeeded")
        for name in before:
            assert len(namespace.job(name)["status"]["attempts"]) == 1
        assert operator.running
        assert_nothing_left(namespace, audit)


@pytest.mark.slow
def test_what_vanished_while_the_watches_were_broken_is_forgotten(
    cluster: Cluster, operators: Operators, namespace: Namespace, audit: AuditLog
) -> None:
    settings = {"BALLAST_RESYNC_SECONDS": "3", "BALLAST_LEASE_SECONDS": "600"}
    with operators.start(settings=settings) as operator:
        operator.wait_until_ready()
        namespace.submit(training_job("a-holds").pods(2).gpus(4).torchrun().on_node("v100-0").runs(seconds=600))
        namespace.wait_for_phase("a-holds", "Running")
        namespace.submit(training_job("b-waits").gpus(8).on_node("v100-0"))
        namespace.wait_until_refused("b-waits", "WaitingForCapacity")

        operator.pause()
        cluster.kill_component("kube-apiserver")  # what it sent before may wait in the operator's connections
        cluster.up(real_nodes=0)
        namespace.kube.close()
        namespace.delete_job("a-holds")
        namespace.wait_for_pods(lambda pods: not pods, "the pods are gone, and the operator does not know")
        forget_history(cluster)
        _begin_anew(namespace)
        operator.wake()

        namespace.wait_for_phase("b-waits", "Succeeded")
        assert operator.running
        assert_nothing_left(namespace, audit)


def _begin_anew(namespace: Namespace) -> None:
    """Go on after the API server's death: the connection is the dead one's, and it has forgotten what was before."""
    namespace.kube.close()
    namespace.since = namespace.kube.version(namespace.jobs_path)


def _is_held(pod: JsonObject) -> bool:
    return [gate["name"] for gate in pod["spec"].get("schedulingGates", [])] == [HOLDING_GATE]
