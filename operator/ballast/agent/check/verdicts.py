"""What is right, odd or wrong with what a node tells: the verdicts of `ballast agent --check`. Pure.

What must hold: wrong is only what keeps the agent from its work or makes its figures false; all else that a person
should know is a note. Each says what was seen, and what to do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ballast.agent.check.report import Answer, CpuReport, GpuReport, Level, Verdict
from ballast.agent.device import Description, Sample, Throttle
from ballast.api.nodestatus import Capability
from ballast.api.readings import Source

__all__ = ["Level", "Verdict", "of_cpu", "of_gpu", "of_node"]

AGREEMENT_PERCENT = 5.0
"""How far counter and integral may be apart: edges of the window, and averaged power readings."""
SHORT_SECONDS = 2.0
"""Below that the edges weigh too much to compare."""
SLOW_MILLISECONDS = 50.0
USUAL_STEP_MILLISECONDS = (15.0, 250.0)
STANDSTILL_WATTS = 5.0
LARGEST_PACKAGE_WATTS = 2000.0


def of_node(driver: str | None, problem: str | None, gpus: Sequence[GpuReport]) -> tuple[Verdict, ...]:
    """Judge the node as a whole."""
    return tuple(_node(driver, problem, gpus))


def _node(driver: str | None, problem: str | None, gpus: Sequence[GpuReport]) -> Iterator[Verdict]:
    if driver is None:
        yield _note(f"no GPU driver: {problem or 'none found'}. A node without GPUs needs none.")
        return
    if problem is not None:
        yield _wrong(problem)
    if not gpus:
        yield _note(
            "the driver answers but shows no GPU: see nvidia-smi -L; in a container, is it privileged, or given all"
            " GPUs (NVIDIA_VISIBLE_DEVICES=all)?"
        )
        return
    models = sorted({gpu.description.model for gpu in gpus if gpu.description is not None})
    if len(models) > 1:
        yield _note(f"GPUs of several models ({', '.join(models)}): Ballast places no job on a node like that")
    else:
        yield _ok(f"{len(gpus)} GPU{'s' if len(gpus) > 1 else ''} of one model")


def of_gpu(gpu: GpuReport) -> tuple[Verdict, ...]:
    """Judge one GPU."""
    verdicts = list(_answers(gpu))
    if gpu.description is not None:
        verdicts += _capabilities(gpu.description, gpu)
        verdicts += _values(gpu.description, gpu.sample)
        verdicts += _counter(gpu)
    return tuple(verdicts)


def _answers(gpu: GpuReport) -> Iterator[Verdict]:
    for problem in (gpu.problem, gpu.course.problem):
        if problem is not None:
            yield _wrong(problem)
    for probe in gpu.probes:
        if probe.answer is Answer.FAILED:
            yield _wrong(probe.text)
    slow = [probe for probe in gpu.probes if probe.milliseconds > SLOW_MILLISECONDS]
    if slow:
        slowest = max(slow, key=lambda probe: probe.milliseconds)
        yield _note(
            f"{slowest.call} took {slowest.milliseconds:.0f} ms: readings come late; persistence mode"
            " (nvidia-persistenced) often helps"
        )


def _capabilities(board: Description, gpu: GpuReport) -> Iterator[Verdict]:
    can = board.capabilities
    if Capability.ENERGY_COUNTER not in can:
        if Capability.POWER_READING in can:
            yield _note("no energy counter: Ballast adds up power readings instead")
        else:
            yield _wrong("neither energy counter nor power reading: this GPU cannot be metered")
    missing = [
        what
        for what, capability in (
            ("power limit", Capability.POWER_LIMIT),
            ("GPU clocks", Capability.LOCKED_CLOCKS),
            ("memory clocks", Capability.LOCKED_MEMORY_CLOCKS),
        )
        if capability not in can
    ]
    if missing:
        denied = any(probe.answer is Answer.NO_PERMISSION for probe in gpu.probes)
        why = "not as this user: run as root" if denied or len(missing) == 3 else "the board or its driver cannot"
        yield _note(f"cannot be set: {', '.join(missing)} ({why})")
    else:
        yield _ok("power limit, GPU clocks and memory clocks can be set, as far as reading tells")


def _values(board: Description, sample: Sample | None) -> Iterator[Verdict]:
    limits = board.power_limit_watts
    if sample is None:
        return
    if limits is not None and sample.power_limit_watts is not None:
        now, default = sample.power_limit_watts, board.default_power_limit_watts
        if not limits.holds(now):
            yield _wrong(
                f"the power limit, {now:g} W, is outside the board's own range of {limits.lowest:g} to"
                f" {limits.highest:g} W: it could not be restored"
            )
        elif default is not None and abs(now - default) > 0.5:
            yield _note(
                f"the power limit, {now:g} W, is not the default, {default:g} W: somebody chose it, and it is what"
                " Ballast would restore"
            )
        else:
            yield _ok(f"the power limit, {now:g} W, is the board's default")
    if board.clock_hertz is not None and sample.clock_hertz is not None:
        if sample.clock_hertz > board.clock_hertz.highest:
            yield _note(
                f"the clock, {sample.clock_hertz / 1e6:g} MHz, is above all that the board lists: is it overclocked?"
            )
        elif Throttle.CLOCKS in sample.throttle:
            yield _note("clocks are held back by a setting: somebody locked them, or Ballast did")
    hot = sorted(throttle.value for throttle in sample.throttle & {Throttle.THERMAL, Throttle.HARDWARE})
    if hot:
        yield _note(f"slowed by {' and '.join(hot)}: look at its cooling and its power supply")


def _counter(gpu: GpuReport) -> Iterator[Verdict]:
    course = gpu.course
    if course.counter_joules is None or course.integral_joules is None:
        return
    if course.seconds < SHORT_SECONDS and course.steps > 1:
        yield _note("counter and power were watched too briefly to be compared: give --seconds 5 or more")
        return
    if course.steps < 2:
        if (course.highest_watts or 0.0) > STANDSTILL_WATTS and course.seconds >= SHORT_SECONDS:
            yield _wrong(
                f"the energy counter stood still for {course.seconds:.1f} s at {course.highest_watts:.1f} W: its joules"
                " are false"
            )
        return
    difference = course.difference_percent
    if difference is not None and abs(difference) > AGREEMENT_PERCENT:
        yield _note(
            f"counter and integral of power are {abs(difference):.1f} % apart: the load changed, or the power sensor"
            " looks only part of the time; Ballast goes by the counter"
        )
    elif difference is not None:
        yield _ok(f"counter and integral of power agree: {abs(difference):.1f} % apart")
    lowest, highest = USUAL_STEP_MILLISECONDS
    if course.step_milliseconds is not None and not lowest <= course.step_milliseconds <= highest:
        yield _note(f"the counter moves every {course.step_milliseconds:.0f} ms; about 100 ms is usual")


def of_cpu(cpu: CpuReport) -> tuple[Verdict, ...]:
    """Judge the CPUs."""
    if cpu.source is Source.ESTIMATED:
        return (_note(f"CPU energy is estimated by a model, and may be off by a factor of two: {cpu.problem}"),)
    verdicts = [] if cpu.problem is None else [_note(cpu.problem)]
    verdicts += [
        _wrong(f"CPU package {package.index} tells {package.watts:.1f} W: its counter is broken")
        for package in cpu.packages
        if not 0 < package.watts < LARGEST_PACKAGE_WATTS
    ]
    if not verdicts:
        verdicts.append(_ok("CPU energy is counted by RAPL"))
    return tuple(verdicts)


def _ok(text: str) -> Verdict:
    return Verdict(Level.OK, text)


def _note(text: str) -> Verdict:
    return Verdict(Level.NOTE, text)


def _wrong(text: str) -> Verdict:
    return Verdict(Level.WRONG, text)
