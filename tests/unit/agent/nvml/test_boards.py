"""Simulated boards as the agent sees them: what they are, what they tell, and when they break."""

from __future__ import annotations

import dataclasses

import pytest

from ballast.agent.device import DeviceLost, DriverGone, NotSupported, Range, Throttle
from ballast.api.nodestatus import Capability
from tests.nvmlsim.boards import A40, A100, H100, V100, BoardModel
from tests.nvmlsim.faults import Fault
from tests.nvmlsim.simulator import Load
from tests.unit.agent.nvml.simulated import SimulatedNode

MEGA = 1_000_000
WITHOUT_MEMORY_LOCK = set(Capability) - {Capability.LOCKED_MEMORY_CLOCKS}


@pytest.mark.parametrize(
    ("board", "model"),
    [
        (V100, "Tesla-V100-PCIE-32GB"),
        (A40, "NVIDIA-A40"),
        (A100, "NVIDIA-A100-SXM4-80GB"),
        (H100, "NVIDIA-H100-80GB-HBM3"),
    ],
)
def test_each_model_is_described_as_its_datasheet(
    node: SimulatedNode, monkeypatch: pytest.MonkeyPatch, board: BoardModel, model: str
) -> None:
    simulator = node.boards(board)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    driver = node.driver()
    assert driver.version == "580.95.05"
    [gpu] = driver.devices()
    described = gpu.describe()
    assert gpu.uuid == described.uuid == simulator.uuids[0]
    assert described.model == model
    assert described.memory_bytes == board.memory_bytes
    assert described.power_limit_watts == Range(board.min_limit_watts, board.max_limit_watts)
    assert described.default_power_limit_watts == board.default_limit_watts
    assert described.clocks_hertz == tuple(clock * MEGA for clock in board.clocks_mhz)
    assert described.clock_hertz == Range(board.clocks_mhz[0] * MEGA, board.clocks_mhz[-1] * MEGA)
    assert described.memory_clocks_hertz == tuple(clock * MEGA for clock in board.memory_clocks_mhz)
    assert described.capabilities == (set(Capability) if board.locks_memory_clocks else WITHOUT_MEMORY_LOCK)
    assert not described.mig_enabled
    assert described.mig == ()


def test_a_sample_is_what_the_board_has(node: SimulatedNode) -> None:
    simulator = node.boards(A40)
    [uuid] = simulator.uuids
    simulator.set_load(uuid, [Load("pod", (4711,), 1.0)])
    simulator.set_power_limit(uuid, 200)
    simulator.advance(5.0)
    [gpu] = node.driver(clock=lambda: 42.0).devices()
    sample, board = gpu.sample(), simulator.gpu(uuid)
    assert sample.at == 42.0
    assert sample.energy_joules == pytest.approx(board.energy_joules, abs=1e-3)
    assert sample.power_watts == pytest.approx(board.average_watts)  # as this model tells it
    assert sample.power_limit_watts == 200.0
    assert sample.clock_hertz == board.clock_mhz * MEGA
    assert sample.memory_clock_hertz == board.memory_clock_mhz * MEGA
    assert sample.temperature_celsius == board.temperature_celsius
    assert sample.utilization == board.utilization
    assert Throttle.POWER_LIMIT in sample.throttle
    energy = gpu.read_energy()
    assert (energy.energy_joules, energy.power_watts) == (sample.energy_joules, sample.power_watts)
    assert [process.pid for process in gpu.processes()] == [4711]


def test_use_is_told_by_process_and_once_only(node: SimulatedNode) -> None:
    simulator = node.boards(A40)
    [uuid] = simulator.uuids
    [gpu] = node.driver().devices()
    assert gpu.usage_since(0) == ()
    simulator.set_load(uuid, [Load("one", (11,), 0.75), Load("other", (12,), 0.25)])
    simulator.advance(4.0)
    used = {usage.pid: usage for usage in gpu.usage_since(0)}
    assert used.keys() == {11, 12}
    assert used[11].utilization == pytest.approx(3 * used[12].utilization, rel=0.1)
    newest = max(usage.until_microseconds for usage in used.values())
    assert gpu.usage_since(newest) == ()
    simulator.advance(2.0)
    assert {usage.pid for usage in gpu.usage_since(newest)} == {11, 12}


