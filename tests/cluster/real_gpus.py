"""Real nodes with simulated GPUs: which there are to be, and what their kubelets say of them.

Labels are those that GPU feature discovery writes; the taint keeps every pod away that does not ask for GPUs. Plain
real nodes are numbered upwards from 1, nodes with GPUs downwards from the last number, so that either kind can grow.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.cluster.errors import ClusterError
from tests.cluster.paths import CHECKOUT
from tests.nvmlsim.boards import MODELS
from tests.nvmlsim.layout import BOARDS_FOLDER, CONFIG_FILE, STATE_FILE, GpuNodeConfig

if TYPE_CHECKING:
    from tests.nvmlsim.node import GpuNodeControl

#: By which the daemon is known on the node, and its log.
GPU_PROGRAM = "gpus"
DEFAULT_GPUS = 4
RESOURCE = "nvidia.com/gpu"
TAINT = {"key": RESOURCE, "value": "present", "effect": "NoSchedule"}
MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class RealGpus:
    """The GPUs of a real node.

    Attributes:
        model: `V100`, `A40`, `A100` or `H100`.
        gpus: How many.
        replicas: As how many devices each is handed out (time slicing).
        slices: Into which MIG devices each is divided, by compute slices; empty for whole GPUs.
        number: The node's number; 0 as long as it has none.
        name: The node's name.
    """

    model: str
    gpus: int = DEFAULT_GPUS
    replicas: int = 1
    slices: tuple[int, ...] = ()
    number: int = 0
    name: str = ""

    @classmethod
    def parse(cls, fields: dict[str, Any]) -> RealGpus:
        """Make it of what a state file remembers."""
        return cls(**{**fields, "slices": tuple(fields["slices"])})

    @property
    def labels(self) -> dict[str, str]:
        """The node's labels, as GPU feature discovery would write them."""
        board = MODELS[self.model.lower()]
        return {
            "nvidia.com/gpu.present": "true",
            "nvidia.com/gpu.product": board.name.replace(" ", "-"),
            "nvidia.com/gpu.count": str(self.gpus),
            "nvidia.com/gpu.memory": str(board.memory_bytes // MEBIBYTE),
            "nvidia.com/gpu.replicas": str(self.replicas),
        }


def lay_out_gpus(folder: Path, gpus: RealGpus, *, control_group: str) -> None:
    """Lays out what a node with GPUs that is about to boot needs of the simulator.

    Args:
        folder: The node's folder.
        gpus: Its GPUs.
        control_group: Name of its root control group.
    """
    from tests.nvmlsim.node import lay_out  # here, so that clusters without GPUs load no simulator

    if any(CHECKOUT.is_relative_to(covered) for covered in ("/run", "/var/lib", "/var/log")):
        raise ClusterError(
            f"a node with GPUs runs their simulator from {CHECKOUT}, which it covers with folders of its own",
            remedy="Keep the checkout elsewhere",
        )
    state = str(folder / BOARDS_FOLDER / STATE_FILE)
    lay_out(folder, GpuNodeConfig(gpus.name, gpus.model, gpus.gpus, gpus.replicas, gpus.slices, control_group, state))


def gpu_control(folder: Path) -> GpuNodeControl:
    """What tests see of and do to the GPUs of the node with this folder."""
    from tests.nvmlsim.node import GpuNodeControl

    return GpuNodeControl(folder)


def daemon_command(folder: Path) -> list[str]:
    """The command with which a node's init starts the daemon of its GPUs."""
    program = [sys.executable, "-m", "tests.nvmlsim", str(folder / CONFIG_FILE)]
    return ["env", f"PYTHONPATH={CHECKOUT}", *program]


def kubelet_arguments(gpus: RealGpus | None) -> list[str]:
    """The kubelet's arguments that say what a real node is."""
    labels = {"type": "real"} | (gpus.labels if gpus else {})
    arguments = ["--node-labels=" + ",".join(f"{name}={value}" for name, value in labels.items())]
    if gpus:
        arguments.append(f"--register-with-taints={TAINT['key']}={TAINT['value']}:{TAINT['effect']}")
    return arguments


def extended(
    present: Sequence[RealGpus], wanted: Sequence[RealGpus | str], *, plain_nodes: int, most: int
) -> tuple[RealGpus, ...]:
    """Return the nodes that there are to be: those there are, and what of the wanted is missing.

    A model that is wanted twice is two nodes; a node that is there counts for a wanted one of its model.

    Args:
        present: The nodes with GPUs that there are.
        wanted: The nodes that there are to be at least; a model's name stands for one with four whole GPUs.
        plain_nodes: How many real nodes without GPUs there are to be.
        most: How many real nodes a cluster can have.

    Raises:
        ClusterError: A model is not known, or there is no number left.
    """
    nodes, uncounted = list(present), list(present)
    for one in wanted:
        new = one if isinstance(one, RealGpus) else RealGpus(one)
        if new.model.lower() not in MODELS:
            known = ", ".join(MODELS).upper()
            raise ClusterError(f"there is no simulated GPU model {new.model!r}", remedy=f"Choose one of {known}")
        counted = next((node for node in uncounted if node.model == new.model), None)
        if counted is not None:
            uncounted.remove(counted)
            continue
        same = sum(node.model == new.model for node in nodes)
        name = f"real-{new.model.lower()}" + (f"-{same + 1}" if same else "")
        nodes.append(replace(new, number=most - len(nodes), name=name))
    if len(nodes) + plain_nodes > most:
        raise ClusterError(
            f"{plain_nodes} real nodes and {len(nodes)} with GPUs are asked for",
            remedy=f"At most {most} can be had",
        )
    return tuple(nodes)
