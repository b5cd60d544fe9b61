"""kubectl, the demo's only way to the cluster: what it does, its user can do by hand.

Invariant: every failure is a `DemoError` with kubectl's own words; a watch that ends is begun anew, so that a reader
sees each object at least once more after any gap.
"""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from queue import Queue
from typing import Any

from tests.demo.errors import DemoError

JsonObject = dict[str, Any]


class Kubectl:
    """Runs kubectl on one cluster.

    Args:
        command: The words with which a command starts: the program and how to reach the cluster.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._command = tuple(command)

    def run(self, *arguments: str, stdin: str = "", timeout_seconds: float = 120.0) -> str:
        """Runs a command to its end and returns what it printed.

        Raises:
            DemoError: It failed, or did not end in time.
        """
        told = f"kubectl {' '.join(arguments)}"
        try:
            completed = subprocess.run(
                [*self._command, *arguments],
                input=stdin,
                capture_output=True,
                text=True,
                timeout=timeout_seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise DemoError(f"`{told}` did not end within {timeout_seconds:.0f} s") from error
        except OSError as error:
            raise DemoError(f"cannot run {self._command[0]}: {error.strerror}") from error
        if completed.returncode != 0:
            raise DemoError(f"`{told}` failed: {(completed.stderr or completed.stdout).strip()[-2000:]}")
        return completed.stdout

    def items(self, resource: str, *arguments: str) -> list[JsonObject]:
        """The objects of a list."""
        listed: list[JsonObject] = json.loads(self.run("get", resource, *arguments, "-o", "json"))["items"]
        return listed

    def apply(self, objects: Sequence[JsonObject], *arguments: str) -> None:
        """Applies objects server-side, as their owner."""
        whole = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
        # fmt: off
        self.run("apply", "--server-side", "--force-conflicts", "--field-manager=ballast-demo", "-f", "-", *arguments,
                 stdin=whole)
        # fmt: on

    @contextmanager
    def watch(self, resource: str, *arguments: str) -> Iterator[Queue[JsonObject]]:
        """A queue of watch events, `{"type": ..., "object": ...}`, that fills until the context is left."""
        watch = _Watch([*self._command, "get", resource, *arguments, "--watch", "--output-watch-events", "-o", "json"])
        watch.start()
        try:
            yield watch.events
        finally:
            watch.stop()


class _Watch:
    """A kubectl that watches, and the thread that reads it."""

    def __init__(self, command: Sequence[str]) -> None:
        self.events: Queue[JsonObject] = Queue()
        self._command = list(command)
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._reader = threading.Thread(target=self._read, name="kubectl-watch", daemon=True)

    def start(self) -> None:
        self._reader.start()

    def stop(self) -> None:
        with self._lock:
            self._stopped.set()
            if self._process is not None:
                self._process.terminate()
        self._reader.join()

    def _read(self) -> None:
        while not self._stopped.is_set():
            with self._lock:
                if self._stopped.is_set():
                    return
                self._process = subprocess.Popen(
                    self._command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    text=True,
                )
            with self._process as process:
                for line in process.stdout or ():
                    with suppress(ValueError):  # the last line of a kubectl that was killed
                        self.events.put(json.loads(line))
            # The API server ends watches now and then; and it may be away for a moment.
            self._stopped.wait(0.5)
