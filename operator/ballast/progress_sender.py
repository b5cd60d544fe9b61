"""Sends what a trainer reports to the exporter beside it, so that the training never waits.

A thread sends, now and then, in order. What must hold: each value of the metric that early stopping goes by is told, or
counted as missing if the exporter does not listen for so long that they cannot all be kept; of everything else the
newest is told. What was sent and not answered is sent again under the same key, and counts once. Nothing is raised.

Standard library only, and no other part of Ballast: trainers import it.
"""

from __future__ import annotations

import json
import logging
import math
import os
import threading
import time
import uuid
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Final, TypeAlias
from urllib.parse import SplitResult

logger = logging.getLogger(__name__)

INTERVAL_SECONDS: Final = 2.0
"""Between two times that something is sent: what comes meanwhile goes together."""
HURRY_SECONDS: Final = 0.05
"""Likewise, while somebody waits for the last."""
TIMEOUT_SECONDS: Final = 5.0
RETRY_SECONDS: Final = (1.0, 2.0, 5.0, 10.0)
MOST_PENDING: Final = 2048
MOST_AT_ONCE: Final = 128
"""Reports in one request."""
MOST_SAID: Final = 64
"""Different warnings; each is given once."""

Send: TypeAlias = Callable[[bytes, str], tuple[int, bytes]]
"""Sends a body under a key, and returns the answer's status and body; raises OSError or HTTPException."""


def _of_version_2(text: str) -> float:
    return int(text.split("usage_usec", 1)[1].split(None, 1)[0]) / 1e6


def _of_version_1(text: str) -> float:
    return int(text) / 1e9


CPU_FILES: Final = (
    (Path("/sys/fs/cgroup/cpu.stat"), _of_version_2),
    (Path("/sys/fs/cgroup/cpuacct/cpuacct.usage"), _of_version_1),
    (Path("/sys/fs/cgroup/cpu,cpuacct/cpuacct.usage"), _of_version_1),
)
"""Where control groups of version 2 and 1 tell a container what it has used, and how that is read."""


@dataclass(slots=True)
class Report:
    """What waits to be told.

    Attributes:
        content: of the JSON object, without metrics.
        metrics: values by name.
        missed: how many values of each metric were dropped before.
    """

    content: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    missed: Counter[str] = field(default_factory=Counter)

    def add(self, newer: Report) -> None:
        """Take in a newer one, whose values replace those here."""
        self.content |= newer.content
        self.metrics |= newer.metrics

    def to_json(self) -> dict[str, Any]:
        """Return it as it is sent."""
        content = dict(self.content)
        if self.metrics:
            content["metrics"] = {name: _plain(value) for name, value in self.metrics.items()}
        if self.missed:
            content["missed"] = dict(self.missed)
        return content


