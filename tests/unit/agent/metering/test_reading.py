"""Counters are read at each tick, everything else once a second; a GPU that fails spoils nothing but itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from ballast.agent.device import DriverGone, Process
from tests.unit.agent.metering.gpu_nodes import FakeGpu, GpuNode


def test_at_ten_hertz_nine_readings_of_ten_are_cheap(tmp_path: Path) -> None:
    gpu = FakeGpu()
    node = GpuNode(tmp_path, gpu, hertz=10)
    node.tick()
    node.run(10)
    assert gpu.full_reads == pytest.approx(11, abs=1)
    assert gpu.cheap_reads == pytest.approx(90, abs=2)


def test_a_slow_rate_reads_everything_each_time(tmp_path: Path) -> None:
    gpu = FakeGpu()
    node = GpuNode(tmp_path, gpu, hertz=0.1)
    uid = node.pod("train")
    node.hold("GPU-0", uid)
    node.tick()
    node.run(100)
    assert (gpu.full_reads, gpu.cheap_reads) == (11, 0)
    assert node.joules(uid) == pytest.approx(10_000)
    assert node.metered().meter.unmetered_seconds == 0


def test_a_gpu_that_is_lost_does_not_keep_others_from_being_read(tmp_path: Path) -> None:
    lost, fine = FakeGpu("GPU-0"), FakeGpu("GPU-1")
    node = GpuNode(tmp_path, lost, fine)
    node.tick()
    lost.lose()
    node.run(5)
    assert node.metered("GPU-1").joules == pytest.approx(500)
    assert node.metered("GPU-0").sample is None
    assert node.metered("GPU-0").failed_reads == 5


def test_a_driver_that_is_gone_is_told_after_the_tick_is_done(tmp_path: Path) -> None:
    gone, fine = FakeGpu("GPU-0"), FakeGpu("GPU-1")
    node = GpuNode(tmp_path, gone, fine)
    node.tick()
    gone.fails = DriverGone("reloaded")
    node.pass_time(1)
    with pytest.raises(DriverGone):
        node.tick()
    assert node.metered("GPU-1").joules == pytest.approx(100)


def test_idle_power_is_not_measured_while_a_process_computes(node: GpuNode, gpu: FakeGpu) -> None:
    gpu.utilization = 0.0  # it waits for data
    gpu.running = [Process(node.process(None))]
    node.tick()
    node.run(60)
    assert node.metered().idle.measured is None
    gpu.running = []
    node.run(30)
    assert node.metered().idle.measured == 100


def test_the_present_limit_is_told_to_who_holds_the_gpu(node: GpuNode) -> None:
    uid = node.pod("train")
    node.hold("GPU-0", uid)
    node.tick()
    node.run(1)
    assert node.readings(uid).gpus[0].power_limit_watts == 300
