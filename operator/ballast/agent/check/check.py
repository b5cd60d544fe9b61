"""`ballast agent --check`: what the boards and CPUs of this node tell, tried out and compared; reading only.

What must hold: nothing is changed, whatever is found. It uses the same seam and the same meters as the agent does, so
that what works here works there. Any number of programs may use the GPUs meanwhile, the agent included.

A load is not made: run it beside a training job to see the counters under load, or without to see idle power.
"""

from __future__ import annotations

import argparse
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from statistics import median
from typing import Protocol, TextIO, TypeVar, runtime_checkable

from ballast.agent.check.report import (
    Answer,
    Course,
    CpuReport,
    GpuReport,
    PackageWatts,
    Probe,
    Report,
    as_json,
    as_text,
)
from ballast.agent.check.verdicts import Level, of_cpu, of_gpu, of_node
from ballast.agent.device import DeviceError, Driver, NoPermission, NotSupported, PowerDevice, Sample
from ballast.agent.drivers import open_driver
from ballast.agent.metering.cpu import CpuMeter, CpuReading
from ballast.agent.metering.cpu_model import CpuModel
from ballast.agent.metering.rapl import RaplPackages
from ballast.agent.settings import AgentSettings
from ballast.clock import steady_seconds

SECONDS = 5.0
PERIOD_SECONDS = 0.01
"""How often the counters are read: often enough to see when they move."""

T = TypeVar("T")


@runtime_checkable
class Probing(Protocol):
    """A device whose vendor's calls can be tried out one by one."""

    def probes(self) -> Mapping[str, Callable[[], object]]:
        """Return reading calls, by the vendor's names."""


def run_check(arguments: argparse.Namespace, out: TextIO = sys.stdout) -> int:
    """Check this node, by the agent's settings, and return the exit code.

    Args:
        arguments: of the command line: `seconds` to watch, and whether to write `json`.
        out: takes the report.
    """
    settings = AgentSettings(node_name=socket.gethostname())
    rapl = RaplPackages(settings.powercap_root)
    driver = open_driver()
    try:
        return check(
            driver,
            rapl or CpuModel(settings.proc_root),
            out,
            arguments.seconds,
            cpu_problem=rapl.problem,
            json=arguments.json,
        )
    finally:
        driver.close()


