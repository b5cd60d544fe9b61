"""Where nothing counts CPU energy, a stated model makes it from busy time, and says that it is one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ballast.agent.metering.cpu_model import CpuModel, busy_seconds, packages_of
from ballast.api.readings import Source
from ballast.cpu_power import Coefficients

TICKS = os.sysconf("SC_CLK_TCK")
CPUINFO = "".join(f"processor\t: {cpu}\nmodel name\t: A CPU @ 2 GHz\nphysical id\t: {cpu // 2}\n\n" for cpu in range(4))


class Proc:
    """A `/proc` of a machine with two packages of two threads."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.busy = dict.fromkeys(range(4), 0.0)
        (root / "cpuinfo").write_text(CPUINFO)
        self.write()

    def write(self) -> None:
        lines = [f"cpu  1 2 3 4\nintr {'5 ' * 50}\n"]
        lines += [
            f"cpu{cpu} {round(seconds * TICKS)} 0 0 777 99 0 0 55 0 0\n"  # idle, iowait and steal are not busy
            for cpu, seconds in self.busy.items()
        ]
        (self.root / "stat").write_text("".join(lines))

    def work(self, **seconds: float) -> None:
        """As in `work(cpu0=1.5)`."""
        for cpu, passed in seconds.items():
            self.busy[int(cpu[3:])] += passed
        self.write()


@pytest.fixture
def proc(tmp_path: Path) -> Proc:
    return Proc(tmp_path)


def test_joules_are_idle_power_and_what_busy_time_adds(proc: Proc) -> None:
    now = 10.0
    model = CpuModel(proc.root, Coefficients(idle_watts=1, full_watts=5), clock=lambda: now)
    assert model.idle_watts() == {0: 2.0, 1: 2.0}
    now = 20.0
    proc.work(cpu0=10, cpu3=2.5)
    reading = model.read()
    assert reading.source is Source.ESTIMATED
    assert [(package.index, package.joules, package.dram_joules) for package in reading.packages] == [
        (0, 2 * 10 + 4 * 10, None),
        (1, 2 * 10 + 4 * 2.5, None),
    ]
    assert reading.joules == 90.0


def test_readings_add_up_however_often_they_are_taken(proc: Proc) -> None:
    now = 0.0
    often, seldom = CpuModel(proc.root, clock=lambda: now), CpuModel(proc.root, clock=lambda: now)
    for _ in range(10):
        now += 1
        proc.work(cpu1=0.5)
        often.read()
    assert often.read().joules == pytest.approx(seldom.read().joules)


def test_a_cpu_that_steps_back_or_goes_offline_takes_nothing_away(proc: Proc) -> None:
    now = 0.0
    model = CpuModel(proc.root, Coefficients(idle_watts=0, full_watts=1), clock=lambda: now)
    proc.work(cpu0=1, cpu1=1)
    now = 2.0
    assert model.read().joules == 2.0
    proc.busy[0] = 0.5
    del proc.busy[1]
    proc.write()
    now = 4.0
    assert model.read().joules == 2.0
    proc.busy[0], proc.busy[1] = 1.0, 1.5
    proc.write()
    now = 6.0
    assert model.read().joules == pytest.approx(3.0)


def test_no_cpu_is_busier_than_time_passes(proc: Proc) -> None:
    now = 0.0
    model = CpuModel(proc.root, Coefficients(idle_watts=0, full_watts=1), clock=lambda: now)
    proc.work(cpu0=100)
    now = 1.0
    assert model.read().joules == 1.0


def test_packages_of_cpus() -> None:
    assert packages_of(CPUINFO) == {0: 0, 1: 0, 2: 1, 3: 1}
    arm = "processor\t: 0\nBogoMIPS\t: 243.75\n\nprocessor\t: 1\nBogoMIPS\t: 243.75\n"
    assert packages_of(arm) == {0: 0, 1: 0}
    assert packages_of("") == {}


def test_busy_time_of_cpus() -> None:
    stat = "cpu  9 9 9 9 9 9 9 9 9 9\ncpu0 100 20 30 4000 500 6 7 80 10 2\ncpu11 1 0 0 0 0 0 0\nctxt 5\n"
    assert busy_seconds(stat, 100) == {0: 1.63, 11: 0.01}


def test_a_machine_without_cpuinfo_of_packages_is_one_package(proc: Proc) -> None:
    (proc.root / "cpuinfo").write_text("")
    assert list(CpuModel(proc.root).idle_watts()) == [0]
