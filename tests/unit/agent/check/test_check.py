"""The check on simulated boards: it finds what is there, judges it, and never calls a setter."""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ballast.agent.check import check as checking
from ballast.agent.device import Driver
from ballast.agent.metering.cpu import CpuReading, PackageReading
from ballast.api.readings import Source
from tests.nvmlsim.boards import A40, A100, H100, V100
from tests.nvmlsim.faults import Fault
from tests.nvmlsim.simulator import Load, Simulator
from tests.unit.agent.nvml.simulated import SimulatedNode


class Passing:
    """Time that passes, for the boards too, while the check waits."""

    def __init__(self, simulator: Simulator | None = None) -> None:
        self._simulator = simulator
        self.now = 0.0

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self._simulator is not None:
            self._simulator.advance(seconds)


class Cpus:
    """A CPU meter of one package that draws 60 W."""

    source = Source.COUNTER

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock

    def read(self) -> CpuReading:
        at = self._clock()
        return CpuReading(at, (PackageReading(0, 60 * at, 6 * at),), self.source)


class NoDriver:
    """What a CPU node has."""

    version = None
    problem = "NVML Shared Library Not Found"

    def devices(self) -> tuple[()]:
        return ()

    def reopen(self) -> None:
        raise AssertionError("a check opens nothing anew")

    def close(self) -> None:
        """Nothing to let go of."""


def checked(driver: Driver, passing: Passing, seconds: float = 5.0) -> tuple[int, str]:
    out = io.StringIO()
    code = checking.check(driver, Cpus(passing.clock), out, seconds, clock=passing.clock, sleep=passing.sleep)
    return code, out.getvalue()


def checked_json(driver: Driver, passing: Passing, seconds: float = 5.0) -> tuple[int, Any]:
    out = io.StringIO()
    code = checking.check(
        driver, Cpus(passing.clock), out, seconds, json=True, clock=passing.clock, sleep=passing.sleep
    )
    return code, json.loads(out.getvalue())


def of_level(report: Any, level: str) -> list[str]:
    everything = [*report["verdicts"], *report["cpu"]["verdicts"]]
    for gpu in report["gpus"]:
        everything += gpu["verdicts"]
    return [verdict["text"] for verdict in everything if verdict["level"] == level]


def test_no_setter_is_called_whatever_is_found(node: SimulatedNode) -> None:
    simulator = node.boards(V100, A40, A100, H100, mig={2: (3, 2, 1)})
    v100, a40, _, h100 = simulator.uuids
    simulator.set_load(v100, [Load("pod", (4711,), 1.0)])
    simulator.set_power_limit(a40, 150)
    simulator.lock_clocks(a40, 210, 1005)
    simulator.inject(h100, Fault.lost())
    before = [simulator.gpu(uuid) for uuid in simulator.uuids]
    passing = Passing(simulator)
    checked(node.driver(passing.clock), passing, 2.0)
    simulator.inject(None, Fault.driver_reset())
    checked(node.driver(passing.clock), passing, 2.0)
    assert simulator.calls() == ()
    after = [simulator.gpu(uuid) for uuid in simulator.uuids]
    assert [gpu.locked_clocks_mhz for gpu in before] == [None, (210, 1005), None, None]
    # What was set went with the driver, and not before.
    assert [gpu.power_limit_watts for gpu in after] == [gpu.default_power_limit_watts for gpu in after]


def test_limits_and_locks_are_as_before(node: SimulatedNode) -> None:
    simulator = node.boards(A40)
    [uuid] = simulator.uuids
    simulator.set_power_limit(uuid, 150)
    simulator.lock_clocks(uuid, 210, 1005)
    passing = Passing(simulator)
    code, report = checked_json(node.driver(passing.clock), passing)
    assert code == 0
    assert simulator.calls() == ()
    assert simulator.gpu(uuid).power_limit_watts == 150.0
    assert simulator.gpu(uuid).locked_clocks_mhz == (210, 1005)
    assert any("150 W, is not the default, 300 W" in note for note in of_level(report, "note"))


def test_under_load_counter_and_integral_are_compared(node: SimulatedNode) -> None:
    simulator = node.boards(V100)
    [uuid] = simulator.uuids
    simulator.set_load(uuid, [Load("pod", (4711,), 1.0)])
    simulator.advance(10.0)
    drawn = simulator.gpu(uuid).watts
    passing = Passing(simulator)
    code, report = checked_json(node.driver(passing.clock), passing)
    [gpu] = report["gpus"]
    assert code == 0
    assert of_level(report, "WRONG") == []
    assert not gpu["idle"]
    assert gpu["processes"] == 1
    course = gpu["course"]
    assert course["step_milliseconds"] == pytest.approx(100, abs=10)
    assert course["counter_joules"] == pytest.approx(drawn * course["seconds"], rel=0.05)
    assert abs(course["difference_percent"]) < 2
    assert any("agree" in text for text in of_level(report, "ok"))


