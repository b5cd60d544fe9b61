"""Every code with which NVML refuses becomes one typed error; none gets through as it is."""

from __future__ import annotations

import pynvml  # type: ignore[import-untyped]
import pytest

from ballast.agent.device import DeviceError, DeviceLost, DriverGone, NoPermission, NotSupported, OutOfRange
from tests.unit.agent.nvml.recorded import UUID, Code, RecordedNvml, device

CODES = {
    name: value for name, value in vars(pynvml).items() if name.startswith("NVML_ERROR_") and isinstance(value, int)
}
EXPECTED = {
    "NVML_ERROR_UNINITIALIZED": DriverGone,
    "NVML_ERROR_NOT_SUPPORTED": NotSupported,
    "NVML_ERROR_NO_PERMISSION": NoPermission,
    "NVML_ERROR_DRIVER_NOT_LOADED": DriverGone,
    "NVML_ERROR_IRQ_ISSUE": DeviceLost,
    "NVML_ERROR_LIBRARY_NOT_FOUND": DriverGone,
    "NVML_ERROR_FUNCTION_NOT_FOUND": NotSupported,
    "NVML_ERROR_GPU_IS_LOST": DeviceLost,
    "NVML_ERROR_RESET_REQUIRED": DeviceLost,
    "NVML_ERROR_LIB_RM_VERSION_MISMATCH": DriverGone,
    "NVML_ERROR_VGPU_ECC_NOT_SUPPORTED": NotSupported,
    "NVML_ERROR_FREQ_NOT_SUPPORTED": OutOfRange,
    "NVML_ERROR_ARGUMENT_VERSION_MISMATCH": NotSupported,
    "NVML_ERROR_DEPRECATED": NotSupported,
    "NVML_ERROR_GPU_NOT_FOUND": DeviceLost,
}


@pytest.mark.parametrize("name", sorted(CODES))
def test_a_code_has_its_error(name: str) -> None:
    gpu = device(RecordedNvml(nvmlDeviceGetPowerManagementLimit=Code(CODES[name])))
    with pytest.raises(DeviceError) as caught:
        gpu.power_limit_watts()
    error = caught.value
    expected = EXPECTED.get(name, DeviceError)
    assert type(error) is expected or (expected is DeviceError and not isinstance(error, tuple(EXPECTED.values())))
    assert str(error).startswith(f"{UUID}: nvmlDeviceGetPowerManagementLimit: ")
    assert f"(NVML error {CODES[name]})" in str(error)


def test_an_invalid_argument_of_a_setter_is_out_of_range() -> None:
    gpu = device(RecordedNvml(nvmlDeviceSetPowerManagementLimit=Code(pynvml.NVML_ERROR_INVALID_ARGUMENT)))
    with pytest.raises(OutOfRange, match=r"nvmlDeviceSetPowerManagementLimit\(500000\)"):
        gpu.set_power_limit(500)


def test_an_invalid_argument_of_a_reading_call_is_not() -> None:
    gpu = device(RecordedNvml(nvmlDeviceGetPowerManagementLimit=Code(pynvml.NVML_ERROR_INVALID_ARGUMENT)))
    with pytest.raises(DeviceError) as caught:
        gpu.power_limit_watts()
    assert type(caught.value) is DeviceError


def test_no_permission_says_what_to_do() -> None:
    gpu = device(RecordedNvml(nvmlDeviceResetGpuLockedClocks=Code(pynvml.NVML_ERROR_NO_PERMISSION)))
    with pytest.raises(NoPermission, match="run as root"):
        gpu.unlock_clocks()


def test_a_library_that_is_too_old_for_a_call_does_not_support_it() -> None:
    def too_old(*_: object) -> None:
        raise pynvml.NVMLLibraryMismatchError("use nvmlDeviceGetX_v2")

    gpu = device(RecordedNvml(nvmlDeviceGetPowerManagementLimit=too_old))
    with pytest.raises(NotSupported, match="too old"):
        gpu.power_limit_watts()
