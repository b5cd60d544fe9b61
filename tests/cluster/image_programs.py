"""The two programs that fill a node's image store."""

from __future__ import annotations

from pathlib import Path

from tests.cluster import binaries, catalogue


def containerd_programs() -> tuple[Path, Path]:
    """Where `containerd` and `ctr` are, got first if they must be."""
    wanted = [program for program in catalogue.REAL_NODE if program.name in ("containerd", "ctr")]
    found = binaries.resolve_all(wanted)
    return found["containerd"], found["ctr"]
