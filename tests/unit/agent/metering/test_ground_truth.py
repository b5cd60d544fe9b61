"""G4 against the simulated NVML: what pods are charged is what the boards counted, and close to what each truly used.

Time is the simulator's: a minute takes a moment. The agent's code is the real one, down to the NVML library.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ballast.agent.metering.accounts import Accounts
from ballast.agent.metering.meter_loop import Metering
from ballast.agent.metering.usage import PodsOfProcesses
from ballast.agent.node.holders import Holder
from ballast.agent.node.pods import PodOnNode
from ballast.agent.nvml.driver import NvmlDriver
from tests.nvmlsim.boards import A40, A100, V100, BoardModel
from tests.nvmlsim.faults import Fault
from tests.nvmlsim.simulator import Load, Simulator
from tests.nvmlsim.testing import nvml
from tests.unit.agent.metering.gpu_nodes import EPOCH, pod_uid

BOARD_TOLERANCE = 0.01
POD_TOLERANCE = 0.05
MIG_SLICES = (3, 2, 1)


@dataclass
class SimulatedNode:
    """A node of simulated GPUs, metered at some rate."""

    simulator: Simulator
    proc: Path
    hertz: int
    pods: dict[str, PodOnNode] = field(default_factory=dict)
    holders: dict[str, tuple[Holder, ...]] = field(default_factory=dict)
    pids: int = 1000

    def __post_init__(self) -> None:
        self.driver = NvmlDriver(clock=self.now)
        self.accounts = Accounts("node", lambda: EPOCH + self.now())
        self.metering = Metering(self.accounts, PodsOfProcesses(self.proc), sample_hertz=self.hertz)
        devices = self.driver.devices()
        self.metering.adopt(devices, {device.uuid: device.describe() for device in devices})
        self.metering.tick(self.now(), self.holders, self.pods)
        self.counted = {uuid: self.simulator.gpu(uuid).energy_joules for uuid in self.simulator.uuids}

    def now(self) -> float:
        return 1000 + self.simulator.now_seconds

    def pod(self, name: str) -> tuple[str, int]:
        """Add a pod with one process; return its UID and its pid."""
        uid = pod_uid(name)
        self.pods = {**self.pods, uid: PodOnNode(uid, "team", name, ended=False)}
        self.pids += 1
        folder = self.proc / str(self.pids)
        folder.mkdir(parents=True)
        (folder / "cgroup").write_text(f"0::/kubepods/pod{uid}/container\n")
        return uid, self.pids

    def load(self, uuid: str, demands: Mapping[tuple[str, int], float], mig: Sequence[str] = ()) -> None:
        """Let pods hold a GPU, or its MIG devices, and compute on it from now on."""
        devices = mig or (None,) * len(demands)
        slices = dict(zip(self.simulator.mig_uuids(uuid), MIG_SLICES, strict=False))
        loads, holders = [], []
        for ((uid, pid), demand), device in zip(demands.items(), devices, strict=True):
            loads.append(Load(uid, (pid,), demand, device))
            holders.append(Holder(uid) if device is None else Holder(uid, device, slices[device], 7))
        self.simulator.set_load(uuid, loads)
        self.holders = {**self.holders, uuid: tuple(holders)}
        self.metering.tick(self.now(), self.holders, self.pods)  # the agent hears of it at once

    def run(self, seconds: float) -> None:
        """Let time pass."""
        for _ in range(round(seconds * self.hertz)):
            self.simulator.advance(1 / self.hertz)
            self.metering.tick(self.now(), self.holders, self.pods)

    def charged(self, uid: str, uuid: str) -> float:
        """Return what a pod was charged for a GPU."""
        readings = self.accounts.readings(uid)
        assert readings is not None
        return sum(share.active_joules + share.idle_joules for share in readings.gpus if share.uuid == uuid)

    def assert_conserved(self) -> None:
        """Pods and nobody together pay what each board has counted since the agent began."""
        for uuid in self.simulator.uuids:
            counted = self.simulator.gpu(uuid).energy_joules - self.counted[uuid]
            charged = self.accounts.gpu_joules(uuid) + self.metering.gpus[uuid].unattributed_joules
            assert charged == pytest.approx(counted, rel=BOARD_TOLERANCE)

    def assert_true(self, uuid: str, *pods: tuple[str, int]) -> None:
        """Each pod pays what it truly used."""
        truth = self.simulator.truth(uuid)
        for uid, _ in pods:
            true = truth.active_joules.get(uid, 0) + truth.idle_joules.get(uid, 0)
            assert self.charged(uid, uuid) == pytest.approx(true, rel=POD_TOLERANCE)


@pytest.fixture
def exits() -> Iterator[ExitStack]:
    """What ends with the test."""
    with ExitStack() as stack:
        yield stack


def simulated(
    exits: ExitStack,
    folder: Path,
    boards: Sequence[BoardModel],
    hertz: int,
    mig: Mapping[int, Sequence[int]] | None = None,
) -> SimulatedNode:
    """Return a node whose boards were seen idle for half a minute."""
    simulator = exits.enter_context(nvml(folder, boards, mig=mig))
    node = SimulatedNode(simulator, folder / "proc", hertz=hertz)
    exits.callback(node.driver.close)
    node.run(30)
    return node


@pytest.mark.parametrize("hertz", [1, 10])
def test_a_whole_gpu_a_shared_one_and_a_free_one(exits: ExitStack, tmp_path: Path, hertz: int) -> None:
    node = simulated(exits, tmp_path, [V100, V100, A40], hertz)
    whole, shared, free = node.simulator.uuids
    alone, first, second, third = (node.pod(name) for name in ("alone", "first", "second", "third"))
    node.load(whole, {alone: 1.0})
    node.load(shared, {first: 0.5, second: 0.25, third: 0.0})
    node.run(60)
    node.assert_conserved()
    node.assert_true(whole, alone)
    node.assert_true(shared, first, second, third)
    assert node.metering.gpus[free].unattributed_joules > 0
    assert node.metering.gpus[whole].meter.disagreements == 0


def test_loads_that_come_and_go(exits: ExitStack, tmp_path: Path) -> None:
    node = simulated(exits, tmp_path, [A40], 1)
    (uuid,) = node.simulator.uuids
    first, second = node.pod("first"), node.pod("second")
    for _ in range(5):
        node.load(uuid, {first: 0.9, second: 0.0})
        node.run(10)
        node.load(uuid, {first: 0.1, second: 0.6})
        node.run(10)
        node.load(uuid, {second: 1.0})
        node.run(10)
    node.assert_conserved()
    node.assert_true(uuid, first, second)


def test_idle_joules_are_told_apart_from_active_ones(exits: ExitStack, tmp_path: Path) -> None:
    node = simulated(exits, tmp_path, [V100], 1)
    (uuid,) = node.simulator.uuids
    first, second = node.pod("first"), node.pod("second")
    node.load(uuid, {first: 0.7, second: 0.2})
    node.run(60)
    truth = node.simulator.truth(uuid)
    for uid, _ in (first, second):
        readings = node.accounts.readings(uid)
        assert readings is not None
        (share,) = readings.gpus
        assert share.active_joules == pytest.approx(truth.active_joules[uid], rel=POD_TOLERANCE)
        assert share.idle_joules == pytest.approx(truth.idle_joules[uid], rel=POD_TOLERANCE)


def test_mig_devices_that_are_all_busy(exits: ExitStack, tmp_path: Path) -> None:
    node = simulated(exits, tmp_path, [A100], 1, mig={0: MIG_SLICES})
    (uuid,) = node.simulator.uuids
    pods = [node.pod(name) for name in ("large", "middle", "small")]
    node.load(uuid, dict.fromkeys(pods, 1.0), node.simulator.mig_uuids(uuid))
    node.run(60)
    node.assert_conserved()
    node.assert_true(uuid, *pods)


def test_a_counter_that_is_reset_under_load(exits: ExitStack, tmp_path: Path) -> None:
    node = simulated(exits, tmp_path, [V100], 1)
    (uuid,) = node.simulator.uuids
    pod = node.pod("train")
    node.load(uuid, {pod: 1.0})
    node.run(20)
    node.simulator.inject(uuid, Fault.counter_reset())
    node.run(20)
    node.assert_true(uuid, pod)
    assert node.metering.gpus[uuid].meter.resets == 1
