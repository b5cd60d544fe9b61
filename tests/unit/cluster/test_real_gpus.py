"""Real nodes with GPUs: as many as are asked for, told apart from plain ones, and remembered."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from tests.cluster import RealGpus
from tests.cluster import state as cluster_state
from tests.cluster.errors import ClusterError
from tests.cluster.real_gpus import extended, kubelet_arguments
from tests.unit.cluster.builders import a_state


def grown(present: tuple[RealGpus, ...], *wanted: RealGpus | str) -> tuple[RealGpus, ...]:
    return extended(present, wanted, plain_nodes=1, most=15)


def test_nodes_are_named_after_their_gpus_and_numbered_from_the_end() -> None:
    nodes = grown((), "V100", "A40", "V100")
    assert [(node.name, node.number) for node in nodes] == [("real-v100", 15), ("real-a40", 14), ("real-v100-2", 13)]


def test_what_is_there_is_not_made_again() -> None:
    nodes = grown((), "V100")
    assert grown(nodes, "V100") == nodes
    assert grown(nodes) == nodes
    assert grown(nodes, "A40", "V100")[0] == nodes[0]
    assert len(grown(nodes, "V100", "V100")) == 2


def test_a_model_that_nobody_simulates_is_refused() -> None:
    with pytest.raises(ClusterError, match="V100, A40, A100, H100"):
        grown((), "P4")


def test_numbers_run_out() -> None:
    with pytest.raises(ClusterError, match="At most 15"):
        extended((), ["V100"] * 3, plain_nodes=13, most=15)


def test_they_are_remembered(tmp_path: Path) -> None:
    nodes = grown((), "V100", RealGpus("A100", gpus=1, slices=(3, 2, 1)))
    state = dataclasses.replace(a_state(), gpu_nodes=nodes)
    cluster_state.save(tmp_path, state)
    assert cluster_state.load(tmp_path) == state


def test_a_plain_node_has_no_taint() -> None:
    assert kubelet_arguments(None) == ["--node-labels=type=real"]


def test_a_node_with_gpus_has_the_labels_of_feature_discovery_and_a_taint() -> None:
    labels, taint = kubelet_arguments(RealGpus("V100", gpus=2))
    words = set(labels.removeprefix("--node-labels=").split(","))
    assert words >= {
        "type=real",
        "nvidia.com/gpu.present=true",
        "nvidia.com/gpu.product=Tesla-V100-PCIE-32GB",
        "nvidia.com/gpu.count=2",
        "nvidia.com/gpu.memory=32768",
    }
    assert taint == "--register-with-taints=nvidia.com/gpu=present:NoSchedule"
