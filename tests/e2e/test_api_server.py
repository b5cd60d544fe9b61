"""The operator outlives what happens to the API server: no CRD yet, a crash, a restart."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster import Cluster
from tests.e2e.manifests import training_job
from tests.e2e.namespace import Namespace
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