def check(
    driver: Driver,
    cpu: CpuMeter,
    out: TextIO,
    load_seconds: float = SECONDS,
    *,
    cpu_problem: str | None = None,
    json: bool = False,
    clock: Callable[[], float] = steady_seconds,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Write a report of what the node's boards and CPUs tell; changes nothing.

    Args:
        driver: of the GPUs.
        cpu: counters or model.
        out: takes the report.
        load_seconds: how long counters are watched.
        cpu_problem: why CPU energy is not all counted.
        json: whether to write JSON.
        clock: seconds that only pass.
        sleep: waits.

    Returns:
        0, or 1 if something is wrong that keeps the agent from its work.
    """
    report = examine(driver, cpu, load_seconds, cpu_problem=cpu_problem, clock=clock, sleep=sleep)
    out.write(as_json(report) if json else as_text(report))
    return int(any(verdict.level is Level.WRONG for verdict in report.all_verdicts))


def examine(
    driver: Driver,
    cpu: CpuMeter,
    seconds: float,
    *,
    cpu_problem: str | None = None,
    clock: Callable[[], float] = steady_seconds,
    sleep: Callable[[float], None] = time.sleep,
) -> Report:
    """Find out all that a report says."""
    problem: str | None = getattr(driver, "problem", None)
    devices: Sequence[PowerDevice] = ()
    try:
        devices = driver.devices()
    except DeviceError as error:
        problem = str(error)
    before = [_Look(device, clock) for device in devices]
    began = cpu.read()
    courses = watch(devices, seconds, clock, sleep)
    gpus = tuple(look.report(course) for look, course in zip(before, courses, strict=True))
    packages = _cpu_report(began, cpu.read(), cpu_problem)
    return Report(
        driver=driver.version,
        problem=problem,
        seconds=seconds,
        gpus=gpus,
        cpu=packages,
        verdicts=of_node(driver.version, problem, gpus),
    )


class _Look:
    """What one GPU tells before and after it is watched."""

    def __init__(self, device: PowerDevice, clock: Callable[[], float]) -> None:
        self._device = device
        self._problems: list[str] = []
        self._clock = clock
        self._description = self._ask(device.describe)
        self._probes = self._try_out()
        self._sample = self._ask(device.sample)
        self._processes = self._ask(device.processes)

    def report(self, course: Course) -> GpuReport:
        """Look again, and report."""
        after, processes = self._ask(self._device.sample), self._ask(self._device.processes)
        known = [found for found in (self._processes, processes) if found is not None]
        report = GpuReport(
            uuid=self._device.uuid,
            description=self._description,
            sample=after or self._sample,
            processes=len({process.pid for found in known for process in found}) if known else None,
            idle=_is_idle(self._sample, after, known),
            probes=self._probes,
            course=course,
            problem="; ".join(dict.fromkeys(self._problems)) or None,
        )
        return report.judged(of_gpu(report))

    def _ask(self, call: Callable[[], T]) -> T | None:
        try:
            return call()
        except NotSupported:
            return None
        except DeviceError as error:
            self._problems.append(str(error))
            return None

    def _try_out(self) -> tuple[Probe, ...]:
        if not isinstance(self._device, Probing):
            return ()
        return tuple(self._probe(name, call) for name, call in self._device.probes().items())

    def _probe(self, name: str, call: Callable[[], object]) -> Probe:
        before = self._clock()
        answer, text = Answer.SUPPORTED, ""
        try:
            call()
        except NotSupported as error:
            answer, text = Answer.NOT_SUPPORTED, str(error)
        except NoPermission as error:
            answer, text = Answer.NO_PERMISSION, str(error)
        except DeviceError as error:
            answer, text = Answer.FAILED, str(error)
        return Probe(name, answer, (self._clock() - before) * 1e3, text)


def watch(
    devices: Sequence[PowerDevice],
    seconds: float,
    clock: Callable[[], float] = steady_seconds,
    sleep: Callable[[float], None] = time.sleep,
) -> list[Course]:
    """Read the energy of some GPUs over and over, and return how it went, in their order."""
    readings: list[list[Sample]] = [[] for _ in devices]
    problems: dict[int, str] = {}
    end = clock() + seconds
    while True:
        for position, device in enumerate(devices):
            if position not in problems:
                try:
                    readings[position].append(device.read_energy())
                except DeviceError as error:
                    problems[position] = str(error)
        if clock() >= end:
            break
        sleep(PERIOD_SECONDS)
    return [course_of(read, problems.get(position)) for position, read in enumerate(readings)]


def course_of(readings: Sequence[Sample], problem: str | None = None) -> Course:
    """Compare the energy counter with the integral of power.

    The counter moves in steps; both are taken between the first and the last step that was seen, so that what the board
    had not told yet at the ends does not count.
    """
    watts = [reading.power_watts for reading in readings if reading.power_watts is not None]
    steps = [
        index
        for index in range(1, len(readings))
        if readings[index].energy_joules is not None
        and readings[index - 1].energy_joules is not None
        and readings[index].energy_joules != readings[index - 1].energy_joules
    ]
    first, last = (steps[0], steps[-1]) if len(steps) > 1 else (0, max(len(readings) - 1, 0))
    between = readings[first : last + 1]
    apart = [(readings[later].at - readings[sooner].at) * 1e3 for sooner, later in pairwise(steps)]
    counted = None
    if between and between[0].energy_joules is not None and between[-1].energy_joules is not None:
        counted = between[-1].energy_joules - between[0].energy_joules
    return Course(
        readings=len(readings),
        seconds=between[-1].at - between[0].at if between else 0.0,
        counter_joules=counted,
        integral_joules=integral(between),
        steps=len(steps),
        step_milliseconds=median(apart) if apart else None,
        lowest_watts=min(watts, default=None),
        highest_watts=max(watts, default=None),
        problem=problem,
    )


def integral(readings: Sequence[Sample]) -> float | None:
    """Return the integral of power in joules, by trapezoids; None if it is not told throughout."""
    joules = 0.0
    for before, after in pairwise(readings):
        if before.power_watts is None or after.power_watts is None:
            return None
        joules += (before.power_watts + after.power_watts) / 2 * (after.at - before.at)
    return joules if len(readings) > 1 else None


def _is_idle(before: Sample | None, after: Sample | None, processes: Sequence[Sequence[object]]) -> bool:
    """Whether nothing computed on the GPU, as far as it tells."""
    samples = [sample for sample in (before, after) if sample is not None]
    return bool(samples) and not any(processes) and not any(sample.utilization for sample in samples)


def _cpu_report(before: CpuReading, after: CpuReading, problem: str | None) -> CpuReport:
    seconds = after.at - before.at
    began = {package.index: package for package in before.packages}
    packages = []
    for package in after.packages:
        first = began.get(package.index, package)
        dram = None
        if package.dram_joules is not None and first.dram_joules is not None and seconds > 0:
            dram = (package.dram_joules - first.dram_joules) / seconds
        watts = (package.joules - first.joules) / seconds if seconds > 0 else 0.0
        packages.append(PackageWatts(package.index, watts, dram))
    report = CpuReport(after.source, tuple(packages), problem)
    return report.judged(of_cpu(report))
