"""A cluster leaves the host as it found it, however it ended."""

from __future__ import annotations

import pytest

from tests.cluster import Cluster
from tests.cluster.host_state import HostState, iptables_rules, other_clusters
from tests.integration.cluster.conftest import throwaway_cluster

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


def test_down_removes_everything(nothing_left: Cluster) -> None:
    rules = iptables_rules()
    nothing_left.up(real_nodes=1, gpu_nodes=["V100"])
    assert iptables_rules() == rules
    assert nothing_left.running


def test_a_running_cluster_is_seen(throwaway: Cluster) -> None:
    before = HostState.capture(except_clusters=other_clusters(throwaway.name))
    throwaway.up(real_nodes=1)
    after = HostState.capture(except_clusters=other_clusters(throwaway.name))
    changes = after.changes_since(before)
    assert {"processes", "links", "network namespaces", "control groups", "state"} <= set(changes)
    assert "iptables" not in changes
    assert "mounts" not in changes or all("netns" in line for line in changes["mounts"])
    assert "settings" not in changes


def test_two_clusters_run_side_by_side(nothing_left: Cluster) -> None:
    other = throwaway_cluster("beside")
    try:
        nothing_left.up(real_nodes=1)
        other.up(real_nodes=1)
        assert nothing_left.prometheus_url != other.prometheus_url
        nothing_left.kubectl("create", "configmap", "mine")
        assert "mine" not in other.kubectl("get", "configmaps")
        other.down()
        assert nothing_left.running
        assert nothing_left.real_node(1).running
    finally:
        other.down()
