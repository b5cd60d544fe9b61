"""What a board is, as `pynvml` tells it."""

from __future__ import annotations

import ctypes

import pynvml  # type: ignore[import-untyped]
import pytest

from tests.nvmlsim.boards import A40, A100, H100, V100
from tests.nvmlsim.simulator import Load, Simulator
from tests.unit.nvmlsim.builders import A40_INDEX, A100_INDEX, H100_INDEX, V100_INDEX, handle, refused

MODELS = [V100, A40, A100, H100]


def test_the_system_tells_its_versions(sim: Simulator) -> None:
    assert pynvml.nvmlSystemGetDriverVersion() == "580.95.05"
    assert pynvml.nvmlSystemGetNVMLVersion() == "13.580.95.05"
    assert pynvml.nvmlSystemGetCudaDriverVersion_v2() == pynvml.nvmlSystemGetCudaDriverVersion() == 13000
    assert pynvml.nvmlDeviceGetCount() == len(sim.uuids) == 4


@pytest.mark.parametrize("index", range(4))
def test_every_board_is_found_by_index_and_by_uuid(sim: Simulator, index: int) -> None:
    device = pynvml.nvmlDeviceGetHandleByIndex(index)
    assert pynvml.nvmlDeviceGetUUID(device) == sim.uuids[index]
    assert pynvml.nvmlDeviceGetIndex(handle(sim, index)) == index
    assert pynvml.nvmlDeviceGetMinorNumber(device) == index
    assert sim.uuids[index].startswith("GPU-")
    assert len(sim.uuids[index]) == 40


@pytest.mark.parametrize("index", range(4))
def test_a_board_tells_its_datasheet(sim: Simulator, index: int) -> None:
    device, model = handle(sim, index), MODELS[index]
    assert pynvml.nvmlDeviceGetName(device) == model.name
    assert pynvml.nvmlDeviceGetArchitecture(device) == model.architecture
    assert pynvml.nvmlDeviceGetCudaComputeCapability(device) == model.compute_capability
    assert pynvml.nvmlDeviceGetMemoryInfo(device).total == model.memory_bytes
    assert pynvml.nvmlDeviceGetMemoryInfo(device, pynvml.nvmlMemory_v2).total == model.memory_bytes
    limits = [round(model.min_limit_watts * 1000), round(model.max_limit_watts * 1000)]
    assert pynvml.nvmlDeviceGetPowerManagementLimitConstraints(device) == limits
    assert pynvml.nvmlDeviceGetPowerManagementDefaultLimit(device) == model.default_limit_watts * 1000
    assert pynvml.nvmlDeviceGetPowerManagementLimit(device) == model.default_limit_watts * 1000
    assert pynvml.nvmlDeviceGetEnforcedPowerLimit(device) == model.default_limit_watts * 1000
    assert pynvml.nvmlDeviceGetPowerManagementMode(device) == pynvml.NVML_FEATURE_ENABLED
    assert pynvml.nvmlDeviceGetPersistenceMode(device) == pynvml.NVML_FEATURE_ENABLED


def test_pci_addresses_differ(sim: Simulator) -> None:
    addresses = {pynvml.nvmlDeviceGetPciInfo(handle(sim, index)).busId for index in range(4)}
    assert len(addresses) == 4


@pytest.mark.parametrize("index", range(4))
def test_supported_clocks_come_highest_first(sim: Simulator, index: int) -> None:
    device, model = handle(sim, index), MODELS[index]
    memory = pynvml.nvmlDeviceGetSupportedMemoryClocks(device)
    assert tuple(reversed(memory)) == model.memory_clocks_mhz
    clocks = pynvml.nvmlDeviceGetSupportedGraphicsClocks(device, memory[0])
    assert tuple(reversed(clocks)) == model.clocks_mhz
    assert pynvml.nvmlDeviceGetMaxClockInfo(device, pynvml.NVML_CLOCK_SM) == clocks[0]
    assert pynvml.nvmlDeviceGetMaxCustomerBoostClock(device, pynvml.NVML_CLOCK_GRAPHICS) == clocks[0]
    assert pynvml.nvmlDeviceGetMaxClockInfo(device, pynvml.NVML_CLOCK_MEM) == memory[0]
    with refused(pynvml.NVML_ERROR_NOT_FOUND):
        pynvml.nvmlDeviceGetSupportedGraphicsClocks(device, 1)


