"""RAPL counters become joules that only grow: wrapped, reset, split into dies, or unreadable."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from ballast.agent.metering.cpu import CpuReading, PackageReading
from ballast.agent.metering.rapl import RaplPackages
from ballast.api.readings import Source

RANGE = 262_143_328_850  # microjoules: of a common server


class Powercap:
    """A `/sys/class/powercap` to write counters into."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def zone(self, zone: str, name: str, microjoules: int = 0, most: int = RANGE) -> Powercap:
        folder = self.root / zone
        folder.mkdir()
        (folder / "name").write_text(f"{name}\n")
        (folder / "max_energy_range_uj").write_text(f"{most}\n")
        return self.count(zone, microjoules)

    def count(self, zone: str, microjoules: int) -> Powercap:
        (self.root / zone / "energy_uj").write_text(f"{microjoules}\n")
        return self

    def unreadable(self, zone: str) -> Powercap:
        """A file that root cannot read either: a folder."""
        (self.root / zone / "energy_uj").unlink()
        (self.root / zone / "energy_uj").mkdir()
        return self


class Clock:
    """Seconds that a test lets pass."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def powercap(tmp_path: Path) -> Powercap:
    return Powercap(tmp_path)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_packages_and_their_memory(powercap: Powercap, clock: Clock) -> None:
    powercap.zone("intel-rapl:0", "package-0", 5_000_000).zone("intel-rapl:0:0", "core", 1_000_000)
    powercap.zone("intel-rapl:0:1", "dram", 2_000_000)
    powercap.zone("intel-rapl:1", "package-1", 0)  # AMD's have no memory
    powercap.zone("intel-rapl:2", "psys", 9_000_000).zone("intel-rapl-mmio:0", "package-0", 5_000_000)
    rapl = RaplPackages(powercap.root, clock)
    assert rapl
    assert rapl.problem is None
    assert rapl.read() == CpuReading(1000.0, (PackageReading(0, 0, 0), PackageReading(1, 0)), Source.COUNTER)
    powercap.count("intel-rapl:0", 8_500_000).count("intel-rapl:0:1", 2_250_000).count("intel-rapl:1", 4_000_000)
    clock.now += 1
    reading = rapl.read()
    assert reading.packages == (PackageReading(0, 3.5, 0.25), PackageReading(1, 4.0))
    assert reading.joules == 7.5
    assert reading.dram_joules == 0.25


def test_dies_of_a_package_are_added_up(powercap: Powercap, clock: Clock) -> None:
    powercap.zone("intel-rapl:0", "package-0-die-0").zone("intel-rapl:1", "package-0-die-1")
    powercap.zone("intel-rapl:2", "package-1-die-0")
    rapl = RaplPackages(powercap.root, clock)
    powercap.count("intel-rapl:0", 1_000_000).count("intel-rapl:1", 2_000_000).count("intel-rapl:2", 4_000_000)
    clock.now += 1
    assert rapl.read().packages == (PackageReading(0, 3.0), PackageReading(1, 4.0))


def test_a_counter_that_wraps_goes_on(powercap: Powercap, clock: Clock) -> None:
    powercap.zone("intel-rapl:0", "package-0", RANGE - 1_000_000)
    rapl = RaplPackages(powercap.root, clock)
    for step in range(1, 4):  # three times around, but for a joule each
        clock.now += RANGE / 1e6 / 200  # at 200 W
        powercap.count("intel-rapl:0", RANGE - 1_000_000 * (step + 1))
        assert rapl.read().joules == pytest.approx((RANGE / 1e6 - 1) * step)


def test_a_counter_that_was_reset_is_no_wrap(powercap: Powercap, clock: Clock) -> None:
    powercap.zone("intel-rapl:0", "package-0", 50_000_000_000)
    rapl = RaplPackages(powercap.root, clock)
    clock.now += 1
    powercap.count("intel-rapl:0", 3_000_000)  # a wrap would be 212 kJ in a second
    assert rapl.read().joules == 3.0


def test_no_powercap_is_no_package_and_a_reason(tmp_path: Path, clock: Clock) -> None:
    rapl = RaplPackages(tmp_path / "nothing", clock)
    assert not rapl
    assert rapl.problem is not None
    assert "no RAPL" in rapl.problem
    assert rapl.read().packages == ()


def test_an_empty_powercap_says_so(tmp_path: Path, clock: Clock) -> None:
    assert RaplPackages(tmp_path, clock).problem == (
        f"{tmp_path} has no zone of a CPU package: this machine or its kernel shows no RAPL"
    )


def test_what_must_not_be_read_is_told_once(powercap: Powercap, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    powercap.zone("intel-rapl:0", "package-0").unreadable("intel-rapl:0")
    powercap.zone("intel-rapl:1", "package-1").unreadable("intel-rapl:1")
    with caplog.at_level(logging.INFO):
        rapl = RaplPackages(powercap.root, clock)
        rapl.read()
        rapl.read()
    assert not rapl
    assert rapl.problem is not None
    assert "intel-rapl:0/energy_uj cannot be read" in rapl.problem
    assert len(caplog.records) == 1


def test_memory_that_must_not_be_read_is_left_out(powercap: Powercap, clock: Clock) -> None:
    powercap.zone("intel-rapl:0", "package-0").zone("intel-rapl:0:0", "dram").unreadable("intel-rapl:0:0")
    rapl = RaplPackages(powercap.root, clock)
    powercap.count("intel-rapl:0", 1_000_000)
    clock.now += 1
    assert rapl.read().packages == (PackageReading(0, 1.0, None),)
    assert rapl.problem is not None


def test_a_package_that_goes_keeps_its_joules(powercap: Powercap, clock: Clock) -> None:
    powercap.zone("intel-rapl:0", "package-0").zone("intel-rapl:1", "package-1")
    rapl = RaplPackages(powercap.root, clock)
    powercap.count("intel-rapl:0", 1_000_000).count("intel-rapl:1", 1_000_000)
    clock.now += 1
    rapl.read()
    powercap.unreadable("intel-rapl:0").count("intel-rapl:1", 3_000_000)
    clock.now += 1
    assert [package.joules for package in rapl.read().packages] == [1.0, 3.0]
    assert rapl.problem is not None