def test_idle_power_is_told_when_idle(node: SimulatedNode) -> None:
    simulator = node.boards(A40)
    passing = Passing(simulator)
    code, text = checked(node.driver(passing.clock), passing)
    assert code == 0
    assert "idle power       30.0 W over" in text
    assert "0 processes" in text
    assert "energy counter" in text
    assert "moves every 100 ms" in text
    assert "nvmlDeviceGetTotalEnergyConsumption" in text
    assert "NVIDIA-A40" in text
    assert "300.0 W now, 300.0 W default, 100 to 300 W can be set" in text
    assert "package 0        60.0 W, its memory 6.0 W" in text
    assert "nothing wrong" in text


def test_a_process_that_rests_is_no_idle_gpu(node: SimulatedNode) -> None:
    """It holds memory and clocks: what the board draws then is more than idle power."""
    simulator = node.boards(A40)
    [uuid] = simulator.uuids
    simulator.set_load(uuid, [Load("pod", (4711,), 0.0)])
    passing = Passing(simulator)
    _, report = checked_json(node.driver(passing.clock), passing, 2.0)
    assert report["gpus"][0]["sample"]["utilization"] == 0.0
    assert not report["gpus"][0]["idle"]


def test_calls_that_a_board_does_not_know_are_told_with_its_words(node: SimulatedNode) -> None:
    simulator = node.boards(A40)
    simulator.inject(None, Fault.unsupported("nvmlDeviceGetTotalEnergyConsumption"))
    simulator.inject(None, Fault.fails("nvmlDeviceGetMigMode", 4))
    passing = Passing(simulator)
    code, report = checked_json(node.driver(), passing)
    probes = {probe["call"]: probe for probe in report["gpus"][0]["probes"]}
    assert code == 0
    assert probes["nvmlDeviceGetPowerUsage"]["answer"] == "supported"
    assert probes["nvmlDeviceGetTotalEnergyConsumption"]["answer"] == "not supported"
    assert "Not Supported (NVML error 3)" in probes["nvmlDeviceGetTotalEnergyConsumption"]["text"]
    assert probes["nvmlDeviceGetMigMode"]["answer"] == "no permission"
    assert report["gpus"][0]["course"]["counter_joules"] is None
    assert any("no energy counter" in note for note in of_level(report, "note"))


def test_a_slow_call_is_noted(node: SimulatedNode) -> None:
    simulator = node.boards(A40)
    simulator.inject(None, Fault.slow(60, "nvmlDeviceGetArchitecture", times=2))
    out = io.StringIO()
    checking.check(node.driver(), Cpus(lambda: 1.0), out, 0.0)
    assert "nvmlDeviceGetArchitecture took" in out.getvalue()


def test_a_gpu_that_is_lost_while_it_is_watched_is_wrong(node: SimulatedNode) -> None:
    simulator = node.boards(A40, A40)
    lost, _ = simulator.uuids
    passing = Passing(simulator)
    sleep = passing.sleep

    def losing(seconds: float) -> None:
        sleep(seconds)
        if 1.0 < passing.now < 1.02:
            simulator.inject(lost, Fault.lost())

    passing.sleep = losing  # type: ignore[method-assign]
    code, report = checked_json(node.driver(passing.clock), passing)
    assert code == 1
    assert any(lost in text and "GPU is lost" in text for text in of_level(report, "WRONG"))
    other = report["gpus"][1]
    assert other["problem"] is None
    assert other["course"]["steps"] > 40


def test_a_node_without_gpus_is_fine() -> None:
    code, text = checked(NoDriver(), Passing())
    assert code == 0
    assert "no GPU driver: NVML Shared Library Not Found" in text
    assert "A node without GPUs needs none" in text
    assert "CPU: 1 package, counted by RAPL" in text


def test_a_node_is_checked_by_the_agents_settings(
    monkeypatch: pytest.MonkeyPatch, node: SimulatedNode, tmp_path: Path
) -> None:
    node.boards(A40)
    package = tmp_path / "intel-rapl:0"
    package.mkdir()
    for name, content in {"name": "package-0", "energy_uj": "7", "max_energy_range_uj": "1000000"}.items():
        (package / name).write_text(content)
    monkeypatch.delenv("BALLAST_AGENT_NODE_NAME", raising=False)  # it needs no cluster
    monkeypatch.setenv("BALLAST_AGENT_POWERCAP_ROOT", str(tmp_path))
    out = io.StringIO()
    assert checking.run_check(argparse.Namespace(seconds=0.05, json=True), out) == 1
    report = json.loads(out.getvalue())
    assert report["gpus"][0]["description"]["model"] == "NVIDIA-A40"
    assert of_level(report, "WRONG") == ["CPU package 0 tells 0.0 W: its counter is broken"]


def test_a_machine_without_rapl_is_told_that_its_cpus_are_estimated(
    monkeypatch: pytest.MonkeyPatch, node: SimulatedNode, tmp_path: Path
) -> None:
    node.boards(A40)
    monkeypatch.setenv("BALLAST_AGENT_POWERCAP_ROOT", str(tmp_path / "none"))
    out = io.StringIO()
    checking.run_check(argparse.Namespace(seconds=0.05, json=False), out)
    assert "estimated by a model" in out.getvalue()
    assert "shows no RAPL" in out.getvalue()
