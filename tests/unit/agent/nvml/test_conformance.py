"""What reaches NVML's library: its calls in their order, their units, and who may make them.

Read from the simulated library, below the real `pynvml`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pynvml  # type: ignore[import-untyped]
import pytest

from ballast.agent.device import DeviceError, DeviceLost, DriverGone, NoPermission, NotSupported, OutOfRange
from ballast.agent.nvml.driver import NvmlDevice
from ballast.agent.nvml.errors import NothingThere
from ballast.api.nodestatus import Capability
from tests.nvmlsim.boards import A40, A100, H100, V100
from tests.nvmlsim.faults import Fault
from tests.nvmlsim.simulator import Simulator
from tests.unit.agent.nvml.simulated import SimulatedNode

MEGA = 1_000_000
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may set anything, as on a real board")

Told = Callable[[NvmlDevice], None]
SETTERS: list[tuple[Told, str, tuple[int, ...]]] = [
    (lambda gpu: gpu.set_power_limit(187.5), "nvmlDeviceSetPowerManagementLimit", (187_500,)),
    (lambda gpu: gpu.lock_clocks(210 * MEGA, 1000 * MEGA), "nvmlDeviceSetGpuLockedClocks", (210, 990)),
    (lambda gpu: gpu.lock_memory_clock(6501 * MEGA), "nvmlDeviceSetMemoryLockedClocks", (6501, 6501)),
    (lambda gpu: gpu.unlock_memory_clock(), "nvmlDeviceResetMemoryLockedClocks", ()),
    (lambda gpu: gpu.unlock_clocks(), "nvmlDeviceResetGpuLockedClocks", ()),
]


def logged(simulator: Simulator) -> list[tuple[str, tuple[int, ...], int]]:
    return [(call.name, call.arguments, call.result) for call in simulator.calls()]


@contextmanager
def nobody() -> Iterator[None]:
    """Be an ordinary user for a while."""
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@only_root
def test_each_setter_is_one_call_in_nvml_units_and_in_this_order(node: SimulatedNode) -> None:
    simulator = node.boards(A40, A40)
    first, second = node.driver().devices()
    for told, _, _ in SETTERS:
        told(second)
    assert logged(simulator) == [(name, arguments, 0) for _, name, arguments in SETTERS]
    assert {call.uuid for call in simulator.calls()} == {second.uuid}
    assert {call.pid for call in simulator.calls()} == {os.getpid()}
    assert simulator.gpu(second.uuid).power_limit_watts == 187.5
    assert simulator.gpu(first.uuid).power_limit_watts == 300.0


@only_root
def test_what_is_set_is_what_the_board_has(node: SimulatedNode) -> None:
    simulator = node.boards(A40)
    [gpu] = node.driver().devices()
    gpu.set_power_limit(150)
    gpu.lock_clocks(300 * MEGA, 1234 * MEGA)
    gpu.lock_memory_clock(7000 * MEGA)
    assert gpu.power_limit_watts() == 150.0
    board = simulator.gpu(gpu.uuid)
    assert board.locked_clocks_mhz == (300, 1230)  # never above what was asked
    assert board.locked_memory_clocks_mhz == (6501, 6501)
    gpu.unlock_clocks()
    gpu.unlock_memory_clock()
    board = simulator.gpu(gpu.uuid)
    assert board.locked_clocks_mhz is None
    assert board.locked_memory_clocks_mhz is None


@only_root
@pytest.mark.parametrize("watts", [99.9, 300.1, 0.0])
def test_a_limit_out_of_range_is_refused_by_the_board(node: SimulatedNode, watts: float) -> None:
    simulator = node.boards(A40)
    [gpu] = node.driver().devices()
    with pytest.raises(OutOfRange, match=f"{gpu.uuid}.*{round(watts * 1000)}"):
        gpu.set_power_limit(watts)
    assert gpu.power_limit_watts() == 300.0
    assert logged(simulator) == [("nvmlDeviceSetPowerManagementLimit", (round(watts * 1000),), 2)]


@only_root
@pytest.mark.parametrize(("told", "name", "arguments"), SETTERS)
def test_who_is_not_root_may_set_nothing(
    node: SimulatedNode, told: Told, name: str, arguments: tuple[int, ...]
) -> None:
    simulator = node.boards(A40)
    [gpu] = node.driver().devices()
    with nobody():
        assert gpu.describe().capabilities == {Capability.ENERGY_COUNTER, Capability.POWER_READING}
        gpu.sample()  # reading is everybody's
        with pytest.raises(NoPermission, match="run as root"):
            told(gpu)
    assert logged(simulator) == [(name, arguments, 4)]
    assert simulator.gpu(gpu.uuid).power_limit_watts == 300.0


@only_root
@pytest.mark.parametrize(("told", "name", "arguments"), SETTERS)
def test_root_may_be_denied_too(node: SimulatedNode, told: Told, name: str, arguments: tuple[int, ...]) -> None:
    simulator = node.boards(A40)
    simulator.inject(None, Fault.no_permission())
    [gpu] = node.driver().devices()
    with pytest.raises(NoPermission):
        told(gpu)
    assert logged(simulator) == [(name, arguments, 4)]


@only_root
def test_volta_cannot_lock_its_memory_clock(node: SimulatedNode) -> None:
    node.boards(V100)
    [gpu] = node.driver().devices()
    assert Capability.LOCKED_MEMORY_CLOCKS not in gpu.describe().capabilities
    with pytest.raises(NotSupported):
        gpu.lock_memory_clock(877 * MEGA)


def test_reading_everything_sets_nothing(node: SimulatedNode) -> None:
    simulator = node.boards(V100, A40, A100, H100, mig={2: (3, 2, 1)})
    driver = node.driver()
    for gpu in driver.devices():
        gpu.describe()
        gpu.sample()
        gpu.read_energy()
        gpu.processes()
        gpu.power_limit_watts()
        for probe in gpu.probes().values():
            try:
                probe()
            except NotSupported:
                continue
    driver.reopen()
    driver.close()
    assert simulator.calls() == ()


CODES = {
    pynvml.NVML_ERROR_UNINITIALIZED: DriverGone,
    pynvml.NVML_ERROR_INVALID_ARGUMENT: DeviceError,
    pynvml.NVML_ERROR_NOT_SUPPORTED: NotSupported,
    pynvml.NVML_ERROR_NO_PERMISSION: NoPermission,
    pynvml.NVML_ERROR_NOT_FOUND: NothingThere,
    pynvml.NVML_ERROR_DRIVER_NOT_LOADED: DriverGone,
    pynvml.NVML_ERROR_TIMEOUT: DeviceError,
    pynvml.NVML_ERROR_IRQ_ISSUE: DeviceLost,
    pynvml.NVML_ERROR_FUNCTION_NOT_FOUND: NotSupported,
    pynvml.NVML_ERROR_GPU_IS_LOST: DeviceLost,
    pynvml.NVML_ERROR_RESET_REQUIRED: DeviceLost,
    pynvml.NVML_ERROR_OPERATING_SYSTEM: DeviceError,
    pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH: DriverGone,
    pynvml.NVML_ERROR_IN_USE: DeviceError,
    pynvml.NVML_ERROR_NO_DATA: DeviceError,
    pynvml.NVML_ERROR_UNKNOWN: DeviceError,
}


@pytest.mark.parametrize(("code", "error"), CODES.items())
def test_what_the_library_refuses_is_a_typed_error(node: SimulatedNode, code: int, error: type[DeviceError]) -> None:
    simulator = node.boards(A40)
    [gpu] = node.driver().devices()
    simulator.inject(gpu.uuid, Fault.fails("nvmlDeviceGetPowerManagementLimit", code))
    with pytest.raises(DeviceError) as caught:
        gpu.power_limit_watts()
    assert type(caught.value) is error
    simulator.clear_faults()
    assert gpu.power_limit_watts() == 300.0