def test_present_clocks_are_told_in_two_ways(sim: Simulator) -> None:
    device = handle(sim, A40_INDEX)
    for kind in (pynvml.NVML_CLOCK_SM, pynvml.NVML_CLOCK_MEM):
        present = pynvml.nvmlDeviceGetClockInfo(device, kind)
        assert pynvml.nvmlDeviceGetClock(device, kind, pynvml.NVML_CLOCK_ID_CURRENT) == present
    with refused(pynvml.NVML_ERROR_NOT_SUPPORTED):
        pynvml.nvmlDeviceGetClock(device, pynvml.NVML_CLOCK_SM, pynvml.NVML_CLOCK_ID_APP_CLOCK_TARGET)


def test_temperature_is_told_in_two_ways(sim: Simulator) -> None:
    device = handle(sim, V100_INDEX)
    assert pynvml.nvmlDeviceGetTemperature(device, pynvml.NVML_TEMPERATURE_GPU) == 30
    assert pynvml.nvmlDeviceGetTemperatureV(device, pynvml.NVML_TEMPERATURE_GPU) == 30


def test_processes_are_those_of_the_loads(sim: Simulator) -> None:
    sim.set_load(sim.uuids[A40_INDEX], [Load("a", pids=(11, 12)), Load("b", pids=(13,), memory_bytes=2**20)])
    processes = pynvml.nvmlDeviceGetComputeRunningProcesses(handle(sim, A40_INDEX))
    assert {process.pid: process.usedGpuMemory for process in processes} == {11: 2**31, 12: 2**31, 13: 2**20}
    assert pynvml.nvmlDeviceGetMemoryInfo(handle(sim, A40_INDEX)).used == 2**32 + 2**20
    assert pynvml.nvmlDeviceGetGraphicsRunningProcesses(handle(sim, A40_INDEX)) == []
    assert pynvml.nvmlDeviceGetMPSComputeRunningProcesses(handle(sim, A40_INDEX)) == []
    assert pynvml.nvmlDeviceGetComputeRunningProcesses(handle(sim, V100_INDEX)) == []


def test_a_board_that_is_not_there_is_refused(sim: Simulator) -> None:
    with refused(pynvml.NVML_ERROR_INVALID_ARGUMENT):
        pynvml.nvmlDeviceGetHandleByIndex(4)
    with refused(pynvml.NVML_ERROR_NOT_FOUND):
        pynvml.nvmlDeviceGetHandleByUUID("GPU-00000000-0000-0000-0000-000000000000")


def test_a_handle_that_nobody_gave_out_is_refused(sim: Simulator) -> None:
    nowhere = pynvml.c_nvmlDevice_t(pynvml.struct_c_nvmlDevice_t())
    with refused(pynvml.NVML_ERROR_INVALID_ARGUMENT):
        pynvml.nvmlDeviceGetPowerUsage(nowhere)


def test_a_buffer_that_is_too_small_is_told(sim: Simulator) -> None:
    """The library writes nothing past its end."""
    get_name = pynvml.nvmlLib.nvmlDeviceGetName
    buffer = ctypes.create_string_buffer(b"untouched")
    assert get_name(handle(sim, V100_INDEX), buffer, 4) == pynvml.NVML_ERROR_INSUFFICIENT_SIZE
    assert buffer.value == b"untouched"


def test_a_struct_of_another_version_is_refused(sim: Simulator) -> None:
    with refused(pynvml.NVML_ERROR_ARGUMENT_VERSION_MISMATCH):
        pynvml.nvmlDeviceGetMemoryInfo(handle(sim, H100_INDEX), 0x01000028)


def test_errors_have_their_texts(sim: Simulator) -> None:
    assert pynvml.nvmlErrorString(pynvml.NVML_ERROR_NO_PERMISSION) == "Insufficient Permissions"
    assert pynvml.nvmlErrorString(pynvml.NVML_ERROR_GPU_IS_LOST) == "GPU is lost"
    assert pynvml.nvmlErrorString(12345) == "Unknown Error"


def test_older_boards_cannot_do_what_newer_ones_can(sim: Simulator) -> None:
    """The V100 locks no memory clocks; it and the A40 know no MIG."""
    with refused(pynvml.NVML_ERROR_NOT_SUPPORTED):
        pynvml.nvmlDeviceSetMemoryLockedClocks(handle(sim, V100_INDEX), 877, 877)
    for index in (V100_INDEX, A40_INDEX):
        with refused(pynvml.NVML_ERROR_NOT_SUPPORTED):
            pynvml.nvmlDeviceGetMigMode(handle(sim, index))
        assert pynvml.nvmlDeviceGetMaxMigDeviceCount(handle(sim, index)) == 0
    assert pynvml.nvmlDeviceGetMigMode(handle(sim, A100_INDEX)) == [1, 1]
    assert pynvml.nvmlDeviceGetMigMode(handle(sim, H100_INDEX)) == [0, 0]
