"""A `pynvml` that answers from a table and writes down every call: for what no simulated board does."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pynvml  # type: ignore[import-untyped]

from ballast.agent.nvml.driver import NvmlDevice, NvmlDriver

UUID = "GPU-5fd4f087-86f3-7a43-b711-4771313afc50"

A40: dict[str, Any] = {
    "nvmlInit": None,
    "nvmlShutdown": None,
    "nvmlSystemGetDriverVersion": "580.95.05",
    "nvmlDeviceGetCount": 1,
    "nvmlDeviceGetHandleByIndex": "a handle",
    "nvmlDeviceGetUUID": UUID,
    "nvmlDeviceGetName": "NVIDIA A40",
    "nvmlDeviceGetArchitecture": pynvml.NVML_DEVICE_ARCH_AMPERE,
    "nvmlDeviceGetMemoryInfo": SimpleNamespace(total=48 * 2**30),
    "nvmlDeviceGetTotalEnergyConsumption": 1_234_567,
    "nvmlDeviceGetPowerUsage": 71_500,
    "nvmlDeviceGetPowerManagementLimit": 300_000,
    "nvmlDeviceGetPowerManagementLimitConstraints": [100_000, 300_000],
    "nvmlDeviceGetPowerManagementDefaultLimit": 300_000,
    "nvmlDeviceGetSupportedMemoryClocks": [7251, 405],
    "nvmlDeviceGetSupportedGraphicsClocks": [1740, 1725, 1710, 225, 210],
    "nvmlDeviceGetClockInfo": 1725,
    "nvmlDeviceGetTemperature": 41,
    "nvmlDeviceGetUtilizationRates": SimpleNamespace(gpu=25, memory=3),
    "nvmlDeviceGetCurrentClocksEventReasons": pynvml.nvmlClocksEventReasonSwPowerCap,
    "nvmlDeviceGetCurrentClocksThrottleReasons": pynvml.nvmlClocksEventReasonGpuIdle,
    "nvmlDeviceGetComputeRunningProcesses_v3": [],
    "nvmlDeviceGetComputeRunningProcesses_v2": [],
    "nvmlDeviceGetProcessUtilization": [],
    "nvmlDeviceGetMigMode": [0, 0],
    "nvmlDeviceSetPowerManagementLimit": None,
    "nvmlDeviceSetGpuLockedClocks": None,
    "nvmlDeviceResetGpuLockedClocks": None,
    "nvmlDeviceSetMemoryLockedClocks": None,
    "nvmlDeviceResetMemoryLockedClocks": None,
}


class RecordedNvml:
    """Answers are values, error codes (`Code`), or functions of the arguments."""

    def __init__(self, **answers: Any) -> None:
        self.answers = {**A40, **answers}
        self.calls: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("NVML_"):
            return getattr(pynvml, name)
        if name not in self.answers:
            raise AttributeError(name)

        def call(*arguments: Any) -> Any:
            self.calls.append((name, *arguments))
            answer = self.answers[name]
            if isinstance(answer, Code):
                raise pynvml.NVMLError(answer.value)
            return answer(*arguments) if callable(answer) else answer

        call.__name__ = name
        self.__dict__[name] = call  # the same object each time, as in a module
        return call

    def names(self) -> list[str]:
        """Return the names of the calls so far, and forget them."""
        names = [call[0] for call in self.calls]
        self.calls.clear()
        return names


class Code:
    """An NVML error code as the answer to a call."""

    def __init__(self, value: int) -> None:
        self.value = value


NOT_SUPPORTED = Code(pynvml.NVML_ERROR_NOT_SUPPORTED)
NO_PERMISSION = Code(pynvml.NVML_ERROR_NO_PERMISSION)


def driver(nvml: RecordedNvml, *, root: bool = True, clock: Callable[[], float] = lambda: 0.0) -> NvmlDriver:
    """Open it."""
    return NvmlDriver(nvml, is_root=lambda: root, clock=clock)


def device(nvml: RecordedNvml, *, root: bool = True, clock: Callable[[], float] = lambda: 0.0) -> NvmlDevice:
    """Return its only GPU, and forget the calls that this took."""
    [only] = driver(nvml, root=root, clock=clock).devices()
    nvml.calls.clear()
    return only
