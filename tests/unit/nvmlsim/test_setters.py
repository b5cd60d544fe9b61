"""What is set: units, ranges, snapping, and that every call is written down."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pynvml  # type: ignore[import-untyped]
import pytest

from tests.nvmlsim.simulator import Simulator
from tests.unit.nvmlsim.builders import A40_INDEX, H100_INDEX, V100_INDEX, handle, only_root, refused

pytestmark = only_root


def test_a_power_limit_is_set_in_milliwatts(sim: Simulator) -> None:
    device = handle(sim, V100_INDEX)
    pynvml.nvmlDeviceSetPowerManagementLimit(device, 150_500)
    assert sim.gpu(sim.uuids[V100_INDEX]).power_limit_watts == 150.5
    assert pynvml.nvmlDeviceGetPowerManagementLimit(device) == 150_500
    assert pynvml.nvmlDeviceGetEnforcedPowerLimit(device) == 150_500
    assert sim.gpu(sim.uuids[A40_INDEX]).power_limit_watts == 300.0


def test_a_power_limit_of_the_newer_call_is_the_same(sim: Simulator) -> None:
    pynvml.nvmlDeviceSetPowerManagementLimit_v2(handle(sim, H100_INDEX), pynvml.NVML_POWER_SCOPE_GPU, 400_000)
    assert sim.gpu(sim.uuids[H100_INDEX]).power_limit_watts == 400.0


@pytest.mark.parametrize("milliwatts", [0, 99_999, 250_001, 150])
def test_a_power_limit_outside_the_range_is_refused(sim: Simulator, milliwatts: int) -> None:
    with refused(pynvml.NVML_ERROR_INVALID_ARGUMENT):
        pynvml.nvmlDeviceSetPowerManagementLimit(handle(sim, V100_INDEX), milliwatts)
    assert sim.gpu(sim.uuids[V100_INDEX]).power_limit_watts == 250.0


def test_locked_clocks_snap_to_those_that_the_board_knows(sim: Simulator) -> None:
    """1000 MHz is not one of an A40's clocks, which are 15 MHz apart; the next lower one is taken."""
    pynvml.nvmlDeviceSetGpuLockedClocks(handle(sim, A40_INDEX), 500, 1000)
    assert sim.gpu(sim.uuids[A40_INDEX]).locked_clocks_mhz == (495, 990)
    pynvml.nvmlDeviceResetGpuLockedClocks(handle(sim, A40_INDEX))
    assert sim.gpu(sim.uuids[A40_INDEX]).locked_clocks_mhz is None


@pytest.mark.parametrize(("lowest", "highest"), [(1000, 900), (100, 900), (900, 5000)])
def test_clocks_outside_the_range_are_refused(sim: Simulator, lowest: int, highest: int) -> None:
    with refused(pynvml.NVML_ERROR_INVALID_ARGUMENT):
        pynvml.nvmlDeviceSetGpuLockedClocks(handle(sim, A40_INDEX), lowest, highest)
    assert sim.gpu(sim.uuids[A40_INDEX]).locked_clocks_mhz is None


def test_memory_clocks_are_locked_and_let_go(sim: Simulator) -> None:
    device, uuid = handle(sim, A40_INDEX), sim.uuids[A40_INDEX]
    pynvml.nvmlDeviceSetMemoryLockedClocks(device, 810, 7000)
    assert sim.gpu(uuid).locked_memory_clocks_mhz == (810, 6501)
    with refused(pynvml.NVML_ERROR_INVALID_ARGUMENT):
        pynvml.nvmlDeviceSetMemoryLockedClocks(device, 9000, 9000)
    pynvml.nvmlDeviceResetMemoryLockedClocks(device)
    assert sim.gpu(uuid).locked_memory_clocks_mhz is None


def test_calls_are_written_down_in_order(sim: Simulator) -> None:
    """Who, what, with which arguments, and what came of it, refusals too."""
    device = handle(sim, A40_INDEX)
    pynvml.nvmlDeviceSetPowerManagementLimit(device, 200_000)
    with refused(pynvml.NVML_ERROR_INVALID_ARGUMENT):
        pynvml.nvmlDeviceSetPowerManagementLimit(device, 1)
    pynvml.nvmlDeviceSetGpuLockedClocks(device, 210, 1005)
    pynvml.nvmlDeviceResetGpuLockedClocks(device)
    sim.set_power_limit(sim.uuids[A40_INDEX], 250.0)
    assert [(call.name, call.arguments, call.result) for call in sim.calls()] == [
        ("nvmlDeviceSetPowerManagementLimit", (200_000,), 0),
        ("nvmlDeviceSetPowerManagementLimit", (1,), pynvml.NVML_ERROR_INVALID_ARGUMENT),
        ("nvmlDeviceSetGpuLockedClocks", (210, 1005), 0),
        ("nvmlDeviceResetGpuLockedClocks", (), 0),
    ]
    assert {(call.pid, call.uuid) for call in sim.calls()} == {(os.getpid(), sim.uuids[A40_INDEX])}
    sim.forget_calls()
    assert sim.calls() == ()


def test_the_log_keeps_the_newest_calls(sim: Simulator) -> None:
    device = handle(sim, V100_INDEX)
    for milliwatts in range(100_000, 101_030):
        pynvml.nvmlDeviceSetPowerManagementLimit(device, milliwatts)
    calls = sim.calls()
    assert len(calls) == 1024
    assert (calls[0].arguments, calls[-1].arguments) == ((100_006,), (101_029,))


@pytest.mark.parametrize(
    "change",
    [
        lambda sim, uuid: sim.set_power_limit(uuid, 140.0),
        lambda sim, uuid: sim.lock_clocks(uuid, 300, 900),
        lambda sim, uuid: sim.lock_memory_clocks(uuid, 405, 405),
    ],
)
def test_another_tool_is_seen_on_the_board_but_not_in_the_log(
    sim: Simulator, change: Callable[[Simulator, str], Any]
) -> None:
    uuid = sim.uuids[A40_INDEX]
    before = sim.gpu(uuid)
    change(sim, uuid)
    assert sim.gpu(uuid) != before
    assert sim.calls() == ()
