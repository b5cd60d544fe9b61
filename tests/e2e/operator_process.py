"""The operator as a process outside the cluster, with its service account's own rights.

So that a test can kill it where it likes, and so that whatever it does is refused if the manifests do not grant it.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Self

REPOSITORY = Path(__file__).resolve().parents[2]
START_TIMEOUT_SECONDS = 60.0
STOP_TIMEOUT_SECONDS = 30.0
LOG_TAIL_CHARACTERS = 6000
# Long, so that a busy machine loses no lease: `Operators` frees that of an operator that it knows to be dead.
LEASE_SECONDS = 60


class OperatorProcess:
    """One run of `python -m ballast operator`.

    Args:
        kubeconfig: how it reaches the cluster, and as whom.
        log: where its output goes; appended, so that runs of one test follow each other.
        failpoint: where it is to die; see `ballast.failpoints`.
        settings: further settings, by their environment variables.
        module: what is run, for a benchmark that runs it in another way.
    """

    def __init__(
        self,
        kubeconfig: Path,
        log: Path,
        *,
        failpoint: str = "",
        settings: Mapping[str, str] | None = None,
        module: str = "ballast",
    ) -> None:
        self._log = log
        self.port = free_port()
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("BALLAST_")},
            "KUBECONFIG": str(kubeconfig),
            "PYTHONPATH": os.pathsep.join([str(REPOSITORY / "operator"), str(REPOSITORY)]),
            "BALLAST_HTTP_HOST": "127.0.0.1",
            "BALLAST_HTTP_PORT": str(self.port),
            "BALLAST_LOG_FORMAT": "text",
            "BALLAST_LEASE_SECONDS": str(LEASE_SECONDS),
            "BALLAST_WEBHOOK_PORT": "0",
            # Nodes fall empty at any moment between tests: those that are about their marks switch them on.
            "BALLAST_EMPTY_NODES_MARK": "false",
            "BALLAST_FAILPOINT": failpoint,
            **(settings or {}),
        }
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, "operator"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                cwd=log.parent,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def wait_until_ready(self, timeout_seconds: float = START_TIMEOUT_SECONDS) -> Self:
        """Wait until `/readyz` says so."""
        deadline = time.monotonic() + timeout_seconds
        while True:
            status, said = self.ask("/readyz")
            if status == 200:
                return self
            assert self.running, f"the operator ended with {self._process.returncode}:\n{self.log_tail()}"
            assert time.monotonic() < deadline, f"the operator is not ready: {said}\n{self.log_tail()}"
            time.sleep(0.02)

    def wait_until_it_logs(self, text: str) -> None:
        """Wait until its log holds a text."""
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while text not in self.log_text():
            assert self.running, f"the operator ended with {self._process.returncode}:\n{self.log_tail()}"
            assert time.monotonic() < deadline, f"the operator never logged {text!r}:\n{self.log_tail()}"
            time.sleep(0.05)

    @property
    def leads(self) -> bool:
        """Whether it says that it leads."""
        return "\nballast_leader 1.0\n" in self.ask("/metrics")[1]

    def wait_until_it_leads(self) -> Self:
        """Wait until it says that it leads."""
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while not self.leads:
            assert self.running, f"the operator ended with {self._process.returncode}:\n{self.log_tail()}"
            assert time.monotonic() < deadline, f"the operator does not lead:\n{self.log_tail()}"
            time.sleep(0.05)
        return self

    def identity(self) -> str:
        """Return the identity with which it leads."""
        said = re.findall(r" ballast\.leadership: leading identity=(\S+)", self.log_text())
        assert said, f"the operator has not led:\n{self.log_tail()}"
        return str(said[-1])

    def pause(self) -> None:
        """Stop it as a debugger or a frozen machine does; it notices nothing."""
        self._process.send_signal(signal.SIGSTOP)

    def pause_between_steps(self) -> None:
        """Stop it as `pause` does, but not in the middle of a step; only for `tests.e2e.pausable_loop`."""
        self._process.send_signal(signal.SIGUSR1)
        deadline = time.monotonic() + STOP_TIMEOUT_SECONDS
        while os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WNOHANG) is None:
            assert time.monotonic() < deadline, f"the operator does not stop:\n{self.log_tail()}"
            time.sleep(0.001)

    def wake(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)

    def wait_until_dead(self, timeout_seconds: float = STOP_TIMEOUT_SECONDS) -> int:
        """Wait until it has ended and return its exit code, negative for a signal."""
        try:
            return self._process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the operator still runs after {timeout_seconds} s:\n{self.log_tail()}") from None

    def stop(self) -> int:
        """Ask it to stop as Kubernetes does, and return its exit code."""
        self._process.send_signal(signal.SIGTERM)
        return self.wait_until_dead()

    def kill(self) -> None:
        """Kill it, if it still runs."""
        if self.running:
            self._process.kill()
        self._process.wait(STOP_TIMEOUT_SECONDS)

    def ask(self, path: str) -> tuple[int, str]:
        """Return the status and text of a GET, or 0 and the problem if there is no answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    def log_text(self) -> str:
        """Return all that it has logged."""
        return self._log.read_text(errors="replace")

    def log_tail(self) -> str:
        """Return the end of its log."""
        return self.log_text()[-LOG_TAIL_CHARACTERS:]


def free_port() -> int:
    """Return a port of the loopback address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
