"""The daemon joins containers, boards and kubelet, and lets go of everything when it is told to end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.nvmlsim.boards import A100, V100
from tests.nvmlsim.curves import DEFAULT_WORKLOAD, curve
from tests.nvmlsim.daemon import Daemon, merged
from tests.nvmlsim.device_plugin import DevicePlugin
from tests.nvmlsim.faults import Fault
from tests.nvmlsim.layout import GpuNodeConfig
from tests.nvmlsim.load import Brake
from tests.nvmlsim.simulator import Load, Simulator
from tests.unit.nvmlsim.builders import needs_data
from tests.unit.nvmlsim_node.builders import POD, FakeNode

LOW_LIMIT_WATTS = 125.0
NCF = "movielens-1m/ncf/1024/adam"


class Told(DevicePlugin):
    """A plugin that remembers what it was told, and knows no kubelet."""

    def __init__(self, folder: Path) -> None:
        super().__init__({}, folder)
        self.devices: dict[str, bool] = {}

    def update(self, devices: dict[str, bool]) -> None:  # type: ignore[override]
        self.devices = devices


class Rig:
    """A daemon on a made-up node with one board."""

    def __init__(self, node: FakeNode, folder: Path, *, slices: tuple[int, ...] = ()) -> None:
        self.node = node
        self.config = folder / "gpus.json"
        GpuNodeConfig("n", "A100" if slices else "V100", 1, 1, slices, "node", str(folder / "state")).save(self.config)
        mig = {0: slices} if slices else None
        self.boards = Simulator.create(folder / "state", [A100 if slices else V100], mig=mig)
        (self.uuid,) = self.boards.uuids
        self.plugin = Told(folder)
        self.journal = folder / "journal.json"
        self.daemon = self.successor()

    def successor(self) -> Daemon:
        return Daemon(self.config, self.boards, self.node.containers, Brake(self.journal), self.plugin)

    def hold(self, device: str, **environment: str) -> None:
        """Let a container hold a device."""
        self.node.add("trainer", 7)
        self.node.process(7, NVIDIA_VISIBLE_DEVICES=device, **environment)

    def work(self, ticks: int = 20) -> None:
        """Let the container use all the CPU that it may, and time pass."""
        (container,) = self.node.containers.scan()
        used = container.group.used_seconds()
        for _ in range(ticks):
            used += 0.1 * container.group.quota().cpus
            self.node.use("trainer", used)
            self.daemon.tick(0.1)


@pytest.fixture
def rig(node: FakeNode, tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(node, tmp_path)
    yield rig
    rig.boards.close()


def test_a_busy_container_is_load_with_its_processes(rig: Rig) -> None:
    rig.hold(rig.uuid)
    rig.work()
    assert rig.boards.gpu(rig.uuid).watts > 2 * V100.idle_watts
    assert rig.boards.truth(rig.uuid).active_joules[POD] > 0


@needs_data
@pytest.mark.parametrize(
    ("named", "replayed"), [(NCF, NCF), ("", DEFAULT_WORKLOAD), ("nobody/measured/1/this", DEFAULT_WORKLOAD)]
)
def test_a_board_replays_what_its_container_says_it_computes(rig: Rig, named: str, replayed: str) -> None:
    rig.hold(rig.uuid, NVMLSIM_WORKLOAD=named)
    rig.work(40)
    assert rig.boards.gpu(rig.uuid).watts == pytest.approx(curve(V100, replayed).watts_at(250.0), rel=0.02)


def test_a_container_that_ends_is_no_load(rig: Rig) -> None:
    rig.hold(rig.uuid)
    rig.work()
    (rig.node.cpu("trainer") / "cgroup.procs").unlink()
    rig.node.cpu("trainer").rename(rig.node.folder / "gone")
    for _ in range(20):
        rig.daemon.tick(0.1)
    assert rig.boards.gpu(rig.uuid).watts == pytest.approx(V100.idle_watts, rel=0.01)


def test_a_lower_limit_lowers_the_quota_but_not_the_demand(rig: Rig) -> None:
    rig.hold(rig.uuid)
    rig.work()
    assert rig.node.quota("trainer") == "50000"
    rig.boards.set_power_limit(rig.uuid, LOW_LIMIT_WATTS)
    rig.work()
    assert int(rig.node.quota("trainer")) == pytest.approx(50000 * rig.boards.speed(rig.uuid, POD), abs=1)
    assert rig.boards.gpu(rig.uuid).utilization == 1.0


def test_a_successor_goes_on(rig: Rig) -> None:
    rig.hold(rig.uuid)
    rig.boards.set_power_limit(rig.uuid, LOW_LIMIT_WATTS)
    rig.work()
    slowed = rig.node.quota("trainer")
    rig.daemon = rig.successor()
    rig.work()
    assert rig.node.quota("trainer") == slowed != "50000"


def test_at_its_end_a_container_has_its_quota_back(rig: Rig) -> None:
    rig.hold(rig.uuid)
    rig.boards.set_power_limit(rig.uuid, LOW_LIMIT_WATTS)
    rig.work()
    assert rig.node.quota("trainer") != "50000"
    stop = threading.Event()
    stop.set()
    rig.daemon.run(stop)
    assert rig.node.quota("trainer") == "50000"


def test_a_lost_gpu_is_unhealthy(rig: Rig) -> None:
    rig.daemon.tell()
    assert rig.plugin.devices == {rig.uuid: True}
    rig.boards.inject(rig.uuid, Fault.lost())
    rig.daemon.tell()
    assert rig.plugin.devices == {rig.uuid: False}


def test_time_slices_are_followed_when_they_change(rig: Rig) -> None:
    config = GpuNodeConfig.load(rig.config)
    GpuNodeConfig(**{**vars(config), "replicas": 2}).save(rig.config)
    rig.daemon.tell()
    assert rig.plugin.devices == {f"{rig.uuid}::0": True, f"{rig.uuid}::1": True}


def test_a_divided_gpu_is_handed_out_by_its_mig_devices(node: FakeNode, tmp_path: Path) -> None:
    rig = Rig(node, tmp_path, slices=(3, 2, 1))
    rig.daemon.tell()
    parts = rig.boards.mig_uuids(rig.uuid)
    assert rig.plugin.devices == dict.fromkeys(parts, True)
    rig.hold(parts[1])
    rig.work()
    truth = rig.boards.truth(rig.uuid)
    assert truth.active_joules[POD] > 0
    assert truth.idle_joules[POD] == pytest.approx((truth.total_joules - truth.active_joules[POD]) * 2 / 7, rel=0.01)
    rig.boards.close()


def test_what_a_pods_containers_do_on_one_gpu_is_one_load() -> None:
    loads = [
        Load("pod", (1,), 0.4),
        Load("pod", (2, 3), 0.3),
        Load("other", (4,), 1.0),
        Load("pod", (5,), 0.9, "MIG-1"),
    ]
    assert merged(loads) == [Load("pod", (1, 2, 3), 0.7), Load("other", (4,), 1.0), Load("pod", (5,), 0.9, "MIG-1")]


def test_what_one_of_a_pods_containers_says_it_computes_is_the_pods() -> None:
    assert merged([Load("pod", demand=0.1), Load("pod", demand=0.4, workload=NCF)]) == [
        Load("pod", demand=0.5, workload=NCF)
    ]
