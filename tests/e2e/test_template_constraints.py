"""What the template says about nodes is respected beside Ballast's own choice."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.gpu_nodes import KWOK_TAINT
from tests.e2e.kube import Kube
from tests.e2e.manifests import KWOK_TOLERATION, term, training_job
from tests.e2e.namespace import Namespace, nodes_of

PRODUCT = "nvidia.com/gpu.product"

pytestmark = pytest.mark.usefixtures("operator")


@pytest.fixture
def tainted(kube: Kube) -> Iterator[str]:
    """A node that only jobs with one more toleration may use."""
    extra = {"key": "example.com/team", "value": "vision", "effect": "NoSchedule"}
    kube.merge("/api/v1/nodes/a40-0", {"spec": {"taints": [KWOK_TAINT, extra]}})
    yield "a40-0"
    kube.merge("/api/v1/nodes/a40-0", {"spec": {"taints": [KWOK_TAINT]}})


def test_node_selector(namespace: Namespace) -> None:
    namespace.submit(training_job("digits").gpus(1).selects({PRODUCT: "NVIDIA-A40"}))
    [node] = nodes_of(namespace.wait_for_phase("digits", "Succeeded"))
    assert node in {"a40-0", "a40-1"}


def test_a_taint_that_is_not_tolerated_keeps_the_job_away(namespace: Namespace, tainted: str) -> None:
    namespace.submit(training_job("digits").gpus(1).on_node(tainted))
    assert "1 taint example.com/team" in namespace.wait_until_refused("digits", "NoEligibleNode")


def test_a_taint_that_is_tolerated_does_not(namespace: Namespace, tainted: str) -> None:
    tolerations = [KWOK_TOLERATION, {"key": "example.com/team", "operator": "Equal", "value": "vision"}]
    namespace.submit(training_job("digits").gpus(1).on_node(tainted).tolerates(*tolerations))
    assert nodes_of(namespace.wait_for_phase("digits", "Succeeded")) == [tainted]


def test_a_job_without_tolerations_never_lands_on_simulated_nodes(namespace: Namespace) -> None:
    namespace.submit(training_job("digits").gpus(1).tolerates())
    assert "6 taint kwok.x-k8s.io/node" in namespace.wait_until_refused("digits", "NoEligibleNode")


def test_the_node_is_added_to_each_term_of_an_affinity(namespace: Namespace) -> None:
    terms = (term(PRODUCT, "NVIDIA-A40"), term(PRODUCT, "Tesla-V100-SXM2-16GB"))
    namespace.submit(training_job("digits").gpus(8).requires(*terms))
    [node] = nodes_of(namespace.wait_for_phase("digits", "Succeeded"))
    assert node in {"v100-0", "v100-1"}

    [pod] = namespace.pods("digits")
    required = pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    by_name = {"key": "metadata.name", "operator": "In", "values": [node]}
    assert required["nodeSelectorTerms"] == [{**each, "matchFields": [by_name]} for each in terms]


def test_a_cordoned_node_gets_nothing(namespace: Namespace, kube: Kube) -> None:
    kube.merge("/api/v1/nodes/a40-1", {"spec": {"unschedulable": True}})
    try:
        namespace.submit(training_job("digits").gpus(1).on_node("a40-1"))
        assert "1 cordoned" in namespace.wait_until_refused("digits", "NoEligibleNode")
    finally:
        kube.merge("/api/v1/nodes/a40-1", {"spec": {"unschedulable": None}})
    namespace.wait_for_phase("digits", "Succeeded")
