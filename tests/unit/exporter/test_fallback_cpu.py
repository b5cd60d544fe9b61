"""Without an agent the CPU's energy follows from what the trainer reports, or else from what it asks for."""

from __future__ import annotations

import pytest

from ballast.cpu_power import Coefficients
from ballast.exporter.fallback import CpuEstimate
from ballast.exporter.totals import Pair
from tests.unit.exporter.fakes import Clock

MODEL = Coefficients(idle_watts=1.0, full_watts=5.0)


class Pod:
    """A trainer that asks for two threads."""

    def __init__(self, millicores: float = 2_000.0, cpu_seconds: float | None = 0.0) -> None:
        self.clock = Clock()
        self.cpu_seconds = cpu_seconds
        self.estimate = CpuEstimate(lambda: self.cpu_seconds, millicores, self.clock.steady, MODEL)

    def read(self, seconds: float, cpu_seconds: float | None = None) -> tuple[Pair, float]:
        self.clock.advance(seconds)
        if cpu_seconds is not None:
            self.cpu_seconds = cpu_seconds
        found = self.estimate.read()
        assert found is not None
        return found


def test_cpu_time_is_active_and_what_it_asks_for_is_idle() -> None:
    pod = Pod()
    joules, watts = pod.read(10.0, cpu_seconds=15.0)
    assert joules == Pair(active=60.0, idle=20.0)
    assert watts == pytest.approx(6.0 + 2.0)


def test_a_trainer_that_reports_no_cpu_time_is_taken_to_use_what_it_asks_for() -> None:
    joules, watts = Pod(cpu_seconds=None).read(10.0)
    assert joules == Pair(active=80.0, idle=20.0)
    assert watts == pytest.approx(10.0)


def test_where_nothing_is_known_nothing_is_estimated() -> None:
    pod = Pod(millicores=0.0, cpu_seconds=None)
    pod.clock.advance(10.0)
    assert pod.estimate.read() is None
    pod.cpu_seconds = 3.0
    assert pod.estimate.read() is not None


def test_between_two_reports_power_is_that_of_the_last() -> None:
    pod = Pod(millicores=0.0)
    assert pod.read(20.0, cpu_seconds=40.0) == (Pair(160.0, 0.0), 8.0)
    assert pod.read(5.0) == (Pair(0.0, 0.0), 8.0)
    assert pod.read(15.0, cpu_seconds=50.0) == (Pair(40.0, 0.0), 2.0)


def test_a_trainer_that_is_silent_for_long_has_no_power() -> None:
    pod = Pod(millicores=0.0)
    pod.read(20.0, cpu_seconds=40.0)
    assert pod.read(61.0) == (Pair(0.0, 0.0), 0.0)


def test_cpu_time_that_falls_is_another_processes() -> None:
    pod = Pod(millicores=0.0)
    pod.read(10.0, cpu_seconds=50.0)
    assert pod.read(10.0, cpu_seconds=2.0)[0] == Pair(8.0, 0.0)


def test_at_rest_nothing_adds_up() -> None:
    pod = Pod()
    pod.clock.advance(1_000.0)
    pod.cpu_seconds = 900.0
    pod.estimate.rest()
    assert pod.read(1.0, cpu_seconds=901.0)[0] == Pair(4.0, 2.0)
