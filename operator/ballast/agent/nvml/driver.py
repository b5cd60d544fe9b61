"""NVIDIA's driver on this node, by NVML: the first implementation of the vendor seam (`device`).

NVML speaks milliwatts, millijoules and megahertz and refuses by codes; here everything is in base units (`nvml_values`)
and refusals are typed errors (`nvml_errors`). What must hold: a GPU is known by its UUID, because NVML's index is
another in a container than on the node, and changes when a GPU is lost; and devices die with `reopen` and `close`.

A machine without NVIDIA's driver is fine: it has no devices. A driver that was replaced under this process cannot be
opened again, since the library stays loaded; the process must start anew.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import Any

import pynvml  # type: ignore[import-untyped]  # it ships no types

from ballast.agent.device import DeviceError, DriverGone
from ballast.agent.nvml.device import NvmlDevice
from ballast.agent.nvml.errors import translated
from ballast.clock import steady_seconds

__all__ = ["NvmlDevice", "NvmlDriver"]

logger = logging.getLogger(__name__)


class NvmlDriver:
    """NVIDIA's driver on this node; without one it has no devices, and `problem` says why.

    Args:
        nvml: the module `pynvml`, or what stands for it in a test.
        is_root: whether this process may change anything.
        clock: seconds that only pass.

    Attributes:
        problem: why there is no driver; None if there is one.
    """

    def __init__(
        self,
        nvml: Any = pynvml,
        is_root: Callable[[], bool] = lambda: os.geteuid() == 0,
        clock: Callable[[], float] = steady_seconds,
    ) -> None:
        self._nvml = nvml
        self._is_root = is_root
        self._clock = clock
        self._open = False
        self._generation = 0  # how often it was shut down
        self._devices: dict[str, NvmlDevice] = {}
        self._skipped: dict[int, str] = {}
        self._version: str | None = None
        self.problem: str | None = None
        try:
            self._start()
        except DeviceError as error:
            self.problem = str(error)
            logger.info("no NVIDIA driver", extra={"problem": self.problem})

    @property
    def version(self) -> str | None:
        """Its version; None without a driver."""
        return self._version

    def devices(self) -> tuple[NvmlDevice, ...]:
        """Return the GPUs that answer now, in the driver's own order: the same objects until it is reopened.

        Raises:
            DriverGone: the driver was unloaded.
        """
        if not self._open:
            return ()
        devices = []
        for index in range(translated(self._nvml.nvmlDeviceGetCount)):
            try:
                handle = translated(self._nvml.nvmlDeviceGetHandleByIndex, index)
                uuid = translated(self._nvml.nvmlDeviceGetUUID, handle)
            except DriverGone:
                raise
            except DeviceError as error:
                self._skip(index, str(error))
            else:
                self._skipped.pop(index, None)
                devices.append(self._known(uuid, handle))
        return tuple(devices)

    def reopen(self) -> None:
        """Shut NVML down and begin anew.

        Raises:
            DriverGone: there is no driver (yet).
        """
        self.close()
        try:
            self._start()
        except DeviceError as error:
            self.problem = str(error)
            raise DriverGone(self.problem) from error

    def close(self) -> None:
        """Shut NVML down; what was set stays."""
        self._generation += 1
        self._devices.clear()
        if self._open:
            self._open = False
            try:
                translated(self._nvml.nvmlShutdown)
            except DeviceError as error:
                logger.debug("NVML did not shut down", extra={"error": str(error)})

    def _start(self) -> None:
        self._version = None
        translated(self._nvml.nvmlInit)
        self._open = True
        self._version = translated(self._nvml.nvmlSystemGetDriverVersion)
        self.problem = None

    def _known(self, uuid: str, handle: Any) -> NvmlDevice:
        """Return the GPU's object, which remembers what its board does not support."""
        device = self._devices.get(uuid)
        if device is None:
            generation = self._generation
            device = self._devices[uuid] = NvmlDevice(
                self._nvml,
                handle,
                uuid,
                is_current=lambda: self._generation == generation,
                is_root=self._is_root,
                clock=self._clock,
            )
        device.handle = handle
        return device

    def _skip(self, index: int, problem: str) -> None:
        """Say once that a GPU does not answer."""
        if self._skipped.get(index) != problem:
            self._skipped[index] = problem
            logger.warning("a GPU does not answer and is left out", extra={"index": index, "error": problem})
