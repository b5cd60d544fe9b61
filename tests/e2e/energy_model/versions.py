"""Every version that a namespace's jobs have had: watched, because the API server keeps only the newest hundred."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Self

from tests.e2e.kube import JsonObject, Kube, Refused
from tests.e2e.namespace import Namespace

WATCH_SECONDS = 2.0
LATE_SECONDS = 60.0
GONE = 410


class Versions:
    """Watches the jobs of a namespace from its beginning; use it as a context manager.

    Args:
        kubeconfig: of the cluster, for a client of its own.
        namespace: whose jobs.
    """

    def __init__(self, kubeconfig: Path, namespace: Namespace) -> None:
        self._kubeconfig = kubeconfig
        self._path = namespace.jobs_path
        self._since = namespace.since
        self._seen: dict[str, list[JsonObject]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stop.set()
        self._thread.join()

    def of(self, name: str, until: JsonObject) -> list[JsonObject]:
        """Return every version of a job up to one."""
        version = int(until["metadata"]["resourceVersion"])
        deadline = time.monotonic() + LATE_SECONDS
        while version > (last := self._last(name)):
            assert time.monotonic() < deadline, f"{name} has come to version {version}; {last} was seen last"
            time.sleep(0.05)
        return list(self._seen[name])

    def _last(self, name: str) -> int:
        return max((int(job["metadata"]["resourceVersion"]) for job in self._seen.get(name, ())), default=0)

    def _watch(self) -> None:
        with Kube(self._kubeconfig) as kube:
            while not self._stop.is_set():
                try:
                    for _, job in kube.watch(self._path, self._since, WATCH_SECONDS):
                        self._saw(job)
                        if self._stop.is_set():
                            return
                except Refused as error:
                    if error.status != GONE:
                        raise
                    # Nothing happened here for long, while much did elsewhere: then nothing is missed.
                    page = kube.get(self._path)
                    for job in page["items"]:
                        self._saw(job)
                    self._since = page["metadata"]["resourceVersion"]

    def _saw(self, job: JsonObject) -> None:
        self._since = job["metadata"]["resourceVersion"]
        seen = self._seen.setdefault(job["metadata"]["name"], [])
        if not seen or seen[-1]["metadata"]["resourceVersion"] != self._since:
            seen.append(job)
