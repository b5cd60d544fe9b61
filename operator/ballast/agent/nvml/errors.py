"""What NVML refuses, as the vendor seam's errors: one call, one typed error, and what a person can do about it.

What must hold: no `NVMLError` gets past `translated`, and each code has one meaning; only "invalid argument" has two,
because NVML says so also of a value that is out of range when something is set.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pynvml  # type: ignore[import-untyped]  # it ships no types

from ballast.agent.device import DeviceError, DeviceLost, DriverGone, NoPermission, NotSupported, OutOfRange


class NothingThere(DeviceError):
    """NVML has nothing of what it was asked for: no MIG device of that number, no sample that new."""


ERRORS: Final[dict[int, type[DeviceError]]] = {
    pynvml.NVML_SUCCESS: NothingThere,  # pynvml raises it for an empty answer of nvmlDeviceGetProcessUtilization
    pynvml.NVML_ERROR_NOT_FOUND: NothingThere,
    pynvml.NVML_ERROR_NOT_SUPPORTED: NotSupported,
    pynvml.NVML_ERROR_FUNCTION_NOT_FOUND: NotSupported,
    pynvml.NVML_ERROR_DEPRECATED: NotSupported,
    pynvml.NVML_ERROR_ARGUMENT_VERSION_MISMATCH: NotSupported,
    pynvml.NVML_ERROR_VGPU_ECC_NOT_SUPPORTED: NotSupported,
    pynvml.NVML_ERROR_NO_PERMISSION: NoPermission,
    pynvml.NVML_ERROR_FREQ_NOT_SUPPORTED: OutOfRange,
    pynvml.NVML_ERROR_GPU_IS_LOST: DeviceLost,
    pynvml.NVML_ERROR_RESET_REQUIRED: DeviceLost,
    pynvml.NVML_ERROR_GPU_NOT_FOUND: DeviceLost,
    pynvml.NVML_ERROR_IRQ_ISSUE: DeviceLost,
    pynvml.NVML_ERROR_UNINITIALIZED: DriverGone,
    pynvml.NVML_ERROR_DRIVER_NOT_LOADED: DriverGone,
    pynvml.NVML_ERROR_LIBRARY_NOT_FOUND: DriverGone,
    pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH: DriverGone,
}
"""What is not here is a `DeviceError`: it may go better the next time (a timeout, no memory, unknown)."""

_REMEDIES: Final = {
    pynvml.NVML_ERROR_NO_PERMISSION: "run as root, on the node itself or in a privileged container",
    pynvml.NVML_ERROR_LIBRARY_NOT_FOUND: "install NVIDIA's driver; in a container, mount libnvidia-ml.so.1 into it",
    pynvml.NVML_ERROR_DRIVER_NOT_LOADED: "load the kernel module: modprobe nvidia",
    pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH: "the driver was replaced: restart this process, or the node",
    pynvml.NVML_ERROR_GPU_IS_LOST: "reset the GPU (nvidia-smi -r) or restart the node",
    pynvml.NVML_ERROR_RESET_REQUIRED: "reset the GPU (nvidia-smi -r)",
    pynvml.NVML_ERROR_IRQ_ISSUE: "reset the GPU (nvidia-smi -r) or restart the node",
    pynvml.NVML_ERROR_OPERATING_SYSTEM: "allow this process the device files /dev/nvidia*",
}


def translated(function: Callable[..., Any], *arguments: Any, uuid: str | None = None) -> Any:
    """Call NVML, and return its answer.

    Args:
        function: of `pynvml`.
        *arguments: of the call.
        uuid: the GPU's, for messages.

    Raises:
        DeviceError: NVML refused; which one, `ERRORS` says.
    """
    try:
        return function(*arguments)
    except pynvml.NVMLError as error:
        raise _typed(function.__name__, arguments, int(error.value), str(error), uuid) from error
    except pynvml.NVMLLibraryMismatchError as error:
        raise NotSupported(f"{function.__name__}: the driver's library is too old for it: {error}") from error


def _typed(call: str, arguments: tuple[Any, ...], code: int, text: str, uuid: str | None) -> DeviceError:
    sets = call.startswith(("nvmlDeviceSet", "nvmlDeviceReset"))
    kind = ERRORS.get(code, DeviceError)
    if code == pynvml.NVML_ERROR_INVALID_ARGUMENT and sets:
        kind = OutOfRange
    message = f"{uuid}: " if uuid else ""
    message += call
    if sets and len(arguments) > 1:  # the first is the handle
        message += f"({', '.join(str(argument) for argument in arguments[1:])})"
    message += f": {text} (NVML error {code})"
    remedy = _REMEDIES.get(code)
    return kind(f"{message}: {remedy}" if remedy else message)
