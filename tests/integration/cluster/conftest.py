"""Throw-away clusters for the tests of the embedded cluster itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import Cluster
from tests.cluster.host_state import HostState, other_clusters
from tests.cluster.paths import cluster_name
from tests.cluster.platforms import why_no_real_node
from tests.integration.cluster.shell_image import shell_image_archive


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs real nodes where there can be none."""
    obstacle = why_no_real_node()
    here = Path(__file__).parent
    for item in items:
        if obstacle and item.path.is_relative_to(here):
            item.add_marker(pytest.mark.skip(reason=obstacle))


def throwaway_cluster(purpose: str) -> Cluster:
    """A cluster of this checkout for one purpose, without what a killed test run may have left of it."""
    cluster = Cluster(f"{cluster_name()[:30].rstrip('-')}-{purpose}")
    cluster.down()
    return cluster


@pytest.fixture
def throwaway() -> Iterator[Cluster]:
    """A cluster that is not up yet, and is gone after the test."""
    cluster = throwaway_cluster("once")
    yield cluster
    cluster.down()


@pytest.fixture
def nothing_left(throwaway: Cluster) -> Iterator[Cluster]:
    """A cluster after whose removal the host must be as it was before."""
    before = HostState.capture(except_clusters=other_clusters(throwaway.name))
    yield throwaway
    throwaway.down()
    assert before.left_behind(throwaway.name) == {}


@pytest.fixture(scope="module")
def two_node_cluster() -> Iterator[Cluster]:
    """A cluster with two real nodes and a shell image, shared by a module's tests."""
    cluster = throwaway_cluster("two")
    cluster.up(real_nodes=1)
    cluster.add_real_node()
    cluster.load_images([], archives=[shell_image_archive()])
    yield cluster
    cluster.down()
