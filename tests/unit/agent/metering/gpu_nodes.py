"""A node on paper: GPUs that draw what they are told, pods that hold them, and a `Metering` over them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from ballast.agent.device import (
    Description,
    DeviceError,
    DeviceLost,
    MigDevice,
    NotSupported,
    Process,
    ProcessUsage,
    Range,
    Sample,
)
from ballast.agent.metering.accounts import Accounts
from ballast.agent.metering.accounts_file import AccountsFile
from ballast.agent.metering.meter_loop import MeteredGpu, Metering
from ballast.agent.metering.usage import PodsOfProcesses
from ballast.agent.node.holders import Holder
from ballast.agent.node.pods import PodOnNode
from ballast.api.readings import PodReadings

EPOCH = 1_800_000_000.0
START = 1000.0


def pod_uid(name: str) -> str:
    """Return a UID of the usual length for a pod."""
    return f"{name:0<8}-aaaa-bbbb-cccc-dddddddddddd"


class FakeGpu:
    """A GPU behind the vendor seam; only what metering asks of it.

    Attributes:
        watts: what it draws.
        usage: of each process, by pid; None if the driver does not tell.
        fails: what a reading raises.
    """

    def __init__(self, uuid: str = "GPU-0", watts: float = 100.0) -> None:
        self.uuid = uuid
        self.at = START
        self.watts = watts
        self.joules = 0.0
        self.counter = 1e6
        self.usage: dict[int, float] | None = {}
        self.running: list[Process] = []
        self.utilization: float | None = 1.0
        self.fails: DeviceError | None = None
        self.full_reads = 0
        self.cheap_reads = 0
        self.mig: tuple[MigDevice, ...] = ()

    def pass_time(self, seconds: float) -> None:
        """Draw power for some time."""
        self.at += seconds
        self.joules += self.watts * seconds
        self.counter += self.watts * seconds

    def describe(self) -> Description:
        return Description(
            self.uuid, "NVIDIA-Paper", None, frozenset(), power_limit_watts=Range(100, 300), mig=self.mig
        )

    def sample(self) -> Sample:
        self.full_reads += 1
        self._fail()
        return Sample(self.at, self.counter, self.watts, power_limit_watts=300.0, utilization=self.utilization)

    def read_energy(self) -> Sample:
        self.cheap_reads += 1
        self._fail()
        return Sample(self.at, self.counter, self.watts)

    def processes(self) -> tuple[Process, ...]:
        self._fail()
        return tuple(self.running)

    def usage_since(self, microseconds: int) -> tuple[ProcessUsage, ...]:
        self._fail()
        if self.usage is None:
            raise NotSupported("no account of processes")
        until = int(self.at * 1e6)
        return tuple(ProcessUsage(pid, until, share) for pid, share in self.usage.items()) if self.usage else ()

    def power_limit_watts(self) -> float:
        return 300.0

    def set_power_limit(self, watts: float) -> NoReturn:
        raise AssertionError("metering changes nothing")

    def lock_clocks(self, lowest_hertz: int, highest_hertz: int) -> NoReturn:
        raise AssertionError("metering changes nothing")

    def unlock_clocks(self) -> NoReturn:
        raise AssertionError("metering changes nothing")

    def lock_memory_clock(self, hertz: int) -> NoReturn:
        raise AssertionError("metering changes nothing")

    def unlock_memory_clock(self) -> NoReturn:
        raise AssertionError("metering changes nothing")

    def lose(self) -> None:
        """Fall off the bus."""
        self.fails = DeviceLost(f"{self.uuid} fell off the bus")

    def _fail(self) -> None:
        if self.fails is not None:
            raise self.fails


class GpuNode:
    """A node and its metering.

    Args:
        folder: for its `/proc`, and what is saved.
        gpus: that it has.
        hertz: how often it is read.
    """

    def __init__(self, folder: Path, *gpus: FakeGpu, hertz: float = 1.0) -> None:
        self._folder = folder
        self.gpus = {gpu.uuid: gpu for gpu in gpus}
        self.hertz = hertz
        self.now = START
        self.pods: dict[str, PodOnNode] = {}
        self.ended: frozenset[str] | None = frozenset()
        self.holders: dict[str, tuple[Holder, ...]] | None = {}
        self.boot = "boot"
        self._pid = 100
        (folder / "proc").mkdir(exist_ok=True)
        self.start()

    def start(self) -> None:
        """Start an agent."""
        self.accounts = Accounts("node", lambda: EPOCH + self.now)
        file = AccountsFile(self._folder / "state", self.boot)
        self.metering = Metering(
            self.accounts, PodsOfProcesses(self._folder / "proc"), None, file, sample_hertz=self.hertz
        )
        self.adopt()

    def adopt(self) -> None:
        """Show the agent the GPUs."""
        gpus = list(self.gpus.values())
        self.metering.adopt(gpus, {gpu.uuid: gpu.describe() for gpu in gpus})

    def pod(self, name: str, *, trains: bool = False) -> str:
        """Add a pod, and return its UID."""
        uid = pod_uid(name)
        self.pods = {**self.pods, uid: PodOnNode(uid, "team", name, ended=False, trains=trains)}
        return uid

    def end(self, uid: str, *, is_held: bool = False) -> None:
        """Let a pod end, of which the agent hears at once; its object may be held by a finalizer."""
        self.pods = {other: pod for other, pod in self.pods.items() if other != uid}
        if is_held:
            self.ended = (self.ended or frozenset()) | {uid}

    def release(self, uid: str) -> None:
        """Let the object of a pod go that has ended."""
        self.ended = (self.ended or frozenset()) - {uid}

    def process(self, uid: str | None) -> int:
        """Start a process of a pod, or of nobody's, and return its pid."""
        self._pid += 1
        folder = self._folder / "proc" / str(self._pid)
        folder.mkdir()
        path = f"/kubepods/burstable/pod{uid}/container" if uid is not None else "/system.slice/other.service"
        (folder / "cgroup").write_text(f"4:memory:/\n1:cpu:{path}\n")
        return self._pid

    def hold(self, gpu: str = "GPU-0", *holders: str | Holder) -> None:
        """Let pods hold a GPU, and no others."""
        held = tuple(Holder(one) if isinstance(one, str) else one for one in holders)
        self.holders = {**(self.holders or {}), gpu: held}

    def pass_time(self, seconds: float) -> None:
        """Let time pass without an agent."""
        self.now += seconds
        for gpu in self.gpus.values():
            gpu.pass_time(seconds)

    def run(self, seconds: float = 1.0) -> None:
        """Let time pass and the agent read; it has read once before, at the beginning of that time."""
        for _ in range(round(seconds * self.hertz)):
            self.pass_time(1 / self.hertz)
            self.tick()

    def tick(self) -> None:
        """Let the agent read."""
        self.metering.tick(self.now, self.holders, self.pods, self.ended)

    def metered(self, gpu: str = "GPU-0") -> MeteredGpu:
        """Return what the agent knows of a GPU."""
        return self.metering.gpus[gpu]

    def readings(self, uid: str) -> PodReadings:
        """Return what a pod is told."""
        readings = self.accounts.readings(uid)
        assert readings is not None
        return readings

    def joules(self, uid: str) -> float:
        """Return what a pod was charged for all GPUs."""
        return sum(share.active_joules + share.idle_joules for share in self.readings(uid).gpus)

    def charged(self, uids: Sequence[str], gpu: str = "GPU-0") -> float:
        """Return what pods were charged, with what nobody was."""
        return sum(self.joules(uid) for uid in uids) + self.metered(gpu).unattributed_joules
