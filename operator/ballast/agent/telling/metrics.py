"""The node's metrics: what its GPUs and CPUs draw and do, and how the agent fares; read when scraped.

Labels are bounded by construction (the node's GPUs and packages, reasons): never a pod's name, because what a pod uses
is told to that pod only (G7).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from ballast.agent.device import Sample, Throttle
from ballast.agent.metering.cpu_shares import CpuShares
from ballast.agent.metering.meter_loop import MeteredGpu, Metering

PREFIX = "ballast_node"

_GPU = ("uuid", "model")
_THROTTLES = tuple(throttle for throttle in Throttle if throttle is not Throttle.IDLE)

_GAUGES: tuple[tuple[str, str, Callable[[Sample], float | None]], ...] = (
    ("gpu_power_watts", "Present power, as the board tells it", lambda sample: sample.power_watts),
    ("gpu_power_limit_watts", "Present power limit", lambda sample: sample.power_limit_watts),
    ("gpu_clock_hertz", "Present GPU clock", lambda sample: sample.clock_hertz),
    ("gpu_memory_clock_hertz", "Present memory clock", lambda sample: sample.memory_clock_hertz),
    ("gpu_temperature_celsius", "Temperature", lambda sample: sample.temperature_celsius),
    ("gpu_utilization_ratio", "Share of the time in which it computed", lambda sample: sample.utilization),
)
_COUNTERS: tuple[tuple[str, str, Callable[[MeteredGpu], float]], ...] = (
    ("gpu_energy_joules", "Energy since the agent first ran on this boot of the node", lambda gpu: gpu.joules),
    ("gpu_unattributed_joules", "Of its energy, what no pod was charged for", lambda gpu: gpu.unattributed_joules),
    ("gpu_unmetered_seconds", "Time of which its energy is not known", lambda gpu: gpu.meter.unmetered_seconds),
    (
        "gpu_counter_disagreements",
        "Windows in which its energy counter and its power disagreed",
        lambda gpu: gpu.meter.disagreements,
    ),
    ("gpu_counter_resets", "Times that its energy counter fell", lambda gpu: gpu.meter.resets),
    ("gpu_counter_stalls", "Times that its energy counter stood still under power", lambda gpu: gpu.meter.stalls),
    ("gpu_failed_reads", "Times that it could not be read", lambda gpu: gpu.failed_reads),
)


class NodeMetrics:
    """One registry per agent.

    Args:
        metering: whose figures are told.
        reapplied: how often each GPU's operating point was set again because somebody else had changed it, by UUID.
    """

    def __init__(self, metering: Metering, reapplied: Callable[[], Mapping[str, int]] = dict) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(_Node(metering, reapplied))

    def render(self) -> bytes:
        """Return the exposition text."""
        return generate_latest(self.registry)


class _Node(Collector):
    def __init__(self, metering: Metering, reapplied: Callable[[], Mapping[str, int]]) -> None:
        self._metering = metering
        self._reapplied = reapplied

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Return nothing: registering needs no reading."""
        return ()

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """Yield all families as of now."""
        gpus = list(self._metering.gpus.values())
        for name, told, of_sample in _GAUGES:
            gauge = GaugeMetricFamily(f"{PREFIX}_{name}", told, labels=_GPU)
            for gpu in gpus:
                value = of_sample(gpu.sample) if gpu.sample is not None else None
                if value is not None:
                    gauge.add_metric(_labels(gpu), value)
            yield gauge
        yield from self._states(gpus)
        for name, told, of_gpu in _COUNTERS:
            counter = CounterMetricFamily(f"{PREFIX}_{name}", told, labels=_GPU)
            for gpu in gpus:
                counter.add_metric(_labels(gpu), of_gpu(gpu))
            yield counter
        if self._metering.cpus is not None:
            yield from _cpus(self._metering.cpus)

    def _states(self, gpus: Iterable[MeteredGpu]) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        readable = GaugeMetricFamily(f"{PREFIX}_gpu_readable", "1 if it answers, else 0", labels=_GPU)
        idle = GaugeMetricFamily(f"{PREFIX}_gpu_idle_watts", "Power without load, once measured", labels=_GPU)
        throttled = GaugeMetricFamily(
            f"{PREFIX}_gpu_throttled", "1 for what holds its clocks back, else 0", labels=(*_GPU, "reason")
        )
        reapplied = CounterMetricFamily(
            f"{PREFIX}_gpu_operating_points_reapplied",
            "Times that somebody else had changed its operating point and it was set again",
            labels=_GPU,
        )
        counts = self._reapplied()
        for gpu in gpus:
            labels, sample = _labels(gpu), gpu.sample
            readable.add_metric(labels, float(sample is not None))
            if gpu.idle.measured is not None:
                idle.add_metric(labels, gpu.idle.measured)
            if sample is not None:
                for reason in _THROTTLES:
                    throttled.add_metric([*labels, reason.value], float(reason in sample.throttle))
            reapplied.add_metric(labels, counts.get(gpu.uuid, 0))
        yield from (readable, idle, throttled, reapplied)


def _cpus(cpus: CpuShares) -> Iterator[CounterMetricFamily]:
    joules = CounterMetricFamily(
        f"{PREFIX}_cpu_joules", "Energy of a CPU package since the agent began", labels=("package", "source")
    )
    dram = CounterMetricFamily(
        f"{PREFIX}_dram_joules", "Energy of a package's memory since the agent began", labels=("package", "source")
    )
    reading = cpus.reading
    if reading is not None:
        for package in reading.packages:
            labels = [str(package.index), reading.source.value]
            joules.add_metric(labels, package.joules)
            if package.dram_joules is not None:
                dram.add_metric(labels, package.dram_joules)
    yield joules
    yield dram
    yield CounterMetricFamily(
        f"{PREFIX}_cpu_unattributed_joules",
        "Of the packages' energy, what no pod was charged for",
        value=cpus.unattributed_joules,
    )
    yield CounterMetricFamily(
        f"{PREFIX}_dram_unattributed_joules",
        "Of the memory's energy, what no pod was charged for",
        value=cpus.unattributed_dram_joules,
    )


def _labels(gpu: MeteredGpu) -> list[str]:
    return [gpu.uuid, gpu.description.model]
