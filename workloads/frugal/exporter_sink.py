"""Tells Ballast's exporter, which stands beside the trainer in its pod, how far a run is; elsewhere there is none.

Plain JSON over HTTP, as any trainer can speak it. A thread sends, so that training never waits; all reports are sent in
order, several at once if they come fast. What must hold: none is lost without being counted, and the last one has
arrived before the process ends, unless nobody listens for `CLOSE_SECONDS`.
"""

from __future__ import annotations

import json
import logging
import math
import threading
import time
import uuid
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import SplitResult, urlsplit

from frugal.cpu import used_seconds
from frugal.progress import Progress, ProgressSink

log = logging.getLogger(__name__)

URL_VARIABLE = "BALLAST_PROGRESS_URL"
SEND_SECONDS = 1.0  # between two requests
TIMEOUT_SECONDS = 5.0
CLOSE_SECONDS = 5.0
MOST_WAITING = 1024
MOST_AT_ONCE = 64


@contextmanager
def exporter_sinks(environ: Mapping[str, str]) -> Iterator[list[ProgressSink]]:
    """The sink that reports to the exporter, if this is a pod that has one; its last report is sent at the end."""
    address = environ.get(URL_VARIABLE)
    if not address:
        yield []
        return
    try:
        sink = ExporterSink(address)
    except ValueError as error:
        log.warning("%s is %r, nothing is reported there: %s", URL_VARIABLE, address, error)
        yield []
        return
    try:
        yield [sink]
    finally:
        sink.close()


class ExporterSink:
    """Reports to the exporter.

    Args:
        address: http://HOST:PORT/PATH of it.

    Raises:
        ValueError: That is no such address.
    """

    def __init__(self, address: str) -> None:
        self._url = _parsed(address)
        self._waiting: deque[dict[str, Any]] = deque()
        self._missed: Counter[str] = Counter()
        self._changed = threading.Condition()
        self._close_at = math.inf
        self._failed = False
        self._thread: threading.Thread | None = None

    def report(self, progress: Progress) -> None:
        """See `ProgressSink.report`."""
        with self._changed:
            self._waiting.append(_as_json(progress))
            if len(self._waiting) > MOST_WAITING:
                self._missed.update(self._waiting.popleft()["metrics"].keys())
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="exporter-sink", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def close(self) -> None:
        """Wait until everything has arrived, or for `CLOSE_SECONDS`."""
        with self._changed:
            self._close_at = time.monotonic() + CLOSE_SECONDS
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        while batch := self._next_batch():
            key = uuid.uuid4().hex  # what is sent twice counts once
            while not self._send(batch, key):
                with self._changed:
                    self._changed.wait(min(SEND_SECONDS, max(0.0, self._close_at - time.monotonic())))
                if time.monotonic() >= self._close_at:
                    return
            with self._changed:
                if self._close_at == math.inf:
                    self._changed.wait_for(lambda: self._close_at < math.inf, SEND_SECONDS)

    def _next_batch(self) -> list[dict[str, Any]]:
        """The oldest reports; none if there are none and there will be none."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._close_at < math.inf)
            batch = [self._waiting.popleft() for _ in range(min(MOST_AT_ONCE, len(self._waiting)))]
            if batch and self._missed:
                batch[0]["missed"] = dict(self._missed)
                self._missed.clear()
        return batch

    def _send(self, batch: list[dict[str, Any]], key: str) -> bool:
        """Whether it needs not be sent again."""
        batch[-1]["cpuSeconds"] = round(used_seconds(), 3)
        connection = HTTPConnection(self._url.hostname or "", self._url.port, timeout=TIMEOUT_SECONDS)
        try:
            headers = {"Content-Type": "application/json", "Idempotency-Key": key}
            connection.request("POST", self._url.path or "/", json.dumps(batch), headers)
            answer = connection.getresponse()
            if answer.status == 200:
                return True
            problem = f"{answer.status} {answer.read(500).decode(errors='replace')}"
        except (OSError, HTTPException) as error:
            answer = None
            problem = f"{type(error).__name__}: {error}"
        finally:
            connection.close()
        if not self._failed:
            log.warning("the exporter does not take what is reported: %s", problem)
            self._failed = True
        return answer is not None and answer.status < 500


def _as_json(progress: Progress) -> dict[str, Any]:
    """A report as the exporter takes it; epochs are those that are done, with a fraction."""
    metrics = {
        "loss": progress.loss,
        "accuracy": progress.accuracy,
        "val_loss": progress.val_loss,
        "val_accuracy": progress.val_accuracy,
        "lr": progress.lr,
    }
    if progress.synthetic:
        metrics = {"lr": progress.lr}  # nobody shall decide by what random examples say
    content = {
        "step": progress.step,
        "totalSteps": progress.total_steps or None,
        "epoch": progress.epochs * progress.step / progress.total_steps if progress.total_steps else None,
        "samples": progress.samples,
        "secondsLeft": progress.seconds_left,
        "metrics": {name: _plain(value) for name, value in metrics.items() if value is not None},
    }
    return {name: value for name, value in content.items() if value is not None}


def _plain(value: float) -> float | str:
    """JSON has no numbers for a loss that has diverged."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _parsed(address: str) -> SplitResult:
    url = urlsplit(address)
    if url.scheme != "http" or not url.hostname or url.port == 0:
        raise ValueError("use http://HOST:PORT/PATH")
    return url
