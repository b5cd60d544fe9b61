"""CPU and memory energy is charged by CPU time; idle power, and what is no pod's, stays with the node."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ballast.agent.metering.accounts import Accounts
from ballast.agent.metering.cgroups import NodeCpuTime, PodCpuTime
from ballast.agent.metering.cpu import CpuReading, PackageReading
from ballast.agent.metering.cpu_shares import CpuShares
from ballast.api.readings import PodReadings, Source
from tests.unit.agent.metering.gpu_nodes import EPOCH, pod_uid

A, B = pod_uid("a"), pod_uid("b")


class CpuNode:
    """A node whose packages draw what they are told, and whose pods ran as long as they are told.

    Attributes:
        meter_source: where its joules come from.
    """

    def __init__(self, folder: Path, idle_watts: dict[int, float] | None = None) -> None:
        self._cpuacct = folder / "cpuacct"
        self._proc = folder / "proc"
        self._proc.mkdir()
        self.now = 100.0
        self.source = Source.COUNTER
        self.joules = [0.0, 0.0]
        self.dram: float | None = 0.0
        self.busy = 0.0
        self.pods = {A: 0.0, B: 0.0}
        self._write()
        self.accounts = Accounts("node", lambda: EPOCH + self.now)
        self.shares = CpuShares(self, PodCpuTime(folder), NodeCpuTime(self._proc), self.accounts, idle_watts)
        self.tick()

    def read(self) -> CpuReading:
        packages = (
            PackageReading(0, self.joules[0], self.dram),
            PackageReading(1, self.joules[1]),
        )
        return CpuReading(self.now, packages, self.source)

    def run(self, seconds: float, watts: float, *, a: float = 0.0, b: float = 0.0, others: float = 0.0) -> None:
        """Let each package draw `watts`, and pods and others run for a share of the time; memory draws a tenth."""
        for _ in range(round(seconds)):
            self.now += 1
            self.joules = [joules + watts for joules in self.joules]
            if self.dram is not None:
                self.dram += watts / 10
            self.pods = {A: self.pods[A] + a, B: self.pods[B] + b}
            self.busy += a + b + others
            self._write()
            self.tick()

    def tick(self) -> None:
        """Read."""
        self.shares.tick(self.pods, self.now)

    def readings(self, uid: str) -> PodReadings:
        """Return what a pod is told."""
        # It has no name until the accounts follow pods, which is not what is looked at here.
        self.accounts._accounts[uid].name = "pod"
        found = self.accounts.readings(uid)
        assert found is not None
        return found

    def _write(self) -> None:
        ticks = os.sysconf("SC_CLK_TCK")
        (self._proc / "stat").write_text(f"cpu  {round(self.busy * ticks)} 0 0 0 0 0 0 0 0 0\n")
        for uid, seconds in self.pods.items():
            folder = self._cpuacct / "kubepods" / f"pod{uid}"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "cpuacct.usage").write_text(f"{seconds * 1e9:.0f}")


@pytest.fixture
def node(tmp_path: Path) -> Iterator[CpuNode]:
    """A node that drew 20 W a package while nothing ran."""
    it = CpuNode(tmp_path)
    it.run(30, 20)
    yield it
    it.shares.close()


def test_what_is_above_idle_is_charged_by_cpu_time(node: CpuNode) -> None:
    unattributed = node.shares.unattributed_joules
    node.run(10, 120, a=0.6, b=0.3, others=0.1)
    cpu = node.readings(A).cpu
    assert cpu is not None
    assert (cpu.active_joules, cpu.idle_joules, cpu.watts) == pytest.approx((1200, 0, 120))
    other = node.readings(B).cpu
    assert other is not None
    assert other.active_joules == pytest.approx(600)
    assert node.shares.unattributed_joules - unattributed == pytest.approx(2 * 10 * 20 + 200)


def test_all_of_it_is_somebody_s_or_nobody_s(node: CpuNode) -> None:
    node.run(10, 120, a=0.6, b=0.3, others=0.1)
    node.run(10, 70, a=0.1, b=1.3)
    charged = 0.0
    for uid in (A, B):
        cpu = node.readings(uid).cpu
        assert cpu is not None
        charged += cpu.active_joules + cpu.idle_joules
    assert charged + node.shares.unattributed_joules == pytest.approx(sum(node.joules))


def test_memory_is_charged_likewise(node: CpuNode) -> None:
    node.run(10, 120, a=0.5, b=0.5)
    dram = node.readings(A).dram
    assert dram is not None
    assert dram.active_joules == pytest.approx(50)


def test_memory_that_is_not_counted_is_absent(tmp_path: Path) -> None:
    node = CpuNode(tmp_path)
    node.dram = None
    node.run(5, 100, a=1)
    assert node.readings(A).dram is None
    node.shares.close()


def test_idle_watts_are_measured_and_told_by_package(node: CpuNode) -> None:
    assert [(package.index, package.idle_watts, package.metered) for package in node.shares.packages()] == [
        (0, 20, True),
        (1, 20, True),
    ]


def test_idle_watts_that_hardly_change_are_told_as_before(node: CpuNode) -> None:
    for watts, told in ((20, 20), (21, 20), (23, 23)):
        node.run(200, watts)
        assert {package.idle_watts for package in node.shares.packages()} == {told}


def test_on_a_busy_node_they_are_not_known(tmp_path: Path) -> None:
    node = CpuNode(tmp_path)
    node.run(60, 100, a=1, others=(os.cpu_count() or 1) / 2)
    assert [package.idle_watts for package in node.shares.packages()] == [None, None]
    node.shares.close()


def test_a_model_s_idle_watts_are_taken_as_they_are(tmp_path: Path) -> None:
    node = CpuNode(tmp_path, {0: 30.0, 1: 30.0})
    node.source = Source.ESTIMATED
    node.run(10, 130, a=1)
    cpu = node.readings(A).cpu
    assert cpu is not None
    assert cpu.active_joules == pytest.approx(2000)
    assert cpu.source is Source.ESTIMATED
    assert [(package.idle_watts, package.metered) for package in node.shares.packages()] == [(30, False)] * 2
    node.shares.close()


def test_what_a_pod_used_before_it_was_seen_is_not_its(node: CpuNode) -> None:
    late = pod_uid("late")
    node.pods[late] = 500.0
    node._write()
    node.run(1, 120, a=1)
    node.pods[late] = 500.0
    node._write()
    node.tick()
    assert late not in node.accounts._accounts or node.readings(late).joules == 0
