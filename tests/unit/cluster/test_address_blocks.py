"""Clusters never share addresses, whatever else the host has."""

from __future__ import annotations

import itertools
from ipaddress import IPv4Network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cluster import state as cluster_state
from tests.cluster.errors import ClusterError
from tests.cluster.network import Network
from tests.cluster.state import BLOCKS, allocate, free_block, pod_network, transit_network

blocks = st.integers(0, BLOCKS - 1)


@given(blocks, blocks)
def test_two_blocks_do_not_overlap(one: int, other: int) -> None:
    if one != other:
        mine, theirs = (transit_network(one), pod_network(one)), (transit_network(other), pod_network(other))
        assert not any(left.overlaps(right) for left, right in itertools.product(mine, theirs))


@given(blocks, st.integers(1, 15), st.integers(1, 15))
def test_two_nodes_do_not_share_addresses(block: int, one: int, other: int) -> None:
    network = Network("unit", block)
    assert IPv4Network(network.pod_range(one)).subnet_of(IPv4Network(network.pod_network))
    if one != other:
        assert network.pod_range(one) != network.pod_range(other)
        assert network.node_address(one) != network.node_address(other)
    assert network.host_address not in {network.node_address(one), network.node_address(other)}


@given(blocks)
def test_interface_names_fit_the_kernel(block: int) -> None:
    assert len(Network("unit", block).host_interface) <= 15


def test_the_first_free_block_is_taken() -> None:
    assert free_block({0, 1, 3}, []) == 2


@pytest.mark.parametrize("used", ["10.201.0.0/24", "10.208.0.0/16", "10.201.0.7/32", "10.208.15.0/24"])
def test_a_block_that_the_host_routes_elsewhere_is_left_alone(used: str) -> None:
    assert free_block(set(), [IPv4Network(used)]) > 0


def test_no_free_block_is_an_error() -> None:
    with pytest.raises(ClusterError, match="all 256 address blocks"):
        free_block(set(range(BLOCKS)), [])


def test_clusters_of_one_cache_get_different_blocks_and_ports(tmp_path: Path) -> None:
    one = allocate(tmp_path / "one", "one", networked=True, networks_in_use=[])
    two = allocate(tmp_path / "two", "two", networked=True, networks_in_use=[])
    assert one.block != two.block
    assert not set(one.ports.values()) & set(two.ports.values())
    assert cluster_state.load(tmp_path / "one") == one
