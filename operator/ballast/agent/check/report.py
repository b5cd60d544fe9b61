"""The report of `ballast agent --check`: its parts, and how people and programs read them. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from ballast.agent.device import Description, Sample
from ballast.api.readings import Source


class Level(StrEnum):
    """How much a verdict matters."""

    OK = "ok"
    NOTE = "note"
    WRONG = "WRONG"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One finding."""

    level: Level
    text: str


class Answer(StrEnum):
    """What a board says to a call."""

    SUPPORTED = "supported"
    NOT_SUPPORTED = "not supported"
    NO_PERMISSION = "no permission"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Probe:
    """One call that was tried out, and how long it took; `text` is the error if it failed."""

    call: str
    answer: Answer
    milliseconds: float
    text: str = ""


@dataclass(frozen=True, slots=True)
class Course:
    """How a GPU's energy went while it was watched.

    Attributes:
        readings: how many were taken.
        seconds: between the first and the last step of the counter that were seen, as all joules here.
        counter_joules: by the energy counter; None without one.
        integral_joules: by power readings; None without them.
        steps: how often the counter was seen to move.
        step_milliseconds: from one step to the next, the median.
        problem: why it was not watched to the end.
    """

    readings: int
    seconds: float
    counter_joules: float | None
    integral_joules: float | None
    steps: int
    step_milliseconds: float | None
    lowest_watts: float | None
    highest_watts: float | None
    problem: str | None = None

    @property
    def difference_percent(self) -> float | None:
        """How much more the integral has than the counter."""
        if not self.counter_joules or self.integral_joules is None:
            return None
        return (self.integral_joules / self.counter_joules - 1) * 100

    @property
    def mean_watts(self) -> float | None:
        """By the counter if there is one, else by power readings."""
        joules = self.counter_joules if self.counter_joules else self.integral_joules
        return None if joules is None or self.seconds <= 0 else joules / self.seconds


@dataclass(frozen=True, slots=True)
class GpuReport:
    """One GPU.

    Attributes:
        description: None if it did not answer.
        sample: the newest.
        processes: how many computed on it; None if it does not tell.
        idle: whether nothing ran on it.
    """

    uuid: str
    description: Description | None
    sample: Sample | None
    processes: int | None
    idle: bool
    probes: tuple[Probe, ...]
    course: Course
    problem: str | None = None
    verdicts: tuple[Verdict, ...] = ()

    def judged(self, verdicts: tuple[Verdict, ...]) -> GpuReport:
        """Return it with verdicts."""
        return replace(self, verdicts=verdicts)


@dataclass(frozen=True, slots=True)
class PackageWatts:
    """Mean power of a CPU package and of its memory while it was watched."""

    index: int
    watts: float
    dram_watts: float | None


@dataclass(frozen=True, slots=True)
class CpuReport:
    """The CPUs."""

    source: Source
    packages: tuple[PackageWatts, ...]
    problem: str | None = None
    verdicts: tuple[Verdict, ...] = ()

    def judged(self, verdicts: tuple[Verdict, ...]) -> CpuReport:
        """Return it with verdicts."""
        return replace(self, verdicts=verdicts)


@dataclass(frozen=True, slots=True)
class Report:
    """The node."""

    driver: str | None
    problem: str | None
    seconds: float
    gpus: tuple[GpuReport, ...]
    cpu: CpuReport
    verdicts: tuple[Verdict, ...]

    @property
    def all_verdicts(self) -> tuple[Verdict, ...]:
        """Of the node, its GPUs and its CPUs."""
        return (*self.verdicts, *(verdict for gpu in self.gpus for verdict in gpu.verdicts), *self.cpu.verdicts)


def as_json(report: Report) -> str:
    """Return it for programs: base units, as the fields are named."""
    content = asdict(report)
    for gpu, shown in zip(report.gpus, content["gpus"], strict=True):
        shown["course"]["difference_percent"] = gpu.course.difference_percent
        shown["course"]["mean_watts"] = gpu.course.mean_watts
    return json.dumps(content, indent=2, default=_sorted) + "\n"


def _sorted(value: Any) -> list[Any]:
    if isinstance(value, frozenset):
        return sorted(value)
    raise TypeError(f"{value!r} has no form in JSON")


