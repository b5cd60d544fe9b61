"""Pods that share a GPU are charged by what their processes used; what others' processes used is nobody's."""

from __future__ import annotations

import pytest

from ballast.agent.device import MigDevice, Process
from ballast.agent.node.holders import Holder
from tests.unit.agent.metering.gpu_nodes import FakeGpu, GpuNode


@pytest.fixture
def pods(node: GpuNode, gpu: FakeGpu) -> tuple[str, str]:
    """Two pods that share the GPU, whose idle power is 40 W."""
    first, second = node.pod("first"), node.pod("second")
    gpu.watts, gpu.utilization = 40, 0.0
    node.tick()
    node.run(30)
    assert node.metered().idle.measured == 40
    node.hold("GPU-0", first, second)
    node.tick()
    gpu.watts, gpu.utilization = 240, 1.0
    return first, second


def test_active_joules_follow_use_and_idle_joules_are_shared_alike(
    node: GpuNode, gpu: FakeGpu, pods: tuple[str, str]
) -> None:
    gpu.usage = {node.process(pods[0]): 0.3, node.process(pods[0]): 0.3, node.process(pods[1]): 0.2}
    node.run(10)
    first, second = (node.readings(uid).gpus[0] for uid in pods)
    assert (first.active_joules, first.idle_joules) == pytest.approx((1500, 200))
    assert (second.active_joules, second.idle_joules) == pytest.approx((500, 200))
    assert (first.watts, second.watts) == pytest.approx((170, 70))


def test_what_a_process_of_nobody_s_used_is_nobody_s(node: GpuNode, gpu: FakeGpu, pods: tuple[str, str]) -> None:
    gpu.usage = {node.process(pods[0]): 0.5, node.process(None): 0.5}
    before = node.metered().unattributed_joules
    node.run(10)
    assert node.metered().unattributed_joules - before == pytest.approx(1000)
    assert node.joules(pods[1]) == pytest.approx(200)


def test_a_process_that_has_ended_meanwhile_is_left_out(node: GpuNode, gpu: FakeGpu, pods: tuple[str, str]) -> None:
    gpu.usage = {node.process(pods[0]): 0.5, 99999: 0.5}
    node.run(10)
    assert node.readings(pods[0]).gpus[0].active_joules == pytest.approx(2000)


def test_without_any_use_both_are_charged_alike(node: GpuNode, pods: tuple[str, str]) -> None:
    node.run(10)
    assert node.joules(pods[0]) == node.joules(pods[1]) == pytest.approx(1200)


def test_a_second_without_a_sample_of_the_driver_goes_by_the_last(
    node: GpuNode, gpu: FakeGpu, pods: tuple[str, str]
) -> None:
    gpu.usage = {node.process(pods[0]): 0.5}
    node.run(1)
    gpu.usage = {}
    node.run(2)
    assert node.readings(pods[1]).gpus[0].active_joules == 0
    node.run(10)
    assert node.readings(pods[1]).gpus[0].active_joules > 0


def test_where_the_driver_tells_no_use_those_with_a_process_have_used_it(
    node: GpuNode, gpu: FakeGpu, pods: tuple[str, str]
) -> None:
    gpu.usage = None
    gpu.running = [Process(node.process(pods[1]))]
    node.run(10)
    assert node.readings(pods[0]).gpus[0].active_joules == 0
    assert node.readings(pods[1]).gpus[0].active_joules == pytest.approx(2000)


def test_mig_devices_are_charged_idle_by_slices_and_active_where_processes_run(node: GpuNode, gpu: FakeGpu) -> None:
    first, second = node.pod("first"), node.pod("second")
    gpu.mig = (MigDevice("MIG-a", 4, 7), MigDevice("MIG-b", 2, 7))
    gpu.watts, gpu.utilization = 70, None
    node.tick()
    node.run(30)
    before = node.metered().unattributed_joules
    node.hold("GPU-0", Holder(first, "MIG-a", 4, 7), Holder(second, "MIG-b", 2, 7))
    node.tick()
    gpu.watts = 270
    gpu.running = [Process(node.process(first), "MIG-a"), Process(node.process(second), "MIG-b")]
    node.run(9)
    one, other = node.readings(first).gpus[0], node.readings(second).gpus[0]
    assert (one.mig_device, other.mig_device) == ("MIG-a", "MIG-b")
    assert (one.idle_joules, other.idle_joules) == pytest.approx((360, 180))
    assert (one.active_joules, other.active_joules) == pytest.approx((1200, 600))
    assert node.metered().unattributed_joules - before == pytest.approx(90)
