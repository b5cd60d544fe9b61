"""A node with GPUs that crashed comes back by `up`, with boards as after a power cut."""

from __future__ import annotations

import pytest

from tests.cluster import Cluster
from tests.cluster.node import RealNode
from tests.e2e.kube import Kube
from tests.integration.nvmlsim.conftest import allocatable

pytestmark = pytest.mark.slow


def test_a_crashed_node_is_started_again(cluster: Cluster, kube: Kube, a40: RealNode) -> None:
    gpus = a40.gpus
    uuids, uuid = gpus.uuids, gpus.uuids[0]
    gpus.set_power_limit(uuid, 200.0)
    drawn = gpus.gpu(uuid).energy_joules
    a40.kill()
    assert not cluster.running
    cluster.up()
    assert cluster.running
    assert gpus.uuids == uuids
    assert gpus.gpu(uuid).power_limit_watts == gpus.gpu(uuid).default_power_limit_watts
    assert gpus.gpu(uuid).energy_joules < drawn
    assert allocatable(kube, a40) == 4
