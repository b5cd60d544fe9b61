"""`ballast explain` on a live cluster: a job that runs, one that waits for it, and one that is not there."""

from __future__ import annotations

import pytest

from ballast.__main__ import main
from tests.cluster import Cluster
from tests.e2e.manifests import training_job
from tests.e2e.namespace import Namespace

NODE = "v100-1"


@pytest.mark.usefixtures("operator")
def test_who_runs_and_who_waits(cluster: Cluster, namespace: Namespace, capsys: pytest.CaptureFixture[str]) -> None:
    def explained(name: str) -> tuple[int, str, str]:
        status = main(["explain", f"job/{name}", "-n", namespace.name, "--kubeconfig", str(cluster.kubeconfig)])
        told = capsys.readouterr()
        return status, told.out, told.err

    namespace.submit(training_job("holder").gpus(8).on_node(NODE).runs(seconds=600))
    namespace.wait_for_phase("holder", "Running")
    status, text, _ = explained("holder")
    assert status == 0
    assert f"{namespace.name}/holder: Running since " in text
    assert f"\nOn {NODE} (8 V100)\n" in text
    assert "\n*  V100 " in text

    namespace.submit(training_job("waits").gpus(8).on_node(NODE))
    message = namespace.wait_until_refused("waits", "WaitingForCapacity")
    status, text, _ = explained("waits")
    assert status == 0
    assert f"\nWaitingForCapacity: {message}\n" in text
    assert "V100 0 of 8 free" in text
    assert "no room" in text
    assert "\n* " not in text

    assert explained("absent") == (
        1,
        "",
        f"ballast: there is no TrainingJob absent in namespace {namespace.name}; name another namespace with -n\n",
    )
