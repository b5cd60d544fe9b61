"""An interval is charged to those who held the GPU in it, and a gap only to those who held it before and after."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.agent.metering.gpu_nodes import FakeGpu, GpuNode


def test_a_pod_is_charged_from_when_it_holds_the_gpu_until_it_does_not(node: GpuNode, gpu: FakeGpu) -> None:
    uid = node.pod("train")
    node.tick()
    node.run(5)
    node.hold("GPU-0", uid)
    node.tick()
    node.run(10)
    node.hold("GPU-0")
    node.tick()
    node.run(3)
    assert node.joules(uid) == pytest.approx(1000)
    assert node.metered().unattributed_joules == pytest.approx(800)
    assert node.metered().joules == pytest.approx(gpu.joules)


def test_at_ten_hertz_a_change_counts_at_once_and_not_at_the_next_second(tmp_path: Path) -> None:
    gpu = FakeGpu()
    node = GpuNode(tmp_path, gpu, hertz=10)
    first, second = node.pod("first"), node.pod("second")
    node.hold("GPU-0", first)
    node.tick()
    node.run(2.3)
    node.hold("GPU-0", second)
    node.tick()
    node.run(0.7)
    assert node.joules(first) == pytest.approx(230, abs=10.1)  # one reading of a tenth of a second
    assert node.charged([first, second]) == pytest.approx(300)


def test_what_is_used_before_holders_are_known_is_theirs(node: GpuNode) -> None:
    uid = node.pod("train")
    node.holders = None
    node.tick()
    node.run(5)
    node.hold("GPU-0", uid)
    node.run(1)
    assert node.joules(uid) == pytest.approx(600)


def test_a_gap_is_charged_to_who_held_the_gpu_before_and_after(node: GpuNode, gpu: FakeGpu) -> None:
    uid = node.pod("train")
    node.hold("GPU-0", uid)
    node.tick()
    gpu.lose()
    node.run(30)
    assert node.joules(uid) == 0
    assert node.metered().failed_reads == 30
    gpu.fails = None
    node.run(1)
    assert node.joules(uid) == pytest.approx(3100)


def test_a_gap_in_which_holders_changed_is_nobody_s(node: GpuNode, gpu: FakeGpu) -> None:
    first, second = node.pod("first"), node.pod("second")
    node.hold("GPU-0", first)
    node.tick()
    node.run(1)
    gpu.lose()
    node.run(10)
    node.hold("GPU-0", second)
    node.run(10)
    gpu.fails = None
    node.run(2)
    assert node.joules(first) == pytest.approx(100)
    assert node.joules(second) == pytest.approx(100)
    assert node.metered().unattributed_joules == pytest.approx(2100)


def test_a_gpu_that_is_gone_and_adopted_again_goes_on(node: GpuNode, gpu: FakeGpu) -> None:
    uid = node.pod("train")
    node.hold("GPU-0", uid)
    node.tick()
    node.run(1)
    node.gpus.clear()
    node.adopt()
    for _ in range(20):
        gpu.pass_time(1)
        node.run(1)
    assert node.metered().sample is None
    node.gpus["GPU-0"] = gpu
    node.adopt()
    node.run(1)
    assert node.joules(uid) == pytest.approx(2200)
