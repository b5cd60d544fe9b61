"""One NVIDIA GPU, by NVML: each method is the calls that its name says, in base units and with `device`'s errors.

What must hold:

- No reading method changes anything; each setter is exactly one setting call of NVML.
- What the board does not support is remembered until it is described again, and not asked: a refusal may take
  milliseconds. Everything else goes to the board each time.
- A handle of a driver that was shut down is not used: NVML would follow it into freed memory.

NVML tells which power limit is set, but not which clocks are locked: no call reads a lock back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from ballast.agent.device import (
    Description,
    DeviceError,
    DeviceLost,
    DriverGone,
    MigDevice,
    NoPermission,
    NotSupported,
    Process,
    ProcessUsage,
    Range,
    Sample,
)
from ballast.agent.nvml.errors import NothingThere, translated
from ballast.agent.nvml.values import MEGA, MILLIS, locked_range, model_name, throttles
from ballast.api.nodestatus import Capability

_WHOLE: Final = (0xFFFFFFFF, 0xFFFFFFFF)
"""GPU instance and compute instance of a process on a GPU that is not divided."""


class NvmlDevice:
    """One GPU; made by `NvmlDriver.devices`.

    Args:
        nvml: the module `pynvml`.
        handle: NVML's.
        uuid: its UUID.
        is_current: whether the driver was not shut down since the handle was got.
        is_root: whether this process may change anything.
        clock: seconds that only pass.

    Attributes:
        handle: NVML's; another one when the GPU was away meanwhile.
    """

    def __init__(
        self,
        nvml: Any,
        handle: Any,
        uuid: str,
        *,
        is_current: Callable[[], bool],
        is_root: Callable[[], bool],
        clock: Callable[[], float],
    ) -> None:
        self._is_current = is_current
        self._nvml = nvml
        self.handle = handle
        self._uuid = uuid
        self._is_root = is_root
        self._clock = clock
        self._unsupported: set[tuple[Any, ...]] = set()  # reading calls that the board does not know
        self._refused: set[str] = set()  # setters that it did not do, whatever the value
        self._reasons = nvml.nvmlDeviceGetCurrentClocksEventReasons
        self._running = nvml.nvmlDeviceGetComputeRunningProcesses_v3
        self._mig: dict[tuple[int, int], MigDevice] = {}  # by GPU instance and compute instance

    @property
    def uuid(self) -> str:
        """Its UUID."""
        return self._uuid

    # -- what it is

    def describe(self) -> Description:
        """Find out what it is and can do; changes nothing.

        What can be set is known without setting it from who asks (root), from the architecture (clocks can be locked
        from Volta on, memory clocks from Ampere on), from what the board tells of its limits and clocks, and from
        setters that it has refused since the driver was opened.

        Raises:
            DeviceLost: it does not answer.
            DriverGone: the driver was unloaded.
        """
        nvml = self._nvml
        self._unsupported.clear()  # tried out again
        memory = self._told(nvml.nvmlDeviceGetMemoryInfo)
        limits = self._told(nvml.nvmlDeviceGetPowerManagementLimitConstraints)
        default = self._told(nvml.nvmlDeviceGetPowerManagementDefaultLimit)
        memory_clocks, clocks = self._clocks()
        self._find_mig()
        return Description(
            uuid=self._uuid,
            model=model_name(self._call(nvml.nvmlDeviceGetName)),
            memory_bytes=None if memory is None else int(memory.total),
            capabilities=self._capabilities(limits is not None, bool(clocks), bool(memory_clocks)),
            power_limit_watts=None if limits is None else Range(limits[0] / MILLIS, limits[1] / MILLIS),
            default_power_limit_watts=None if default is None else default / MILLIS,
            clock_hertz=Range(clocks[0] * MEGA, clocks[-1] * MEGA) if clocks else None,
            clocks_hertz=tuple(clock * MEGA for clock in clocks),
            memory_clocks_hertz=tuple(clock * MEGA for clock in memory_clocks),
            mig_enabled=self._mig_enabled(),
            mig=tuple(self._mig.values()),
        )

    def _capabilities(self, has_limits: bool, has_clocks: bool, has_memory_clocks: bool) -> frozenset[Capability]:
        nvml = self._nvml
        architecture = self._told(nvml.nvmlDeviceGetArchitecture)
        if architecture is None or architecture == nvml.NVML_DEVICE_ARCH_UNKNOWN:
            architecture = -1
        can = {
            Capability.ENERGY_COUNTER: self._told(nvml.nvmlDeviceGetTotalEnergyConsumption) is not None,
            Capability.POWER_READING: self._told(nvml.nvmlDeviceGetPowerUsage) is not None,
            Capability.POWER_LIMIT: has_limits
            and self._told(nvml.nvmlDeviceGetPowerManagementLimit) is not None
            and self._may_call(nvml.nvmlDeviceSetPowerManagementLimit),
            Capability.LOCKED_CLOCKS: has_clocks
            and architecture >= nvml.NVML_DEVICE_ARCH_VOLTA
            and self._may_call(nvml.nvmlDeviceSetGpuLockedClocks),
            Capability.LOCKED_MEMORY_CLOCKS: has_memory_clocks
            and architecture >= nvml.NVML_DEVICE_ARCH_AMPERE
            and self._may_call(nvml.nvmlDeviceSetMemoryLockedClocks),
        }
        return frozenset(capability for capability, able in can.items() if able)

    def _may_call(self, setter: Callable[..., Any]) -> bool:
        return self._is_root() and setter.__name__ not in self._refused

    def _clocks(self) -> tuple[list[int], list[int]]:
        """Return the memory clocks, and the GPU clocks that go with the highest of them, in MHz and ascending."""
        memory_clocks = sorted(self._told(self._nvml.nvmlDeviceGetSupportedMemoryClocks) or ())
        if not memory_clocks:
            return [], []
        clocks = self._told(self._nvml.nvmlDeviceGetSupportedGraphicsClocks, memory_clocks[-1])
        return memory_clocks, sorted(clocks or ())

    def _mig_enabled(self) -> bool:
        modes = self._told(self._nvml.nvmlDeviceGetMigMode)
        return modes is not None and modes[0] == self._nvml.NVML_DEVICE_MIG_ENABLE

    def _find_mig(self) -> None:
        """Find the MIG devices; a whole GPU has as many compute slices as it takes of the smallest."""
        nvml, self._mig = self._nvml, {}
        if not self._mig_enabled():
            return
        slices_of_gpu = self._call(nvml.nvmlDeviceGetMaxMigDeviceCount)
        for index in range(slices_of_gpu):
            try:
                part = self._call(nvml.nvmlDeviceGetMigDeviceHandleByIndex, index)
            except NothingThere:
                continue
            gpu_instance, compute_instance = (
                translated(nvml.nvmlDeviceGetGpuInstanceId, part),
                translated(nvml.nvmlDeviceGetComputeInstanceId, part),
            )
            self._mig[gpu_instance, compute_instance] = MigDevice(
                uuid=translated(nvml.nvmlDeviceGetUUID, part),
                slices=translated(nvml.nvmlDeviceGetAttributes_v2, part).computeInstanceSliceCount,
                slices_of_gpu=slices_of_gpu,
            )

    # -- what it does

    def sample(self) -> Sample:
        """Read it once; a part that it does not tell, or not now, is None.

        Raises:
            DeviceLost: it does not answer.
            DriverGone: the driver was unloaded.
        """
        nvml = self._nvml
        at, energy, power = self._energy()
        limit = self._if_told(nvml.nvmlDeviceGetPowerManagementLimit)
        clock = self._if_told(nvml.nvmlDeviceGetClockInfo, nvml.NVML_CLOCK_GRAPHICS)
        memory_clock = self._if_told(nvml.nvmlDeviceGetClockInfo, nvml.NVML_CLOCK_MEM)
        temperature = self._if_told(nvml.nvmlDeviceGetTemperature, nvml.NVML_TEMPERATURE_GPU)
        utilization = self._if_told(nvml.nvmlDeviceGetUtilizationRates)
        return Sample(
            at=at,
            energy_joules=energy,
            power_watts=power,
            power_limit_watts=None if limit is None else limit / MILLIS,
            clock_hertz=None if clock is None else clock * MEGA,
            memory_clock_hertz=None if memory_clock is None else memory_clock * MEGA,
            temperature_celsius=None if temperature is None else float(temperature),
            utilization=None if utilization is None else utilization.gpu / 100,
            throttle=throttles(self._clock_reasons()),
        )

    def read_energy(self) -> Sample:
        """Read energy and power only: two calls.

        Raises:
            DeviceLost: it does not answer.
            DriverGone: the driver was unloaded.
        """
        at, energy, power = self._energy()
        return Sample(at=at, energy_joules=energy, power_watts=power)

    def _energy(self) -> tuple[float, float | None, float | None]:
        before = self._clock()
        energy = self._told(self._nvml.nvmlDeviceGetTotalEnergyConsumption)
        at = (before + self._clock()) / 2  # the call itself may take long
        power = self._told(self._nvml.nvmlDeviceGetPowerUsage)
        return at, None if energy is None else energy / MILLIS, None if power is None else power / MILLIS

    def _clock_reasons(self) -> int:
        nvml = self._nvml
        reasons = self._if_told(self._reasons)
        if reasons is None and self._reasons is not nvml.nvmlDeviceGetCurrentClocksThrottleReasons:
            # Drivers before 535 know the same call by its older name only.
            reasons = self._if_told(nvml.nvmlDeviceGetCurrentClocksThrottleReasons)
            if reasons is not None:
                self._reasons = nvml.nvmlDeviceGetCurrentClocksThrottleReasons
        return reasons or 0

    def processes(self) -> tuple[Process, ...]:
        """Return the processes that compute on it, by the numbers of this process's own PID namespace.

        Raises:
            DeviceError: it did not say.
        """
        try:
            found = self._call(self._running)
        except NotSupported:
            if self._running is self._nvml.nvmlDeviceGetComputeRunningProcesses_v2:
                raise
            self._running = self._nvml.nvmlDeviceGetComputeRunningProcesses_v2  # drivers before 510
            found = self._call(self._running)
        parts = {_part(process) for process in found} - {_WHOLE}
        if parts - self._mig.keys():
            self._find_mig()  # it was divided anew
        return tuple(Process(process.pid, self._mig_uuid(process)) for process in found)

    def _mig_uuid(self, process: Any) -> str | None:
        part = self._mig.get(_part(process))
        return None if part is None else part.uuid

    def usage_since(self, microseconds: int) -> tuple[ProcessUsage, ...]:
        """Return what each process used after the driver's time `microseconds`, 0 for all that it remembers.

        Raises:
            NotSupported: the board keeps no account of processes (MIG, before Maxwell).
            DeviceError: it did not say.
        """
        try:
            samples = self._call(self._nvml.nvmlDeviceGetProcessUtilization, microseconds)
        except NothingThere:
            return ()
        by_pid: dict[int, list[Any]] = {}
        for sample in samples:
            # Some drivers fill what they have no sample for with anything.
            if sample.pid and sample.timeStamp > microseconds and sample.smUtil <= 100:
                by_pid.setdefault(sample.pid, []).append(sample)
        return tuple(
            ProcessUsage(
                pid=pid,
                until_microseconds=max(sample.timeStamp for sample in used),
                utilization=sum(sample.smUtil for sample in used) / len(used) / 100,
            )
            for pid, used in by_pid.items()
        )

    # -- what it is told

    def power_limit_watts(self) -> float:
        """Return the power limit that is set now.

        Raises:
            DeviceError: it did not say.
        """
        limit: int = self._call(self._nvml.nvmlDeviceGetPowerManagementLimit)
        return limit / MILLIS

    def set_power_limit(self, watts: float) -> None:
        """Set the power limit, exact to a milliwatt.

        Raises:
            OutOfRange: the board does not take it.
            DeviceError: it refused otherwise.
        """
        self._set(self._nvml.nvmlDeviceSetPowerManagementLimit, round(watts * MILLIS))

    def lock_clocks(self, lowest_hertz: int, highest_hertz: int) -> None:
        """Keep the GPU clock within a range: of clocks that the GPU knows, and never above `highest_hertz`.

        Raises:
            OutOfRange: the range is below all clocks that the GPU knows, or empty.
            DeviceError: it refused otherwise.
        """
        _, clocks = self._clocks()
        self._set(self._nvml.nvmlDeviceSetGpuLockedClocks, *locked_range(clocks, lowest_hertz, highest_hertz))

    def unlock_clocks(self) -> None:
        """Let the GPU choose its clock again.

        Raises:
            DeviceError: it refused.
        """
        self._set(self._nvml.nvmlDeviceResetGpuLockedClocks)

    def lock_memory_clock(self, hertz: int) -> None:
        """Keep the memory clock: the highest that the GPU knows and that is not above `hertz`.

        Raises:
            OutOfRange: the GPU knows no memory clock so low.
            DeviceError: it refused otherwise.
        """
        clocks, _ = self._clocks()
        _, clock = locked_range(clocks, hertz, hertz)
        self._set(self._nvml.nvmlDeviceSetMemoryLockedClocks, clock, clock)

    def unlock_memory_clock(self) -> None:
        """Let the GPU choose its memory clock again.

        Raises:
            DeviceError: it refused.
        """
        self._set(self._nvml.nvmlDeviceResetMemoryLockedClocks)

    # -- how it is asked

    def probes(self) -> Mapping[str, Callable[[], object]]:
        """Return each reading call that Ballast makes of the board, by NVML's name, to be tried out one by one."""
        nvml = self._nvml
        calls: tuple[tuple[Callable[..., Any], tuple[Any, ...]], ...] = (
            (nvml.nvmlDeviceGetName, ()),
            (nvml.nvmlDeviceGetArchitecture, ()),
            (nvml.nvmlDeviceGetMemoryInfo, ()),
            (nvml.nvmlDeviceGetTotalEnergyConsumption, ()),
            (nvml.nvmlDeviceGetPowerUsage, ()),
            (nvml.nvmlDeviceGetPowerManagementLimit, ()),
            (nvml.nvmlDeviceGetPowerManagementLimitConstraints, ()),
            (nvml.nvmlDeviceGetPowerManagementDefaultLimit, ()),
            (nvml.nvmlDeviceGetSupportedMemoryClocks, ()),
            (nvml.nvmlDeviceGetClockInfo, (nvml.NVML_CLOCK_GRAPHICS,)),
            (nvml.nvmlDeviceGetTemperature, (nvml.NVML_TEMPERATURE_GPU,)),
            (nvml.nvmlDeviceGetUtilizationRates, ()),
            (nvml.nvmlDeviceGetCurrentClocksEventReasons, ()),
            (nvml.nvmlDeviceGetComputeRunningProcesses_v3, ()),
            (nvml.nvmlDeviceGetProcessUtilization, (0,)),
            (nvml.nvmlDeviceGetMigMode, ()),
        )
        return {function.__name__: partial(self._try_out, function, *arguments) for function, arguments in calls}

    def _try_out(self, function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return self._call(function, *arguments)
        except NothingThere:
            return None  # which is an answer

    def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        if not self._is_current():
            raise DriverGone(f"{self._uuid}: the driver was opened anew: ask it for its devices again")
        return translated(function, self.handle, *arguments, uuid=self._uuid)

    def _told(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return the answer, or None if the board does not tell."""
        key = (function.__name__, *arguments)
        if key in self._unsupported:
            return None
        try:
            return self._call(function, *arguments)
        except NotSupported:
            self._unsupported.add(key)
        except NoPermission:
            pass
        return None

    def _if_told(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return the answer, or None if there is none now; energy and power do not depend on it."""
        try:
            return self._told(function, *arguments)
        except (DeviceLost, DriverGone):
            raise
        except DeviceError:
            return None

    def _set(self, function: Callable[..., Any], *values: int) -> None:
        try:
            self._call(function, *values)
        except (NotSupported, NoPermission):
            self._refused.add(function.__name__)
            raise
        self._refused.discard(function.__name__)


def _part(process: Any) -> tuple[int, int]:
    return process.gpuInstanceId, process.computeInstanceId