def test_a_divided_gpu_shows_its_parts_and_who_is_where(node: SimulatedNode) -> None:
    simulator = node.boards(A100, mig={0: (3, 2, 1)})
    [uuid] = simulator.uuids
    parts = simulator.mig_uuids(uuid)
    [gpu] = node.driver().devices()
    described = gpu.describe()
    assert described.mig_enabled
    assert [(part.uuid, part.slices, part.slices_of_gpu) for part in described.mig] == [
        (parts[0], 3, 7), (parts[1], 2, 7), (parts[2], 1, 7),
    ]  # fmt: skip
    simulator.set_load(uuid, [Load("a", (21,), 1.0, parts[0]), Load("b", (22,), 1.0, parts[2])])
    simulator.advance(2.0)
    assert {process.pid: process.mig_device for process in gpu.processes()} == {21: parts[0], 22: parts[2]}
    with pytest.raises(NotSupported):
        gpu.usage_since(0)
    assert gpu.sample().utilization is None


def test_a_lost_gpu_says_so_and_leaves_the_others_alone(node: SimulatedNode) -> None:
    simulator = node.boards(A40, A40)
    driver = node.driver()
    lost, other = driver.devices()
    simulator.inject(lost.uuid, Fault.lost())
    for use in (lost.sample, lost.read_energy, lost.describe, lost.power_limit_watts, lost.processes):
        with pytest.raises(DeviceLost, match=r"reset the GPU"):
            use()
    assert other.sample().power_limit_watts == 300.0
    assert [gpu.uuid for gpu in driver.devices()] == [other.uuid]
    simulator.clear_faults()
    assert {gpu.uuid for gpu in driver.devices()} == {lost.uuid, other.uuid}


def test_after_a_reset_of_the_driver_all_begins_anew(node: SimulatedNode) -> None:
    simulator = node.boards(A40)
    driver = node.driver()
    [old] = driver.devices()
    simulator.set_power_limit(old.uuid, 150)
    simulator.advance(10.0)
    assert (old.read_energy().energy_joules or 0) > 0
    simulator.inject(None, Fault.driver_reset())
    for use in (old.sample, old.read_energy, old.power_limit_watts, driver.devices):
        with pytest.raises(DriverGone):
            use()
    driver.reopen()
    with pytest.raises(DriverGone, match="anew"):
        old.sample()
    [new] = driver.devices()
    assert new.uuid == old.uuid
    assert new.power_limit_watts() == 300.0  # a driver forgets what was set
    assert new.read_energy().energy_joules == 0.0


def test_a_driver_that_is_unloaded_is_waited_for(node: SimulatedNode) -> None:
    simulator = node.boards(A40)
    driver = node.driver()
    simulator.inject(None, Fault.driver_unloaded())
    with pytest.raises(DriverGone):
        driver.devices()
    for _ in range(2):
        with pytest.raises(DriverGone, match="modprobe nvidia"):
            driver.reopen()
        assert driver.version is None
        assert driver.devices() == ()
    simulator.clear_faults()
    driver.reopen()
    assert [gpu.uuid for gpu in driver.devices()] == list(simulator.uuids)


def test_a_slow_call_is_waited_for_and_dated_in_its_middle(node: SimulatedNode) -> None:
    simulator = node.boards(A40)
    [gpu] = node.driver().devices()
    quick = gpu.read_energy()
    simulator.inject(gpu.uuid, Fault.slow(200, "nvmlDeviceGetTotalEnergyConsumption", times=1))
    slow, next_one = gpu.read_energy(), gpu.read_energy()
    assert dataclasses.replace(slow, at=0) == dataclasses.replace(quick, at=0)
    assert slow.at - quick.at >= 0.1
    assert next_one.at - slow.at >= 0.1


@pytest.mark.parametrize(
    ("call", "missing"),
    [
        ("nvmlDeviceGetTotalEnergyConsumption", Capability.ENERGY_COUNTER),
        ("nvmlDeviceGetPowerUsage", Capability.POWER_READING),
    ],
)
def test_a_board_without_a_call_does_without(node: SimulatedNode, call: str, missing: Capability) -> None:
    simulator = node.boards(A40)
    simulator.inject(None, Fault.unsupported(call))
    [gpu] = node.driver().devices()
    assert missing not in gpu.describe().capabilities
    sample = gpu.sample()
    assert (sample.energy_joules is None) == (missing is Capability.ENERGY_COUNTER)
    assert (sample.power_watts is None) == (missing is Capability.POWER_READING)


def test_a_counter_that_was_reset_goes_back(node: SimulatedNode) -> None:
    """The meter has to notice: the device tells what the board tells."""
    simulator = node.boards(A40)
    [gpu] = node.driver().devices()
    simulator.advance(10.0)
    before = gpu.read_energy().energy_joules or 0.0
    simulator.inject(gpu.uuid, Fault.counter_reset())
    simulator.advance(1.0)
    after = gpu.read_energy().energy_joules
    assert after is not None
    assert 0 < after < before
