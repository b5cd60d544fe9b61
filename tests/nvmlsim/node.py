"""The GPUs of a node from the host: laid out for a boot, and then seen and touched by tests.

`lay_out` does what a reboot does: boards begin with their defaults, counters at zero. `GpuNodeControl` reads what the
boards truly did, and does to them what another tool, an administrator or a broken card would.

Invariant: the simulator keeps its ledger, which is the ground truth, beside the state file. So that file is in a folder
of the host that no container is given, and has a second name (a hard link) in the folder that is mounted.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tests.nvmlsim.boards import MODELS
from tests.nvmlsim.build import library
from tests.nvmlsim.faults import Fault
from tests.nvmlsim.layout import (
    BOARDS_FOLDER,
    CONFIG_FILE,
    NODE_FOLDER,
    NODE_LIBRARY,
    NODE_STATE_FOLDER,
    STATE_FILE,
    GpuNodeConfig,
)
from tests.nvmlsim.simulator import Call, Gpu, Simulator, Truth


def state_file(folder: Path) -> Path:
    """Return the boards' state in a node's folder."""
    return folder / BOARDS_FOLDER / STATE_FILE


def lay_out(folder: Path, config: GpuNodeConfig) -> None:
    """Lay everything out in the folder of a node that is about to boot."""
    on_node = folder / "var-lib" / NODE_FOLDER.name
    state = state_file(folder)
    for old in (on_node, state.parent):
        shutil.rmtree(old, ignore_errors=True)
    state.parent.mkdir(mode=0o700, parents=True)
    boards = [MODELS[config.model.lower()]] * config.gpus
    mig = dict.fromkeys(range(config.gpus), config.slices) if config.slices else None
    Simulator.create(state, boards, node=config.node, mig=mig).close()
    lib, mounted = (on_node / path.relative_to(NODE_FOLDER) for path in (NODE_LIBRARY, NODE_STATE_FOLDER))
    for needed in (lib.parent, mounted):
        needed.mkdir(parents=True)
    shutil.copyfile(library(), lib)
    lib.chmod(0o755)
    (mounted / STATE_FILE).hardlink_to(state)
    config.save(folder / CONFIG_FILE)


class GpuNodeControl:
    """The GPUs of one node, from the host.

    Args:
        folder: The node's folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def simulator(self) -> Iterator[Simulator]:
        """The boards themselves, for what this class has no method for."""
        simulator = Simulator.attach(state_file(self._folder))
        try:
            yield simulator
        finally:
            simulator.close()

    @property
    def uuids(self) -> tuple[str, ...]:
        """The GPUs' UUIDs, in NVML's order."""
        with self.simulator() as simulator:
            return tuple(simulator.uuids)

    def gpu(self, uuid: str) -> Gpu:
        """Return a GPU as it is now."""
        with self.simulator() as simulator:
            return simulator.gpu(uuid)

    def truth(self, uuid: str) -> Truth:
        """Return whose joules a GPU's were, by pod UID; at most a tenth of a second old."""
        with self.simulator() as simulator:
            return simulator.truth(uuid)

    def calls(self) -> Sequence[Call]:
        """Return what was asked of the boards that changes something, oldest first."""
        with self.simulator() as simulator:
            return simulator.calls()

    def forget_calls(self) -> None:
        """Empty the log of `calls`."""
        with self.simulator() as simulator:
            simulator.forget_calls()

    def set_power_limit(self, uuid: str, watts: float) -> None:
        """Set a power limit as another tool would."""
        with self.simulator() as simulator:
            simulator.set_power_limit(uuid, watts)

    def inject(self, uuid: str | None, fault: Fault) -> None:
        """Break a GPU, or all of them."""
        with self.simulator() as simulator:
            simulator.inject(uuid, fault)

    def clear_faults(self) -> None:
        """Mend everything."""
        with self.simulator() as simulator:
            simulator.clear_faults()

    @property
    def devices(self) -> int:
        """How many `nvidia.com/gpu` the node has while all of them are healthy."""
        return GpuNodeConfig.load(self._folder / CONFIG_FILE).devices

    def set_replicas(self, replicas: int) -> None:
        """Let each GPU be handed out so many times; the plugin follows within a second."""
        config = self._folder / CONFIG_FILE
        replace(GpuNodeConfig.load(config), replicas=replicas).save(config)
