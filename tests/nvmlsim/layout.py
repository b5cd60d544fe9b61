"""Where things are on a node with simulated GPUs, and what its daemon is told; said here once, and nothing else."""

from __future__ import annotations

import json
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

#: In the node's folder on the host.
CONFIG_FILE = "gpus.json"

#: In the node's folder on the host: the boards, and what no container may see beside them.
BOARDS_FOLDER = "gpus"

#: On the node.
NODE_FOLDER = Path("/var/lib/nvmlsim")
NODE_LIBRARY = NODE_FOLDER / "lib" / "libnvidia-ml.so.1"
NODE_STATE_FOLDER = NODE_FOLDER / "run"
STATE_FILE = "state"

#: In a container: where programs look for a driver's library, and where the library looks for the boards.
CONTAINER_LIBRARY = Path("/usr/lib") / f"{platform.machine()}-linux-gnu" / "libnvidia-ml.so.1"
CONTAINER_STATE_FOLDER = Path("/run/nvmlsim")


@dataclass(frozen=True)
class GpuNodeConfig:
    """What the node's daemon is told.

    Attributes:
        node: the node's name.
        model: the boards' model, as `V100`: a key of `boards.MODELS` in capitals.
        gpus: how many boards it has.
        replicas: as how many devices each of them is handed out (time slicing).
        slices: into which MIG devices each of them is divided, by compute slices; empty for whole GPUs.
        control_group: name of the node's root control group.
        state: the boards' state, as the host has it.
    """

    node: str
    model: str
    gpus: int
    replicas: int
    slices: tuple[int, ...]
    control_group: str
    state: str

    @classmethod
    def load(cls, path: Path) -> GpuNodeConfig:
        """Read it from its file."""
        fields: dict[str, Any] = json.loads(path.read_text())
        return cls(**{**fields, "slices": tuple(fields["slices"])})

    def save(self, path: Path) -> None:
        """Replace its file."""
        part = path.with_suffix(".part")
        part.write_text(json.dumps(asdict(self), indent=2))
        part.rename(path)

    @property
    def devices(self) -> int:
        """How many `nvidia.com/gpu` that makes."""
        return self.gpus * (len(self.slices) or 1) * self.replicas