class Sender:
    """Sends what is reported, in a thread of its own.

    Args:
        send: sends one request.
        cpu_seconds: CPU time that the container has used.
    """

    def __init__(self, send: Send, cpu_seconds: Callable[[], float]) -> None:
        self.pid = os.getpid()
        self._send = send
        self._cpu_seconds = cpu_seconds
        self._changed = threading.Condition()
        self._pending: deque[Report] = deque()
        self._missed: Counter[str] = Counter()
        self._in_flight: list[Report] = []
        self._key = ""
        self._metric: str | None = None
        self._knows_metric = False
        self._hurry_until = -math.inf
        self._failures = 0
        self._said: set[str] = set()
        self._thread: threading.Thread | None = None

    @property
    def fails(self) -> bool:
        """Whether the exporter did not answer the last time."""
        return self._failures > 0

    def add(self, report: Report) -> None:
        """Keep a report until it is sent."""
        with self._changed:
            if self._pending and self._is_one(self._pending[-1], report):
                self._pending[-1].add(report)
            else:
                self._pending.append(report)
            if len(self._pending) > MOST_PENDING:
                self._miss(self._pending.popleft())
                self._say("progress comes faster than it can be reported: values are left out", "the oldest")
            self._start()
            self._changed.notify_all()

    def flush(self, seconds: float) -> bool:
        """Wait until all is told, and return whether it is."""
        until = time.monotonic() + seconds
        with self._changed:
            self._hurry_until = until
            self._changed.notify_all()
            while self._pending or self._in_flight:
                left = until - time.monotonic()
                if left <= 0 or self._thread is None or not self._thread.is_alive():
                    return False
                self._changed.wait(left)
        return True

    def _start(self) -> None:
        if self._thread is not None:
            return
        thread = threading.Thread(target=self._run, name="ballast-progress", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # no more threads can be had, or the interpreter ends
            self._say("progress cannot be reported", str(error))
        else:
            self._thread = thread

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._pending and not self._in_flight:
                    self._changed.wait()
                if not self._in_flight:
                    self._take_batch()
            try:
                pause = self._deliver()
            except Exception as error:  # noqa: BLE001 - whatever it is, the thread and the training go on
                pause = self._refused(f"{type(error).__name__}: {error}")
            with self._changed:
                self._changed.notify_all()
                self._pause(pause)

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (now := time.monotonic()) < until:
            if now < self._hurry_until:
                until = min(until, now + HURRY_SECONDS)
            self._changed.wait(until - now)

    def _take_batch(self) -> None:
        batch: list[Report] = []
        # The answer to the first report of all tells which of the others must not be put together.
        most = MOST_AT_ONCE if self._knows_metric else 1
        while self._pending:
            if batch and self._is_one(batch[-1], self._pending[0]):
                batch[-1].add(self._pending.popleft())
            elif len(batch) < most:
                batch.append(self._pending.popleft())
            else:
                break
        batch[0].missed, self._missed = self._missed, Counter()
        self._in_flight = batch
        self._key = uuid.uuid4().hex

    def _deliver(self) -> float:
        """Send what is in flight, and return after how many seconds to go on."""
        reports = [report.to_json() for report in self._in_flight]
        reports[-1]["cpuSeconds"] = round(self._cpu_seconds(), 3)
        try:
            status, body = self._send(json.dumps(reports, allow_nan=False).encode(), self._key)
        except (OSError, HTTPException) as error:
            return self._failed(f"{type(error).__name__}: {error}")
        if status in (408, 429) or status >= 500:
            return self._failed(f"status {status}")
        if status != 200:
            return self._refused(f"status {status}: {body[:500].decode(errors='replace')}")
        self._failures = 0
        is_first = not self._knows_metric
        self._learn(body)
        return 0.0 if is_first else INTERVAL_SECONDS

    def _failed(self, why: str) -> float:
        self._say("progress cannot be reported at the moment; it is kept, and training goes on", why)
        pause = RETRY_SECONDS[min(self._failures, len(RETRY_SECONDS) - 1)]
        self._failures += 1
        return pause

    def _refused(self, why: str) -> float:
        """Drop what is in flight, since trying again would not help."""
        self._say("the exporter refuses what is reported: it is left out", why)
        with self._changed:
            for report in self._in_flight:
                self._miss(report)
            self._in_flight = []
        return INTERVAL_SECONDS

    def _learn(self, body: bytes) -> None:
        """Take from an answer which metric's values must all be told, and what the exporter leaves out."""
        try:
            answer = json.loads(body)
            metric, ignored = answer.get("metric"), dict(answer.get("ignored") or {})
        except (ValueError, TypeError, AttributeError):
            metric, ignored = None, {}
        with self._changed:
            self._metric = metric if isinstance(metric, str) else None
            self._knows_metric = True
            self._in_flight = []
        for name, why in ignored.items():
            self._say(f"the exporter leaves out {name}", str(why))

    def _miss(self, report: Report) -> None:
        self._missed += report.missed + Counter(list(report.metrics))

    def _is_one(self, older: Report, newer: Report) -> bool:
        """Return whether two reports can go as one: neither is an evaluation."""
        return self._knows_metric and self._metric not in older.metrics and self._metric not in newer.metrics

    def _say(self, what: str, why: str) -> None:
        if what not in self._said and len(self._said) < MOST_SAID:
            self._said.add(what)
            logger.warning("%s (%s)", what, why)


def sender_to(url: SplitResult) -> Send:
    """Return what sends to an address, without any proxy: the exporter is in the same pod."""
    host, port, path = url.hostname or "", url.port, url.path or "/"

    def send(body: bytes, key: str) -> tuple[int, bytes]:
        connection = HTTPConnection(host, port, timeout=TIMEOUT_SECONDS)
        try:
            connection.request("POST", path, body, {"Content-Type": "application/json", "Idempotency-Key": key})
            answer = connection.getresponse()
            return answer.status, answer.read(65536)
        finally:
            connection.close()

    return send


def container_cpu_seconds() -> float:
    """Return the CPU time that this container has used; where no control group tells it, that of this process."""
    for path, read in CPU_FILES:
        try:
            return read(path.read_text(encoding="ascii"))
        except (OSError, ValueError, IndexError):
            continue
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _plain(value: float) -> float | str:
    """Return a number as JSON can hold it."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
