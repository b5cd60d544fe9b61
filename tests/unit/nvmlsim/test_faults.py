"""What can go wrong, as clients see it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pynvml  # type: ignore[import-untyped]

from tests.nvmlsim.faults import Fault
from tests.nvmlsim.simulator import Load, Simulator
from tests.unit.nvmlsim.builders import A40_INDEX, H100_INDEX, V100_INDEX, handle, only_root, refused


def test_a_lost_gpu_answers_no_call(sim: Simulator) -> None:
    """Others do; it is still counted, but no handle is given out."""
    lost, other, uuid = handle(sim, V100_INDEX), handle(sim, A40_INDEX), sim.uuids[V100_INDEX]
    sim.inject(uuid, Fault.lost())
    calls: list[Callable[[], Any]] = [
        lambda: pynvml.nvmlDeviceGetPowerUsage(lost),
        lambda: pynvml.nvmlDeviceGetName(lost),
        lambda: pynvml.nvmlDeviceSetPowerManagementLimit(lost, 150_000),
        lambda: pynvml.nvmlDeviceGetHandleByUUID(uuid),
        lambda: pynvml.nvmlDeviceGetHandleByIndex(V100_INDEX),
    ]
    for call in calls:
        with refused(pynvml.NVML_ERROR_GPU_IS_LOST):
            call()
    assert pynvml.nvmlDeviceGetPowerUsage(other) == 30_000
    assert pynvml.nvmlDeviceGetCount() == 4


def test_a_lost_gpu_comes_back_as_after_a_reset(sim: Simulator) -> None:
    uuid = sim.uuids[V100_INDEX]
    sim.set_power_limit(uuid, 120.0)
    sim.lock_clocks(uuid, 135, 900)
    sim.advance(1.0)
    sim.inject(uuid, Fault.lost())
    sim.clear_faults()
    board = sim.gpu(uuid)
    assert (board.lost, board.power_limit_watts, board.locked_clocks_mhz, board.energy_joules) == (
        False,
        250.0,
        None,
        0.0,
    )
    assert sim.gpu(sim.uuids[A40_INDEX]).energy_joules == 30.0
    assert pynvml.nvmlDeviceGetPowerUsage(handle(sim, V100_INDEX)) == 25_000


@only_root
def test_an_unsupported_call_befalls_only_that_call_and_gpu(sim: Simulator) -> None:
    sim.inject(sim.uuids[A40_INDEX], Fault.unsupported("nvmlDeviceSetGpuLockedClocks"))
    with refused(pynvml.NVML_ERROR_NOT_SUPPORTED):
        pynvml.nvmlDeviceSetGpuLockedClocks(handle(sim, A40_INDEX), 300, 900)
    pynvml.nvmlDeviceSetPowerManagementLimit(handle(sim, A40_INDEX), 200_000)
    pynvml.nvmlDeviceSetGpuLockedClocks(handle(sim, V100_INDEX), 300, 900)
    assert sim.gpu(sim.uuids[A40_INDEX]).locked_clocks_mhz is None
    assert sim.calls()[0].result == pynvml.NVML_ERROR_NOT_SUPPORTED


def test_a_call_fails_as_often_as_was_said(sim: Simulator) -> None:
    sim.inject(None, Fault.fails("nvmlDeviceGetName", pynvml.NVML_ERROR_UNKNOWN, times=2))
    for _ in range(2):
        with refused(pynvml.NVML_ERROR_UNKNOWN):
            pynvml.nvmlDeviceGetName(handle(sim, V100_INDEX))
    assert pynvml.nvmlDeviceGetName(handle(sim, V100_INDEX))


def test_a_name_means_its_versions_too(sim: Simulator) -> None:
    sim.inject(None, Fault.fails("nvmlDeviceGetCount", pynvml.NVML_ERROR_UNKNOWN))
    with refused(pynvml.NVML_ERROR_UNKNOWN):
        pynvml.nvmlDeviceGetCount()
    assert pynvml.nvmlSystemGetDriverVersion()


@only_root
def test_without_permission_nothing_is_set_but_all_is_read(sim: Simulator) -> None:
    device, uuid = handle(sim, A40_INDEX), sim.uuids[A40_INDEX]
    before = sim.gpu(uuid)
    sim.inject(uuid, Fault.no_permission())
    calls: list[Callable[[], Any]] = [
        lambda: pynvml.nvmlDeviceSetPowerManagementLimit(device, 200_000),
        lambda: pynvml.nvmlDeviceSetGpuLockedClocks(device, 300, 900),
        lambda: pynvml.nvmlDeviceResetGpuLockedClocks(device),
        lambda: pynvml.nvmlDeviceSetMemoryLockedClocks(device, 405, 405),
        lambda: pynvml.nvmlDeviceResetMemoryLockedClocks(device),
    ]
    for call in calls:
        with refused(pynvml.NVML_ERROR_NO_PERMISSION):
            call()
    assert sim.gpu(uuid) == before
    assert pynvml.nvmlDeviceGetPowerManagementLimit(device) == 300_000
    sim.clear_faults()
    pynvml.nvmlDeviceSetPowerManagementLimit(device, 200_000)


def test_a_counter_that_starts_anew_changes_nothing_else(sim: Simulator) -> None:
    uuid = sim.uuids[V100_INDEX]
    sim.set_load(uuid, [Load("a")])
    sim.advance(10.0)
    before, truth = sim.gpu(uuid), sim.truth(uuid)
    sim.inject(uuid, Fault.counter_reset())
    assert sim.gpu(uuid).energy_joules == 0.0
    assert sim.truth(uuid) == truth
    sim.advance(1.0)
    assert 0 < sim.gpu(uuid).energy_joules < before.energy_joules
    assert abs(sim.gpu(uuid).energy_joules - sim.gpu(uuid).watts) < 0.01
    assert sim.gpu(sim.uuids[A40_INDEX]).energy_joules == 11 * 30.0


def test_a_board_without_a_power_reading_tells_it_nowhere(sim: Simulator) -> None:
    device = handle(sim, H100_INDEX)
    sim.inject(sim.uuids[H100_INDEX], Fault.no_power_reading())
    with refused(pynvml.NVML_ERROR_NOT_SUPPORTED):
        pynvml.nvmlDeviceGetPowerUsage(device)
    fields = [pynvml.NVML_FI_DEV_POWER_AVERAGE, pynvml.NVML_FI_DEV_POWER_INSTANT]
    results = [value.nvmlReturn for value in pynvml.nvmlDeviceGetFieldValues(device, fields)]
    assert results == [pynvml.NVML_ERROR_NOT_SUPPORTED] * 2
    assert pynvml.nvmlDeviceGetTotalEnergyConsumption(device) == 0


def test_a_slow_call_takes_its_time_and_stops_nobody(sim: Simulator) -> None:
    """It sleeps without the lock: meanwhile other calls are answered and time passes."""
    device = handle(sim, V100_INDEX)
    sim.inject(sim.uuids[V100_INDEX], Fault.slow(400, call="nvmlDeviceGetPowerUsage", times=1))
    took: list[float] = []

    def call() -> None:
        began = time.monotonic()
        pynvml.nvmlDeviceGetPowerUsage(device)
        took.append(time.monotonic() - began)

    thread = threading.Thread(target=call)
    thread.start()
    for _ in range(10):
        sim.advance(0.1)
        pynvml.nvmlDeviceGetName(device)
    assert not took
    thread.join()
    assert took[0] >= 0.4
    assert sim.now_seconds == 1.0
