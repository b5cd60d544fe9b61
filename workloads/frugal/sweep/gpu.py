"""One NVIDIA GPU by NVML: what a sweep reads of it and sets on it, in watts, joules and megahertz.

What must hold: reading methods change nothing, each setter is one setting call of NVML, and NVML's refusals become
errors that say what to do. NVML tells which power limit is set, but no call reads locked clocks back. The total energy
counter is there from Volta on and moves about ten times a second.

`Gpu.simulated` marks what comes from this project's simulated NVML (``tests/nvmlsim``). That library finds its boards
by ``$NVMLSIM_STATE``, or else at one fixed path, and works nowhere else: where neither is, NVML is a real driver's.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from frugal.sweep.errors import SweepError

SIMULATION_VARIABLE = "NVMLSIM_STATE"
SIMULATION_PATH = Path("/run/nvmlsim/state")
MILLIS = 1000  # milliwatts in a watt, millijoules in a joule


def is_simulated(environ: Mapping[str, str] = os.environ, path: Path = SIMULATION_PATH) -> bool:
    """Whether NVML may be the simulated one; in doubt it is."""
    return bool(environ.get(SIMULATION_VARIABLE)) or path.exists()


class Gpu:
    """One GPU; made by `open`.

    Attributes:
        name: Its model, as NVML tells it.
        uuid: Its UUID.
        simulated: Whether it is a simulated board.
        limits_watts: The least and the greatest power limit that it takes.
        clocks_mhz: The clocks that it knows, ascending; empty if it does not tell.
    """

    def __init__(self, nvml: Any, handle: Any) -> None:
        self._nvml = nvml
        self._handle = handle
        self.simulated = is_simulated()
        with self._asked("name and UUID"):
            self.name: str = nvml.nvmlDeviceGetName(handle)
            self.uuid: str = nvml.nvmlDeviceGetUUID(handle)
        with self._asked("range of power limits"):
            least, greatest = nvml.nvmlDeviceGetPowerManagementLimitConstraints(handle)
        self.limits_watts: tuple[float, float] = (least / MILLIS, greatest / MILLIS)
        self.clocks_mhz: tuple[int, ...] = self._known_clocks()

    @classmethod
    def open(cls, which: str = "0") -> Self:
        """The GPU with this UUID, or with this index in NVML's order.

        Raises:
            SweepError: There is no driver, or no such GPU.
        """
        try:
            import pynvml  # type: ignore[import-untyped]  # it ships no types
        except ImportError as error:
            raise SweepError("the package nvidia-ml-py is not installed: pip install nvidia-ml-py") from error
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as error:
            raise SweepError(
                f"NVML does not start ({error}): this needs an NVIDIA GPU with its driver, and in a container the"
                " driver's library libnvidia-ml.so.1"
            ) from error
        try:
            if which.isdecimal():
                return cls(pynvml, pynvml.nvmlDeviceGetHandleByIndex(int(which)))
            uuid = which if which.startswith("GPU-") else f"GPU-{which}"  # torch leaves the prefix out
            return cls(pynvml, pynvml.nvmlDeviceGetHandleByUUID(uuid))
        except pynvml.NVMLError as error:
            there = pynvml.nvmlDeviceGetCount()
            raise SweepError(f"--gpu {which}: {error}: there are {there} GPUs; see nvidia-smi -L") from error

    # What it tells.

    def energy_joules(self) -> float:
        """Its total energy counter."""
        with self._asked("total energy (GPUs before Volta have no counter, and a sweep needs it)"):
            return int(self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle)) / MILLIS

    def power_limit_watts(self) -> float:
        """The power limit that is set."""
        with self._asked("power limit"):
            return int(self._nvml.nvmlDeviceGetPowerManagementLimit(self._handle)) / MILLIS

    def processes(self) -> frozenset[int]:
        """Processes that compute on it, by their numbers as the driver tells them."""
        with self._asked("processes"):
            return frozenset(one.pid for one in self._nvml.nvmlDeviceGetComputeRunningProcesses(self._handle))

    def divided(self) -> bool:
        """Whether it is divided by MIG: its parts have one power limit and one counter."""
        try:
            mode, _ = self._nvml.nvmlDeviceGetMigMode(self._handle)
        except self._nvml.NVMLError:
            return False
        return bool(mode == self._nvml.NVML_DEVICE_MIG_ENABLE)

    # What it is told.

    def set_power_limit(self, watts: float) -> None:
        """Set the power limit."""
        with self._asked(f"power limit of {watts:g} W", setting=True):
            self._nvml.nvmlDeviceSetPowerManagementLimit(self._handle, round(watts * MILLIS))

    def lock_clocks(self, highest_mhz: int) -> None:
        """Let its clock be at most ``highest_mhz``."""
        lowest = self.clocks_mhz[0] if self.clocks_mhz else highest_mhz
        with self._asked(f"clock of at most {highest_mhz} MHz", setting=True):
            self._nvml.nvmlDeviceSetGpuLockedClocks(self._handle, lowest, highest_mhz)

    def unlock_clocks(self) -> None:
        """Let it choose its clock again."""
        with self._asked("clocks without a lock", setting=True):
            self._nvml.nvmlDeviceResetGpuLockedClocks(self._handle)

    @contextmanager
    def _asked(self, what: str, *, setting: bool = False) -> Iterator[None]:
        nvml = self._nvml
        try:
            yield
        except nvml.NVMLError as error:
            verb = "does not take" if setting else "does not tell its"
            message = f"the GPU {verb} {what}: {error}"
            if error.value == nvml.NVML_ERROR_NO_PERMISSION and setting:
                message += (
                    ". Power limits and clocks are the administrator's: run frugal sweep as root (in a container as"
                    " root with CAP_SYS_ADMIN), or let --dry-run show what it would try"
                )
            raise SweepError(message) from error

    def _known_clocks(self) -> tuple[int, ...]:
        nvml = self._nvml
        try:
            memory = max(nvml.nvmlDeviceGetSupportedMemoryClocks(self._handle))
            return tuple(sorted(nvml.nvmlDeviceGetSupportedGraphicsClocks(self._handle, memory)))
        except (nvml.NVMLError, ValueError):
            return ()
