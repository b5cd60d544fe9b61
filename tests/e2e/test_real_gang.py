"""The first walk: the example gang trains for real, under torchrun, in two pods on a real node."""

from __future__ import annotations

import pytest

from tests.cluster import Cluster
from tests.e2e.namespace import Namespace, trainer_end
from tests.e2e.real import EXAMPLES, TRAINING_TIMEOUT_SECONDS

ACCURACY = 0.9
"""Far above chance (0.1), and below what the example reaches (0.97), so that it proves that training took place."""


@pytest.mark.slow
def test_the_gang_trains_under_torchrun(namespace: Namespace, cluster: Cluster, deployed_operator: str) -> None:
    [name] = namespace.apply_file(EXAMPLES / "digits-gang.yaml")
    job = namespace.wait_for_phase(name, "Succeeded", timeout_seconds=TRAINING_TIMEOUT_SECONDS)
    assert {place["node"] for place in job["status"]["placement"]} == {deployed_operator}

    pods = namespace.pods(name)
    assert [pod["spec"]["nodeName"] for pod in pods] == [deployed_operator] * 2
    for pod in pods:
        code, result = trainer_end(pod)
        assert code == 0
        assert result["outcome"] == "completed"
        assert result["processes"] == 2
        assert result["val_accuracy"] > ACCURACY

    said = cluster.kubectl("-n", namespace.name, "logs", pods[0]["metadata"]["name"])
    assert '"outcome": "completed"' in said
