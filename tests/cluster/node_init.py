"""The first process of a real node: prepares its mounts, then runs containerd, the kubelet and the others.

Runs inside the node's network, mount, PID and UTS namespaces, as a script of its own (`node.py` starts it, with one
JSON file as argument), and imports nothing but the standard library. It restarts what dies and reaps what is orphaned,
as an init does. Invariants: every mount is private to the node, so that all of them vanish with it; kernel settings
that are the host's too cannot be changed from here; when this process ends, so does every process of the node.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

RESTART_DELAY_SECONDS = 1.0

#: Kernel settings that no namespace keeps apart, and that a kubelet sets when it starts.
_MACHINE_SETTINGS = (
    "kernel/keys/root_maxbytes",
    "kernel/keys/root_maxkeys",
    "kernel/panic",
    "kernel/panic_on_oops",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
)
SOCKET_TIMEOUT_SECONDS = 60.0


def main() -> NoReturn:
    """Sets the node up and supervises it until it is told to end."""
    config: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text())
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, _end)
    socket.sethostname(config["name"])
    prepare_mounts(Path(config["root"]))
    _write("/proc/sys/net/ipv4/ip_forward", "1")
    supervisor = Supervisor(Path(config["logs"]), config["path"])
    supervisor.start("containerd", config["containerd"])
    _wait_for_socket(config["containerd_socket"])
    archives: list[str] = config["import_archives"]
    imports = [supervisor.run_once("image-import", [*config["import_command"], archive]) for archive in archives]
    if archives and all(imports):
        Path(config["imported"]).write_text("\n".join(archives))
    programs: dict[str, list[str]] = config["programs"]
    for name, command in programs.items():
        supervisor.start(name, command)
    supervisor.supervise()


def prepare_mounts(root: Path) -> None:
    """Gives the node folders of its own where Kubernetes has fixed paths, and hides the host's run-time state."""
    _mount("--make-rprivate", "/")
    for inside, outside in (("/var/lib", "var-lib"), ("/var/log", "var-log")):
        (root / outside).mkdir(parents=True, exist_ok=True)
        _mount("--bind", str(root / outside), inside)
    for folder in ("/var/lib/kubelet", "/var/lib/containerd", "/var/log/pods", "/var/log/containers"):
        Path(folder).mkdir(parents=True, exist_ok=True)
    _mount("-t", "tmpfs", "-o", "mode=0755", "tmpfs", "/run")
    for folder in ("/run/containerd", "/run/lock", "/run/tmp"):
        Path(folder).mkdir()
    # Volumes of containers with bidirectional mount propagation must be seen by the others.
    _mount("--bind", "/var/lib/kubelet", "/var/lib/kubelet")
    _mount("--make-rshared", "/var/lib/kubelet")
    _mount("--make-rshared", "/run")
    for setting in _MACHINE_SETTINGS:
        _shadow(Path("/proc/sys") / setting)
    if not Path("/dev/kmsg").exists():
        _add_kernel_log()


def _add_kernel_log() -> None:
    """Gives the node a `/dev` with an empty `/dev/kmsg`, without which a kubelet does not start.

    `/dev` is the machine's: a new one is put over it, with everything that is in the old one.
    """
    old, new = Path("/run/dev-below"), Path("/run/dev")
    for folder in (old, new):
        folder.mkdir()
    _mount("--rbind", "/dev", str(old))
    _mount("-t", "tmpfs", "-o", "mode=0755", "tmpfs", str(new))
    for device in old.iterdir():
        there = new / device.name
        if device.is_symlink():
            there.symlink_to(device.readlink())
            continue
        if device.is_dir():
            there.mkdir()
        else:
            there.touch()
        _mount("--rbind", str(device), str(there))
    (new / "kmsg").touch()
    _mount("--bind", str(new / "null"), str(new / "kmsg"))
    _mount("--rbind", str(new), "/dev")


def _shadow(setting: Path) -> None:
    """Covers a kernel setting that is the whole machine's with a file that can be read and written to no effect."""
    if not setting.exists():
        return
    copy = Path("/run/settings") / setting.relative_to("/proc/sys")
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_text(setting.read_text())
    _mount("--bind", str(copy), str(setting))


class Supervisor:
    """Starts programs, restarts them when they end, and reaps orphans.

    Args:
        logs: Folder of the programs' logs.
        path: `PATH` of the programs.
    """

    def __init__(self, logs: Path, path: str) -> None:
        self._logs = logs
        self._environment = {**os.environ, "PATH": path, "HOME": "/run/tmp", "TMPDIR": "/run/tmp"}
        self._commands: dict[str, list[str]] = {}
        self._running: dict[int, str] = {}
        self._due: dict[str, float] = {}

    def start(self, name: str, command: list[str]) -> None:
        """Starts a program that is to run for ever."""
        self._commands[name] = command
        self._spawn(name)

    def run_once(self, name: str, command: list[str]) -> bool:
        """Runs a program to its end; a failure is in its log and does not stop the node."""
        with (self._logs / f"{name}.log").open("ab") as log:
            ended = subprocess.run(command, stdout=log, stderr=log, env=self._environment, check=False)
        return ended.returncode == 0

    def supervise(self) -> NoReturn:
        """Waits for children for ever, and restarts those that should run."""
        while True:
            for name in [name for name, due in self._due.items() if time.monotonic() >= due]:
                del self._due[name]
                self._spawn(name)
            try:
                pid, status = os.waitpid(-1, os.WNOHANG if self._due else 0)
            except ChildProcessError:
                pid, status = 0, 0
            ended = self._running.pop(pid, None)
            if ended is not None:
                self._note(f"{ended} ended with status {os.waitstatus_to_exitcode(status)}, starting it again")
                self._due[ended] = time.monotonic() + RESTART_DELAY_SECONDS
            elif pid == 0:
                time.sleep(0.1)

    def _spawn(self, name: str) -> None:
        with (self._logs / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                self._commands[name],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,
            )
        self._running[process.pid] = name
        # `waitpid` above reaps it; Popen must not.
        process.returncode = 0

    def _note(self, text: str) -> None:
        with (self._logs / "init.log").open("a") as log:
            log.write(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {text}\n")


def _wait_for_socket(path: str) -> None:
    deadline = time.monotonic() + SOCKET_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(path)
            except OSError:
                time.sleep(0.05)
            else:
                return
    raise SystemExit(f"containerd did not listen on {path} within {SOCKET_TIMEOUT_SECONDS:.0f} s")


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def _write(path: str, text: str) -> None:
    Path(path).write_text(text)


def _end(_signal: int, _frame: FrameType | None) -> NoReturn:
    os._exit(0)


if __name__ == "__main__":
    main()
