"""The cluster's processes: started with a mark in their environment, found and ended by that mark.

Invariant: only processes that carry this cluster's mark are ever signalled. A process id on disk is a hint, never a
reason to kill: ids are reused after a crash or a reboot.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.cluster.errors import ClusterError, CommandError
from tests.cluster.platforms import operating_system

#: Environment variable that every process of a cluster carries; its value is the cluster's state folder.
MARK = "BALLAST_CLUSTER_STATE"


def marked_environment(state: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment in which a cluster's processes run: ours, the mark, and what else they need."""
    return {**os.environ, **(extra or {}), MARK: str(state)}


def spawn(arguments: Sequence[str | Path], *, state: Path, log: Path, env: Mapping[str, str] | None = None) -> None:
    """Starts a process that outlives this one, marked and in a session of its own, its output in a log file."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        # `setsid --fork` ends at once, so that the started process is never our zombie.
        started = subprocess.run(
            ["setsid", "--fork", *(str(argument) for argument in arguments)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=marked_environment(state, env),
            cwd="/",
            check=False,
        )
    if started.returncode != 0:
        raise CommandError(f"cannot start {arguments[0]}: see {log}")


def marked(state: Path) -> dict[int, str]:
    """The running processes that carry a cluster's mark: process id to command line."""
    if operating_system() == "linux":
        return _marked_linux(state)
    return _marked_by_command_line(state)


def is_marked(pid: int, state: Path) -> bool:
    """Tells whether a process is running and belongs to the cluster."""
    if operating_system() == "linux":
        folder = Path("/proc") / str(pid)
        return _carries(folder, _needle(state)) and not _is_zombie(folder)
    return pid in _marked_by_command_line(state)


def kill_marked(state: Path, *, only: str | None = None, timeout_seconds: float = 60.0) -> int:
    """Kills the cluster's processes until none is left.

    Args:
        state: The cluster's state folder.
        only: Limits this to processes whose command line holds this text.
        timeout_seconds: Gives up after this long.

    Returns:
        How many processes were killed.

    Raises:
        ClusterError: Some would not die.
    """
    killed: set[int] = set()
    deadline = time.monotonic() + timeout_seconds
    quiet = False
    while True:
        victims = [pid for pid, command in marked(state).items() if only is None or only in command]
        if not victims:
            if quiet:
                return len(killed)
            # A process in the middle of an exec shows no environment for a moment: look twice.
            quiet = True
            time.sleep(0.05)
            continue
        quiet = False
        if time.monotonic() > deadline:
            raise ClusterError(
                f"processes {victims} of {state} did not end within {timeout_seconds:.0f} s", remedy="Try again"
            )
        for pid in victims:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
            killed.add(pid)
        time.sleep(0.05)


def forget_stale_pids(pids: Path, state: Path) -> list[str]:
    """Removes process-id files whose process is gone, or is somebody else's by now.

    Returns:
        The names of what is not running.
    """
    stale = []
    for file in sorted(pids.glob("*.pid")):
        try:
            alive = is_marked(int(file.read_text()), state)
        except (ValueError, OSError):
            alive = False
        if not alive:
            file.unlink(missing_ok=True)
            stale.append(file.stem)
    return stale


def _needle(state: Path) -> bytes:
    return f"{MARK}={state}".encode()


def _marked_linux(state: Path) -> dict[int, str]:
    needle = _needle(state)
    own = os.getpid()
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == own or not _carries(folder, needle):
            continue
        try:
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            continue
        if not _is_zombie(folder):
            found[int(folder.name)] = command
    return found


def _carries(folder: Path, needle: bytes) -> bool:
    try:
        return needle in (folder / "environ").read_bytes().split(b"\0")
    except OSError:  # gone, or another user's
        return False


def _is_zombie(folder: Path) -> bool:
    try:
        return (folder / "stat").read_text().rpartition(")")[2].split()[0] in {"Z", "X"}
    except OSError:
        return True


def _marked_by_command_line(state: Path) -> dict[int, str]:
    listing = subprocess.run(["ps", "-axww", "-o", "pid=,command="], capture_output=True, text=True, check=True).stdout
    found = {}
    for line in listing.splitlines():
        pid, _, command = line.strip().partition(" ")
        if str(state) in command and int(pid) != os.getpid():
            found[int(pid)] = command
    return found
