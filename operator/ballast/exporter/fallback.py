"""What stands in while no agent tells anything: NVML where this container sees it, and a model of the CPU.

It only reads. What must hold: it counts only gaps, each from the agent's last word (or from the exporter's start) until
its next one, so that `totals` can tell what it has counted from what the agent counts; and the module `pynvml` is
loaded only if the driver's library is there, because every training pod would pay for it.

The GPUs that are visible in this container are taken for the pod's own. A GPU that is divided (MIG) is left out: nobody
tells the power of a part. All of a GPU's joules count as active: NVML alone does not tell what it would draw idle.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ballast.api.source import Component, Source
from ballast.clock import steady_seconds
from ballast.cpu_power import DEFAULT, Coefficients
from ballast.exporter.totals import Key, Pair

logger = logging.getLogger(__name__)

NVML_LIBRARY: Final = "libnvidia-ml.so.1"
MILLIS: Final = 1000
LONGEST_STEP_SECONDS: Final = 60.0
"""Power that was read longer ago says nothing about the time since."""
CPU: Final = Key(Component.CPU)


@dataclass(frozen=True, slots=True)
class Counted:
    """What a fallback has counted since it was asked last.

    Attributes:
        joules: by part of the pod.
        sources: where they come from.
        watts: power now.
        limits: power limits of GPUs, by UUID.
    """

    joules: Mapping[Key, Pair] = field(default_factory=dict)
    sources: Mapping[Key, Source] = field(default_factory=dict)
    watts: Mapping[Key, float] = field(default_factory=dict)
    limits: Mapping[str, float] = field(default_factory=dict)


class CpuEstimate:
    """Estimates the CPU's energy: what the trainer's threads draw when idle, and what its CPU time takes in addition.

    Threads are as many as the trainer asks for. Its CPU time is what it reports; where it reports none, it is taken to
    use all that it asks for. Where neither is known, there is nothing to estimate.

    Args:
        cpu_seconds: the CPU time that the trainer has reported since it began; None if none.
        millicores: what it asks for, in thousandths of a thread; 0 if that is not known.
        clock: seconds that only pass.
        coefficients: of the model.
    """

    def __init__(
        self,
        cpu_seconds: Callable[[], float | None],
        millicores: float,
        clock: Callable[[], float] = steady_seconds,
        coefficients: Coefficients = DEFAULT,
    ) -> None:
        self._cpu_seconds = cpu_seconds
        self._threads = millicores / 1000
        self._clock = clock
        self._model = coefficients
        self._active_watts = 0.0
        self.rest()

    def rest(self) -> None:
        """Count from here on."""
        self._at = self._told_at = self._clock()
        self._told = self._cpu_seconds()
        self._active_watts = 0.0

    def read(self) -> tuple[Pair, float] | None:
        """Return the joules since the last time, and watts; None if nothing is known."""
        now, told = self._clock(), self._cpu_seconds()
        if told is None and not self._threads:
            self._at = now
            return None
        seconds = now - self._at
        idle = self._model.idle_joules(self._threads, seconds)
        if told is None or self._told is None:
            active = self._model.active_joules(self._threads * seconds)
            self._active_watts = self._model.active_joules(self._threads)
            self._told_at = now
        else:
            # A smaller figure is that of another process, which began at 0.
            active = self._model.active_joules(told - self._told if told >= self._told else told)
            if told != self._told and now > self._told_at:
                self._active_watts = active / (now - self._told_at)
                self._told_at = now
            elif now - self._told_at > LONGEST_STEP_SECONDS:
                self._active_watts = 0.0
        self._at, self._told = now, told
        return Pair(active, idle), self._active_watts + self._model.idle_joules(self._threads, 1.0)


@dataclass(slots=True)
class _Gpu:
    handle: Any
    uuid: str
    at: float = 0.0
    millijoules: int | None = None
    watts: float | None = None


class NvmlMeter:
    """Counts what the visible GPUs use: by their energy counters, or else by adding up their power.

    Args:
        nvml: the module `pynvml`, or what stands for it in a test.
        clock: seconds that only pass.

    Raises:
        Exception: NVML's, if there is no driver.
    """

    def __init__(self, nvml: Any, clock: Callable[[], float] = steady_seconds) -> None:
        self._nvml = nvml
        self._clock = clock
        nvml.nvmlInit()
        self._gpus = [
            _Gpu(handle, nvml.nvmlDeviceGetUUID(handle))
            for handle in map(nvml.nvmlDeviceGetHandleByIndex, range(nvml.nvmlDeviceGetCount()))
            if not self._is_divided(handle)
        ]
        self.read()

    def __len__(self) -> int:
        return len(self._gpus)

    def read(self) -> Counted:
        """Return what was used since the last time; a GPU that does not answer is left out."""
        joules: dict[Key, Pair] = {}
        sources: dict[Key, Source] = {}
        watts: dict[Key, float] = {}
        limits: dict[str, float] = {}
        for gpu in self._gpus:
            key = Key(Component.GPU, gpu.uuid)
            found = self._read(gpu)
            if found is not None:
                joules[key], sources[key] = Pair(active=found[0]), found[1]
            if gpu.watts is not None:
                watts[key] = gpu.watts
            limit = self._ask(self._nvml.nvmlDeviceGetPowerManagementLimit, gpu)
            if limit:
                limits[gpu.uuid] = limit / MILLIS
        return Counted(joules, sources, watts, limits)

    def close(self) -> None:
        """Let go of the driver."""
        try:
            self._nvml.nvmlShutdown()
        except self._nvml.NVMLError as error:
            logger.debug("NVML did not shut down", extra={"error": str(error)})

    def _read(self, gpu: _Gpu) -> tuple[float, Source] | None:
        now, before, watts_before = self._clock(), gpu.millijoules, gpu.watts
        seconds = now - gpu.at
        gpu.at = now
        gpu.millijoules = self._ask(self._nvml.nvmlDeviceGetTotalEnergyConsumption, gpu)
        milliwatts = self._ask(self._nvml.nvmlDeviceGetPowerUsage, gpu)
        gpu.watts = None if milliwatts is None else milliwatts / MILLIS
        if gpu.millijoules is not None:
            rise = 0 if before is None else gpu.millijoules - before
            return max(rise, 0) / MILLIS, Source.COUNTER  # below zero: the driver was loaded anew
        if gpu.watts is not None and watts_before is not None and seconds <= LONGEST_STEP_SECONDS:
            return (gpu.watts + watts_before) / 2 * seconds, Source.INTEGRAL
        return None

    def _ask(self, call: Callable[[Any], Any], gpu: _Gpu) -> int | None:
        try:
            return int(call(gpu.handle))
        except self._nvml.NVMLError:
            return None

    def _is_divided(self, handle: Any) -> bool:
        try:
            return bool(self._nvml.nvmlDeviceGetMigMode(handle)[0])
        except self._nvml.NVMLError:
            return False


def visible_gpus() -> NvmlMeter | None:
    """Return a meter of the GPUs that this container sees; None if it sees none, which is the rule."""
    import ctypes

    try:
        ctypes.CDLL(NVML_LIBRARY)
    except OSError:
        return None
    try:
        import pynvml  # type: ignore[import-untyped]  # it ships no types
    except ImportError:
        logger.warning("the driver's library is here, but not the Python package nvidia-ml-py: GPUs are not metered")
        return None
    try:
        meter = NvmlMeter(pynvml)
    except pynvml.NVMLError as error:
        logger.warning("NVML does not start: GPUs are not metered", extra={"error": str(error)})
        return None
    return meter if len(meter) else None


class Fallback:
    """What counts in gaps.

    Args:
        cpu: the estimate of the CPU's energy.
        open_gpus: returns a meter of visible GPUs, or None.
    """

    def __init__(self, cpu: CpuEstimate, open_gpus: Callable[[], NvmlMeter | None] = visible_gpus) -> None:
        self._cpu = cpu
        self._open_gpus = open_gpus
        self._gpus: NvmlMeter | None = None
        self.is_counting = False

    def rest(self) -> None:
        """The agent counts: a gap, if there is one, begins now."""
        self._cpu.rest()
        if self._gpus is not None:
            self._gpus.close()
            self._gpus = None
        self.is_counting = False

    def read(self) -> Counted:
        """Return what was used since the last time, or since the gap began; of GPUs since the first time."""
        if not self.is_counting:
            self.is_counting = True
            self._gpus = self._open_gpus()
        counted = self._gpus.read() if self._gpus is not None else Counted()
        cpu = self._cpu.read()
        if cpu is None:
            return counted
        joules, watts = cpu
        return Counted(
            {**counted.joules, CPU: joules},
            {**counted.sources, CPU: Source.ESTIMATED},
            {**counted.watts, CPU: watts},
            counted.limits,
        )
