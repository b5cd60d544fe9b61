"""Wrong is what keeps the agent from its work; what is only odd is a note."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ballast.agent.check.report import Answer, Course, CpuReport, GpuReport, Level, PackageWatts, Probe
from ballast.agent.check.verdicts import of_cpu, of_gpu, of_node
from ballast.agent.device import Description, Range, Sample, Throttle
from ballast.api.nodestatus import Capability
from ballast.api.readings import Source

BOARD = Description(
    uuid="GPU-1",
    model="NVIDIA-A40",
    memory_bytes=48 * 2**30,
    capabilities=frozenset(Capability),
    power_limit_watts=Range(100, 300),
    default_power_limit_watts=300.0,
    clock_hertz=Range(210e6, 1740e6),
)
SAMPLE = Sample(at=5.0, power_watts=70.0, power_limit_watts=300.0, clock_hertz=1_700_000_000)
COURSE = Course(500, 4.9, 350.0, 352.0, 49, 100.0, 70.0, 72.0)
GPU = GpuReport("GPU-1", BOARD, SAMPLE, 1, idle=False, probes=(), course=COURSE)


def levels(gpu: GpuReport) -> set[Level]:
    return {verdict.level for verdict in of_gpu(gpu)}


def texts(gpu: GpuReport, level: Level) -> str:
    return "\n".join(verdict.text for verdict in of_gpu(gpu) if verdict.level is level)


def test_a_gpu_as_it_should_be() -> None:
    assert levels(GPU) == {Level.OK}


@pytest.mark.parametrize(
    ("course", "level", "text"),
    [
        (replace(COURSE, integral_joules=400.0), Level.NOTE, "14.3 % apart"),
        (replace(COURSE, integral_joules=300.0), Level.NOTE, "14.3 % apart"),
        (replace(COURSE, counter_joules=0.0, steps=0, step_milliseconds=None), Level.WRONG, "stood still"),
        (replace(COURSE, step_milliseconds=1000.0), Level.NOTE, "every 1000 ms"),
        (replace(COURSE, seconds=0.5, integral_joules=400.0), Level.NOTE, "too briefly"),
        (replace(COURSE, problem="GPU-1: GPU is lost"), Level.WRONG, "GPU is lost"),
    ],
)
def test_what_the_counter_does(course: Course, level: Level, text: str) -> None:
    assert text in texts(replace(GPU, course=course), level)


def test_a_counter_that_stands_still_without_power_is_no_error() -> None:
    asleep = replace(COURSE, counter_joules=0.0, steps=0, step_milliseconds=None, highest_watts=0.0)
    assert levels(replace(GPU, course=asleep)) == {Level.OK}


@pytest.mark.parametrize(
    ("sample", "level", "text"),
    [
        (replace(SAMPLE, power_limit_watts=350.0), Level.WRONG, "outside the board's own range"),
        (replace(SAMPLE, power_limit_watts=250.0), Level.NOTE, "it is what Ballast would restore"),
        (replace(SAMPLE, clock_hertz=1_900_000_000), Level.NOTE, "overclocked"),
        (replace(SAMPLE, throttle=frozenset({Throttle.CLOCKS})), Level.NOTE, "locked"),
        (replace(SAMPLE, throttle=frozenset({Throttle.THERMAL})), Level.NOTE, "cooling"),
    ],
)
def test_what_is_set_and_what_holds_it_back(sample: Sample, level: Level, text: str) -> None:
    assert text in texts(replace(GPU, sample=sample), level)


@pytest.mark.parametrize(
    ("missing", "level", "text"),
    [
        ({Capability.ENERGY_COUNTER}, Level.NOTE, "adds up power readings"),
        ({Capability.ENERGY_COUNTER, Capability.POWER_READING}, Level.WRONG, "cannot be metered"),
        ({Capability.LOCKED_MEMORY_CLOCKS}, Level.NOTE, "memory clocks (the board or its driver cannot)"),
        (
            {Capability.LOCKED_MEMORY_CLOCKS, Capability.LOCKED_CLOCKS, Capability.POWER_LIMIT},
            Level.NOTE,
            "power limit, GPU clocks, memory clocks (not as this user: run as root)",
        ),
    ],
)
def test_what_it_cannot(missing: set[Capability], level: Level, text: str) -> None:
    board = replace(BOARD, capabilities=frozenset(Capability) - missing)
    assert text in texts(replace(GPU, description=board), level)


def test_a_call_that_fails_is_wrong_and_one_that_is_not_supported_is_not() -> None:
    probes = (Probe("a", Answer.NOT_SUPPORTED, 0.1, "a: no"), Probe("b", Answer.FAILED, 0.1, "b: Unknown Error"))
    assert texts(replace(GPU, probes=probes), Level.WRONG) == "b: Unknown Error"


def test_nodes_of_several_models_are_noted() -> None:
    other = replace(GPU, uuid="GPU-2", description=replace(BOARD, model="NVIDIA-A100-SXM4-80GB"))
    [verdict] = of_node("580", None, [GPU, other])
    assert verdict.level is Level.NOTE
    assert "NVIDIA-A100-SXM4-80GB, NVIDIA-A40" in verdict.text
    [verdict] = of_node("580", None, [GPU, GPU])
    assert verdict.level is Level.OK


def test_a_driver_without_gpus_says_where_to_look() -> None:
    [verdict] = of_node("580", None, [])
    assert "nvidia-smi -L" in verdict.text


def test_a_driver_that_broke_is_wrong() -> None:
    assert of_node("580", "nvmlDeviceGetCount: Uninitialized", [])[0].level is Level.WRONG


@pytest.mark.parametrize(
    ("cpu", "level"),
    [
        (CpuReport(Source.COUNTER, (PackageWatts(0, 80.0, 5.0),)), Level.OK),
        (CpuReport(Source.COUNTER, (PackageWatts(0, 80.0, 5.0),), "package 1 cannot be read"), Level.NOTE),
        (CpuReport(Source.COUNTER, (PackageWatts(0, 0.0, None),)), Level.WRONG),
        (CpuReport(Source.COUNTER, (PackageWatts(0, 5000.0, None),)), Level.WRONG),
        (CpuReport(Source.ESTIMATED, (PackageWatts(0, 80.0, None),), "no RAPL"), Level.NOTE),
    ],
)
def test_cpus(cpu: CpuReport, level: Level) -> None:
    assert [verdict.level for verdict in of_cpu(cpu)] == [level]
