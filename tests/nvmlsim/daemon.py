"""The daemon of a node with simulated GPUs: what a driver, a card and NVIDIA's device plugin are elsewhere.

It runs beside the node's kubelet, in its namespaces. Ten times a second it turns the CPU use of the containers that
hold GPUs into load, lets the boards' time pass, and slows the containers as much as their boards are. Invariants: it
keeps nothing that a successor needs (the boards are in their state file, found quotas in a journal), so that it may be
killed at any moment; when it is told to end, every container gets its quota back.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType

from tests.nvmlsim.curves import UnknownWorkload, curve
from tests.nvmlsim.device_plugin import DevicePlugin, device_ids
from tests.nvmlsim.layout import (
    CONTAINER_LIBRARY,
    CONTAINER_STATE_FOLDER,
    NODE_LIBRARY,
    NODE_STATE_FOLDER,
    GpuNodeConfig,
)
from tests.nvmlsim.load import Brake, Container, Containers
from tests.nvmlsim.simulator import Load, Simulator

TICK_SECONDS = 0.1
#: How often the devices and the configuration are looked at.
TICKS_OF_A_LOOK = 5
DEMAND_DIGITS = 2
#: Vanishes with the node's boot, as the containers do.
JOURNAL = Path("/run/nvmlsim-quotas.json")

_logger = logging.getLogger(__name__)


class Daemon:
    """Joins containers, boards and kubelet.

    Args:
        config: The configuration's file; a change of it is followed.
        simulator: The boards.
        containers: The node's containers.
        brake: Slows them.
        plugin: Hands the boards out.
    """

    def __init__(
        self, config: Path, simulator: Simulator, containers: Containers, brake: Brake, plugin: DevicePlugin
    ) -> None:
        self._file = config
        self._config = GpuNodeConfig.load(config)
        self._simulator = simulator
        self._containers = containers
        self._brake = brake
        self._plugin = plugin
        self._loads: dict[str, list[Load]] = {}
        self._workloads: dict[tuple[str, str], str] = {}
        self._gpu_of: dict[str, tuple[str, str | None]] = {}
        for uuid in simulator.uuids:
            parts: list[str | None] = [*simulator.mig_uuids(uuid)] or [None]
            self._gpu_of |= {part or uuid: (uuid, part) for part in parts}

    def tick(self, elapsed_seconds: float) -> None:
        """Let time pass."""
        holding = self._containers.scan()
        loads: dict[str, list[Load]] = {uuid: [] for uuid in self._simulator.uuids}
        for container in holding:
            with suppress(OSError):  # it ends at this moment
                demand, pids = container.demand(elapsed_seconds), container.group.pids()
                for uuid, mig in self._parts(container):
                    workload = self._workload(container, uuid)
                    loads[uuid].append(Load(container.pod_uid, pids, demand, mig, workload))
        for uuid, of_gpu in loads.items():
            self._set_load(uuid, merged(of_gpu))
        self._simulator.advance(elapsed_seconds)
        for container in holding:
            with suppress(OSError):
                self._brake.slow(container, self._speed(container))
        self._brake.forget_all_but(holding)

    def tell(self) -> None:
        """Say which devices there are, and how they are."""
        self._config = GpuNodeConfig.load(self._file)
        devices: dict[str, bool] = {}
        for uuid in self._simulator.uuids:
            healthy = not self._simulator.gpu(uuid).lost
            for part in self._simulator.mig_uuids(uuid) or (uuid,):
                devices |= dict.fromkeys(device_ids(part, self._config.replicas), healthy)
        self._plugin.update(devices)

    def run(self, stop: threading.Event) -> None:
        """Tick until told to stop; then let go of the containers."""
        self._plugin.start()
        last, ticks = time.monotonic(), 0
        try:
            while not stop.wait(max(0.0, last + TICK_SECONDS - time.monotonic())):
                now = time.monotonic()
                self.tick(now - last)
                last = now
                if ticks % TICKS_OF_A_LOOK == 0:
                    self.tell()
                ticks += 1
        finally:
            self._plugin.stop()
            self._brake.release(self._containers.scan())

    def _workload(self, container: Container, uuid: str) -> str:
        """What a container computes; the usual where that was never measured on this GPU model: anybody may say it."""
        named = container.workload
        if (uuid, named) not in self._workloads:
            try:
                curve(self._simulator.model(uuid), named)
            except UnknownWorkload as error:
                _logger.warning("container %s: %s; it counts as the usual workload", container.id, error)
                self._workloads[uuid, named] = ""
            else:
                self._workloads[uuid, named] = named
        return self._workloads[uuid, named]

    def _set_load(self, uuid: str, loads: list[Load]) -> None:
        if self._loads.get(uuid) != loads:  # each is a write to disk
            self._simulator.set_load(uuid, loads)
            self._loads[uuid] = loads

    def _speed(self, container: Container) -> float:
        """The speed of the slowest of its GPUs: they work in step."""
        with suppress(KeyError):  # it began to hold them after this tick's loads were set
            return min(
                (self._simulator.speed(uuid, container.pod_uid) for uuid, _ in self._parts(container)), default=1.0
            )
        return 1.0

    def _parts(self, container: Container) -> list[tuple[str, str | None]]:
        return [self._gpu_of[device] for device in container.devices if device in self._gpu_of]


def merged(loads: Sequence[Load]) -> list[Load]:
    """Return one load for what a pod's containers do on the same GPU or MIG device."""
    by_pod: dict[tuple[str, str | None], list[Load]] = defaultdict(list)
    for load in loads:
        by_pod[(load.key, load.mig_device)].append(load)
    return [
        Load(
            key,
            pids=tuple(pid for load in same for pid in load.pids),
            demand=round(min(1.0, sum(load.demand for load in same)), DEMAND_DIGITS),
            mig_device=mig,
            workload=next((load.workload for load in same if load.workload), ""),
        )
        for (key, mig), same in by_pod.items()
    ]


def main(config_file: Path) -> None:
    """Run the daemon of the node on which this is."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    stop = threading.Event()

    def end(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    config = GpuNodeConfig.load(config_file)
    simulator = Simulator.attach(Path(config.state))
    plugin = DevicePlugin({CONTAINER_LIBRARY: NODE_LIBRARY, CONTAINER_STATE_FOLDER: NODE_STATE_FOLDER})
    daemon = Daemon(config_file, simulator, Containers(config.control_group), Brake(JOURNAL), plugin)
    _logger.info("simulating %d GPUs of model %s", config.gpus, config.model)
    daemon.run(stop)
    simulator.close()
