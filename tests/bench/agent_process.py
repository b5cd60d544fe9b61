"""The agent as a process of a benchmark's own: `python -m ballast agent` beside an API server and simulated GPUs."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import yaml

from tests.cluster.processes import MARK
from tests.e2e.operator_process import REPOSITORY, free_port
from tests.e2e.operators import OPERATOR_NAMESPACE
from tests.nvmlsim.testing import environment

START_SECONDS = 60.0
STOP_SECONDS = 30.0
_USER_TIME, _SYSTEM_TIME = 11, 12  # in /proc/<pid>/stat, counted after the command in parentheses


class AgentProcess:
    """One run of the agent; use it as a context manager.

    Args:
        kubeconfig: how it reaches the cluster, and as whom.
        cluster_folder: marks the process as the cluster's, so that it goes with it.
        state_path: of the simulated GPUs.
        log: where its output goes.
        node: the node's name.
        settings: further settings, by their environment variables.

    Attributes:
        https_port: where pods ask for their readings.
    """

    def __init__(
        self,
        kubeconfig: Path,
        cluster_folder: Path,
        state_path: Path,
        log: Path,
        node: str,
        settings: Mapping[str, str],
    ) -> None:
        self._log = log
        self._port = free_port()
        self.https_port = free_port()
        given = {name: value for name, value in environment(state_path).items() if not name.startswith("BALLAST_")}
        variables = {
            **given,
            "KUBECONFIG": str(kubeconfig),
            "PYTHONPATH": str(REPOSITORY / "operator"),
            "MALLOC_ARENA_MAX": "2",  # as in its image
            "SSL_CERT_FILE": str(_authority(kubeconfig, log.parent)),  # as in the chart
            MARK: str(cluster_folder),
            "BALLAST_AGENT_NODE_NAME": node,
            "BALLAST_AGENT_NAMESPACE": OPERATOR_NAMESPACE,
            "BALLAST_AGENT_HTTP_HOST": "127.0.0.1",
            "BALLAST_AGENT_HTTP_PORT": str(self._port),
            "BALLAST_AGENT_HTTPS_HOST": "127.0.0.1",
            "BALLAST_AGENT_HTTPS_PORT": str(self.https_port),
            "BALLAST_AGENT_LOG_FORMAT": "text",
            **settings,
        }
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "ballast", "agent"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=variables,
                cwd=log.parent,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def wait_until_ready(self) -> Self:
        """Wait until `/readyz` says so.

        Raises:
            RuntimeError: it never does.
        """
        deadline = time.monotonic() + START_SECONDS
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the agent is not ready:\n{self.log_tail()}")
            time.sleep(0.1)
        return self

    def cpu_seconds(self) -> float:
        """Return the CPU time that it has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[_USER_TIME]) + int(fields[_SYSTEM_TIME])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        """End it as Kubernetes does.

        Raises:
            RuntimeError: it does not end well.
        """
        self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"the agent does not stop:\n{self.log_tail()}") from None
        if code != 0:
            raise RuntimeError(f"the agent ended with {code}:\n{self.log_tail()}")

    def log_tail(self) -> str:
        """Return the end of its log."""
        return self._log.read_text(errors="replace")[-6000:]

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


def _authority(kubeconfig: Path, folder: Path) -> Path:
    """Write the cluster's authority into a file of its own, as a pod has it."""
    cluster = yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]
    file = folder / "ca.crt"
    file.write_bytes(base64.b64decode(cluster["certificate-authority-data"]))
    return file
