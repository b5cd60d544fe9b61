"""Objects for the unit tests of the embedded cluster."""

from __future__ import annotations

from pathlib import Path

from tests.cluster.catalogue import PROGRAMS
from tests.cluster.state import PORT_NAMES, ClusterState


def a_state(*, block: int = 3, networked: bool = True, real_nodes: int = 1) -> ClusterState:
    """A cluster's state with made-up ports and programs."""
    return ClusterState(
        name="unit",
        block=block,
        ports={name: 21000 + number for number, name in enumerate(PORT_NAMES)},
        binaries={name: f"/programs/{name}/{name}" for name in PROGRAMS},
        control_plane_created=True,
        networked=networked,
        real_nodes=real_nodes,
    )


def a_program_file(path: Path, says: str = "") -> Path:
    """An executable that says something."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path
