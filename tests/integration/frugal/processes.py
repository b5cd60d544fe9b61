"""Trainers as processes of their own, none of which outlives its test."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import torch

ROOT = Path(__file__).parents[3]
TORCHRUN = (sys.executable, "-m", "torch.distributed.run")
PATIENCE_SECONDS = 240.0


def environment(bytecode: Path, changes: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment, so that children find the sources and import torch quickly."""
    inherited = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("PET_", "TORCHELASTIC_", "BALLAST_")) and key != "PYTHONDONTWRITEBYTECODE"
    }
    if not Path(importlib.util.cache_from_source(torch.__file__)).exists():
        inherited["PYTHONPYCACHEPREFIX"] = str(bytecode)  # else each child compiles all of torch again
    # One interface and one thread: what the children compute must not depend on the machine.
    settings = {"PYTHONPATH": f"{ROOT / 'workloads'}:{ROOT}", "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    settings["TMPDIR"] = str(bytecode)  # torchrun leaves a folder behind
    return inherited | settings | dict(changes or {})


def gang_member(*, nodes: int, node: int, processes: int, port: int) -> dict[str, str]:
    """What the operator tells torchrun in each pod of a gang."""
    return {
        "PET_NNODES": str(nodes),
        "PET_NPROC_PER_NODE": str(processes),
        "PET_NODE_RANK": str(node),
        "PET_MASTER_ADDR": "127.0.0.1",
        "PET_MASTER_PORT": str(port),
    }


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def started(command: Sequence[str], env: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    """The running command; whatever it started is gone afterwards."""
    process = subprocess.Popen(
        command, env=dict(env), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    guard = threading.Timer(PATIENCE_SECONDS, _kill_family, [process])  # ends a test that waits in vain
    guard.start()
    try:
        yield process
    finally:
        guard.cancel()
        _kill_family(process)
        process.communicate()


def wait_for(stream: IO[str] | None, text: str) -> str:
    """All that ``stream`` says up to the first line with ``text``."""
    assert stream is not None
    said = ""
    for line in stream:
        said += line
        if text in line:
            return said
    raise AssertionError(f"ended without {text!r}:\n{said}")


def descendants(pid: int) -> list[int]:
    """Children, their children and so on: torchrun's workers lead sessions of their own."""
    try:
        children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []
    return [found for child in children for found in (child, *descendants(child))]


def _kill_family(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        for pid in [process.pid, *descendants(process.pid)]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
