"""What a GPU can do is found out by reading; nothing is set for it."""

from __future__ import annotations

from types import SimpleNamespace

import pynvml  # type: ignore[import-untyped]
import pytest

from ballast.agent.device import DeviceError, MigDevice, NoPermission, NotSupported, Range
from ballast.agent.nvml.values import model_name
from ballast.api.nodestatus import Capability
from tests.unit.agent.nvml.recorded import NO_PERMISSION, NOT_SUPPORTED, UUID, Code, RecordedNvml, device

READS = {Capability.ENERGY_COUNTER, Capability.POWER_READING}
LIMITS = READS | {Capability.POWER_LIMIT}
ALL = set(Capability)


def test_a_board_in_base_units() -> None:
    described = device(RecordedNvml()).describe()
    assert described.uuid == UUID
    assert described.model == "NVIDIA-A40"
    assert described.memory_bytes == 48 * 2**30
    assert described.power_limit_watts == Range(100, 300)
    assert described.default_power_limit_watts == 300
    assert described.clock_hertz == Range(210_000_000, 1_740_000_000)
    assert described.clocks_hertz == (210_000_000, 225_000_000, 1_710_000_000, 1_725_000_000, 1_740_000_000)
    assert described.memory_clocks_hertz == (405_000_000, 7_251_000_000)
    assert described.capabilities == ALL
    assert not described.mig_enabled


def test_gpu_clocks_are_those_of_the_highest_memory_clock() -> None:
    """With a low memory clock boards know low GPU clocks only."""
    clocks = {7251: [1740, 210], 405: [420, 210]}
    nvml = RecordedNvml(nvmlDeviceGetSupportedGraphicsClocks=lambda _, memory: clocks[memory])
    assert device(nvml).describe().clock_hertz == Range(210_000_000, 1_740_000_000)


def test_nothing_is_set() -> None:
    nvml = RecordedNvml()
    gpu = device(nvml)
    gpu.describe()
    gpu.sample()
    gpu.read_energy()
    gpu.processes()
    gpu.usage_since(0)
    gpu.power_limit_watts()
    for probe in gpu.probes().values():
        probe()
    assert all(name.startswith("nvmlDeviceGet") for name in nvml.names())


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("Tesla V100-SXM2-16GB", "Tesla-V100-SXM2-16GB"),
        ("NVIDIA A40", "NVIDIA-A40"),
        ("NVIDIA A100-SXM4-80GB", "NVIDIA-A100-SXM4-80GB"),
        ("NVIDIA H100 80GB HBM3", "NVIDIA-H100-80GB-HBM3"),
    ],
)
def test_models_are_named_as_nodes_are_labelled(name: str, label: str) -> None:
    assert model_name(name) == label


@pytest.mark.parametrize(
    ("architecture", "can"),
    [
        (pynvml.NVML_DEVICE_ARCH_PASCAL, LIMITS),
        (pynvml.NVML_DEVICE_ARCH_VOLTA, LIMITS | {Capability.LOCKED_CLOCKS}),
        (pynvml.NVML_DEVICE_ARCH_TURING, LIMITS | {Capability.LOCKED_CLOCKS}),
        (pynvml.NVML_DEVICE_ARCH_AMPERE, ALL),
        (pynvml.NVML_DEVICE_ARCH_HOPPER, ALL),
        (pynvml.NVML_DEVICE_ARCH_UNKNOWN, LIMITS),
    ],
)
def test_clocks_can_be_locked_from_volta_and_memory_clocks_from_ampere_on(
    architecture: int, can: set[Capability]
) -> None:
    assert device(RecordedNvml(nvmlDeviceGetArchitecture=architecture)).describe().capabilities == can


def test_without_root_nothing_can_be_set() -> None:
    assert device(RecordedNvml(), root=False).describe().capabilities == READS


@pytest.mark.parametrize("refusal", [NOT_SUPPORTED, NO_PERMISSION])
def test_what_a_board_does_not_tell_is_left_out(refusal: Code) -> None:
    described = device(
        RecordedNvml(
            nvmlDeviceGetPowerManagementLimitConstraints=refusal,
            nvmlDeviceGetTotalEnergyConsumption=refusal,
            nvmlDeviceGetSupportedMemoryClocks=refusal,
            nvmlDeviceGetMemoryInfo=refusal,
        )
    ).describe()
    assert described.capabilities == {Capability.POWER_READING}
    assert described.power_limit_watts is None
    assert described.clock_hertz is None
    assert described.clocks_hertz == ()
    assert described.memory_bytes is None


def test_a_setter_that_was_refused_is_no_capability_any_more() -> None:
    nvml = RecordedNvml(nvmlDeviceSetMemoryLockedClocks=NOT_SUPPORTED, nvmlDeviceSetPowerManagementLimit=NO_PERMISSION)
    gpu = device(nvml)
    assert gpu.describe().capabilities == ALL
    with pytest.raises(NotSupported):
        gpu.lock_memory_clock(405_000_000)
    with pytest.raises(NoPermission):
        gpu.set_power_limit(200)
    assert gpu.describe().capabilities == ALL - {Capability.LOCKED_MEMORY_CLOCKS, Capability.POWER_LIMIT}
    nvml.answers["nvmlDeviceSetPowerManagementLimit"] = None
    gpu.set_power_limit(200)  # it is asked all the same
    assert Capability.POWER_LIMIT in gpu.describe().capabilities


def test_a_passing_fault_gives_no_description_rather_than_a_wrong_one() -> None:
    gpu = device(RecordedNvml(nvmlDeviceGetSupportedMemoryClocks=Code(pynvml.NVML_ERROR_TIMEOUT)))
    with pytest.raises(DeviceError, match="Timeout"):
        gpu.describe()


def mig_nvml() -> RecordedNvml:
    """A GPU with seven slices, of which a device of three (number 0) and one of one (number 2) are made."""
    parts = {"part 3g": (2, 0, 3, "MIG-a"), "part 1g": (9, 1, 1, "MIG-b")}

    def part(_: str, index: int) -> str:
        if index not in {0, 2}:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        return {0: "part 3g", 2: "part 1g"}[index]

    return RecordedNvml(
        nvmlDeviceGetMigMode=[1, 1],
        nvmlDeviceGetMaxMigDeviceCount=7,
        nvmlDeviceGetMigDeviceHandleByIndex=part,
        nvmlDeviceGetUUID=lambda handle: parts[handle][3] if handle in parts else UUID,
        nvmlDeviceGetGpuInstanceId=lambda handle: parts[handle][0],
        nvmlDeviceGetComputeInstanceId=lambda handle: parts[handle][1],
        nvmlDeviceGetAttributes_v2=lambda handle: SimpleNamespace(computeInstanceSliceCount=parts[handle][2]),
        nvmlDeviceGetComputeRunningProcesses_v3=[
            SimpleNamespace(pid=11, gpuInstanceId=9, computeInstanceId=1),
            SimpleNamespace(pid=12, gpuInstanceId=2, computeInstanceId=0),
        ],
    )


def test_mig_devices_and_their_slices() -> None:
    described = device(mig_nvml()).describe()
    assert described.mig_enabled
    assert described.mig == (MigDevice("MIG-a", 3, 7), MigDevice("MIG-b", 1, 7))


@pytest.mark.parametrize("described", [True, False])
def test_processes_on_mig_devices(*, described: bool) -> None:
    gpu = device(mig_nvml())
    if described:
        gpu.describe()
    assert {process.pid: process.mig_device for process in gpu.processes()} == {11: "MIG-b", 12: "MIG-a"}
