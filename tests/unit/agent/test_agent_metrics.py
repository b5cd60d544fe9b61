"""The node's metrics: figures of GPUs as they are now, under names with units, and never a pod's."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ballast.agent.telling.metrics import NodeMetrics
from tests.unit.agent.metering.gpu_nodes import FakeGpu, GpuNode

LABELS = {"uuid": "GPU-0", "model": "NVIDIA-Paper"}


def scraped(metrics: NodeMetrics) -> dict[str, list[tuple[dict[str, str], float]]]:
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in text_string_to_metric_families(metrics.render().decode()):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


@pytest.fixture
def node(tmp_path: Path) -> GpuNode:
    """A node whose one GPU is held by a pod and was metered for ten seconds."""
    it = GpuNode(tmp_path, FakeGpu())
    it.hold("GPU-0", it.pod("secret"))
    it.tick()
    it.run(10)
    return it


def test_present_figures_and_totals_are_told(node: GpuNode) -> None:
    told = scraped(NodeMetrics(node.metering, lambda: {"GPU-0": 3}))
    assert told["ballast_node_gpu_power_watts"] == [(LABELS, 100)]
    assert told["ballast_node_gpu_power_limit_watts"] == [(LABELS, 300)]
    assert told["ballast_node_gpu_utilization_ratio"] == [(LABELS, 1)]
    assert told["ballast_node_gpu_energy_joules_total"] == [(LABELS, 1000)]
    assert told["ballast_node_gpu_unattributed_joules_total"] == [(LABELS, 0)]
    assert told["ballast_node_gpu_operating_points_reapplied_total"] == [(LABELS, 3)]
    assert told["ballast_node_gpu_readable"] == [(LABELS, 1)]


def test_what_a_board_does_not_tell_is_absent(node: GpuNode) -> None:
    told = scraped(NodeMetrics(node.metering))
    assert "ballast_node_gpu_temperature_celsius" not in told
    assert "ballast_node_gpu_idle_watts" not in told


def test_each_reason_to_throttle_is_zero_or_one(node: GpuNode) -> None:
    told = scraped(NodeMetrics(node.metering))["ballast_node_gpu_throttled"]
    assert {labels["reason"]: value for labels, value in told} == {
        "PowerLimit": 0,
        "Clocks": 0,
        "Thermal": 0,
        "Hardware": 0,
        "Other": 0,
    }


def test_a_gpu_that_is_lost_keeps_its_totals_and_has_no_present_figures(node: GpuNode) -> None:
    node.gpus["GPU-0"].lose()
    node.run(2)
    told = scraped(NodeMetrics(node.metering))
    assert told["ballast_node_gpu_readable"] == [(LABELS, 0)]
    assert "ballast_node_gpu_power_watts" not in told
    assert told["ballast_node_gpu_energy_joules_total"] == [(LABELS, 1000)]
    assert told["ballast_node_gpu_failed_reads_total"] == [(LABELS, 2)]


def test_no_pod_is_named(node: GpuNode) -> None:
    text = NodeMetrics(node.metering).render().decode()
    assert "secret" not in text
    assert "team" not in text