def as_text(report: Report) -> str:
    """Return it for people."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    yield "Ballast agent check: this only reads, nothing is changed."
    yield ""
    yield _line("driver", report.driver or "none")
    yield from _verdicts(report.verdicts)
    for number, gpu in enumerate(report.gpus, 1):
        yield ""
        yield from _gpu_lines(number, len(report.gpus), gpu)
    yield ""
    yield from _cpu_lines(report.cpu)
    yield ""
    wrong = sum(verdict.level is Level.WRONG for verdict in report.all_verdicts)
    notes = sum(verdict.level is Level.NOTE for verdict in report.all_verdicts)
    yield f"{wrong or 'nothing'} wrong, {notes or 'no'} note{'' if notes == 1 else 's'}"


def _gpu_lines(number: int, count: int, gpu: GpuReport) -> Iterator[str]:
    board = gpu.description
    yield f"GPU {number} of {count}: {board.model if board else 'does not answer'}, {gpu.uuid}"
    if board is not None:
        yield from _board_lines(board, gpu.sample)
    if gpu.sample is not None:
        yield _line("now", _now(gpu))
    yield from _course_lines(gpu)
    for probe in gpu.probes:
        text = probe.text.removeprefix(f"{gpu.uuid}: {probe.call}: ")
        yield f"  {probe.call:44} {probe.answer:13} {probe.milliseconds:8.2f} ms  {text}".rstrip()
    yield from _verdicts(gpu.verdicts)


def _board_lines(board: Description, sample: Sample | None) -> Iterator[str]:
    if board.memory_bytes is not None:
        yield _line("memory", f"{board.memory_bytes / 2**30:.1f} GiB")
    limits = board.power_limit_watts
    if limits is not None:
        now = sample.power_limit_watts if sample else None
        yield _line(
            "power limit",
            f"{_watts(now)} now, {_watts(board.default_power_limit_watts)} default,"
            f" {limits.lowest:g} to {limits.highest:g} W can be set",
        )
    if board.clock_hertz is not None:
        clocks = f"{board.clock_hertz.lowest / 1e6:g} to {board.clock_hertz.highest / 1e6:g} MHz"
        yield _line("clocks", f"{clocks} in {len(board.clocks_hertz)} steps")
    if board.memory_clocks_hertz:
        yield _line("memory clocks", ", ".join(f"{hertz / 1e6:g}" for hertz in board.memory_clocks_hertz) + " MHz")
    parts = ", ".join(f"{part.uuid} ({part.slices} of {part.slices_of_gpu} slices)" for part in board.mig)
    yield _line("MIG", f"on: {parts or 'no devices'}" if board.mig_enabled else "off")
    yield _line("can", ", ".join(sorted(board.capabilities)) or "nothing")


def _now(gpu: GpuReport) -> str:
    sample = gpu.sample
    if sample is None:
        return "unknown"
    parts = [_watts(sample.power_watts)]
    if sample.clock_hertz is not None:
        parts.append(f"{sample.clock_hertz / 1e6:g} MHz")
    if sample.temperature_celsius is not None:
        parts.append(f"{sample.temperature_celsius:g} °C")
    if sample.utilization is not None:
        parts.append(f"{sample.utilization * 100:.0f} % busy")
    if gpu.processes is not None:
        parts.append(f"{gpu.processes} process{'' if gpu.processes == 1 else 'es'}")
    if sample.throttle:
        parts.append(f"held back by {', '.join(sorted(sample.throttle))}")
    return ", ".join(parts)


def _course_lines(gpu: GpuReport) -> Iterator[str]:
    course = gpu.course
    if course.mean_watts is not None:
        yield _line(
            "idle power" if gpu.idle else "power",
            f"{course.mean_watts:.1f} W over {course.seconds:.1f} s"
            f" (readings {_watts(course.lowest_watts)} to {_watts(course.highest_watts)})",
        )
    if course.counter_joules is not None:
        step = "never moved" if course.step_milliseconds is None else f"moves every {course.step_milliseconds:.0f} ms"
        yield _line("energy counter", f"{course.counter_joules:.1f} J, {step} ({course.steps} of {course.readings})")
    if course.integral_joules is not None:
        apart = "" if course.difference_percent is None else f", {course.difference_percent:+.1f} % to the counter"
        yield _line("power, added up", f"{course.integral_joules:.1f} J{apart}")


def _cpu_lines(cpu: CpuReport) -> Iterator[str]:
    how = "estimated by a model" if cpu.source is Source.ESTIMATED else "counted by RAPL"
    yield f"CPU: {len(cpu.packages)} package{'' if len(cpu.packages) == 1 else 's'}, {how}"
    for package in cpu.packages:
        dram = "" if package.dram_watts is None else f", its memory {package.dram_watts:.1f} W"
        yield _line(f"package {package.index}", f"{package.watts:.1f} W{dram}")
    yield from _verdicts(cpu.verdicts)


def _verdicts(verdicts: tuple[Verdict, ...]) -> Iterator[str]:
    for verdict in verdicts:
        yield f"  {verdict.level:6} {verdict.text}"


def _line(name: str, text: str) -> str:
    return f"  {name:16} {text}"


def _watts(watts: float | None) -> str:
    return "?" if watts is None else f"{watts:.1f} W"
