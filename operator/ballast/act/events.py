"""Kubernetes events for a job's owner: what happened to the job, in numbers.

Events explain; nothing depends on them. So they have a rate of their own, which status writes never wait for, and a
bounded queue: when too much happens at once the oldest unsent ones are dropped and counted. The same note of the
same attempt has the same name, so that a restart does not repeat it.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Protocol

from ballast.act import paths
from ballast.api.base import API_VERSION
from ballast.api.trainingjob import TrainingJob
from ballast.decide.actions import Note
from ballast.errors import BallastError
from ballast.failpoints import Failpoints
from ballast.kube import ApiRefused, JsonObject, RateLimiter

logger = logging.getLogger(__name__)

COMPONENT = "ballast-operator"
MAX_QUEUED = 1_000
MAX_MESSAGE_LENGTH = 1_024


class _Creates(Protocol):
    async def create(self, path: str, body: dict[str, Any]) -> JsonObject: ...


class EventRecorder:
    """Sends events in the background; `run` it in the operator's task group.

    Args:
        kube: where to send them.
        per_second: sustained rate.
        on_dropped: told of each event that had to be dropped.
    """

    def __init__(
        self,
        kube: _Creates,
        per_second: float = 10.0,
        failpoints: Failpoints | None = None,
        on_dropped: Callable[[], None] = lambda: None,
    ) -> None:
        self._kube = kube
        self._limiter = RateLimiter(per_second)
        self._failpoints = failpoints or Failpoints("")
        self._on_dropped = on_dropped
        self._queue: deque[tuple[str, JsonObject]] = deque()
        self._filled = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def record(self, job: TrainingJob, attempt: int, note: Note) -> None:
        """Queue an event; returns at once."""
        if len(self._queue) >= MAX_QUEUED:
            self._queue.popleft()
            self._on_dropped()
        self._queue.append((job.metadata.namespace, event(job, attempt, note, datetime.now(UTC))))
        self._filled.set()
        self._idle.clear()

    async def run(self) -> None:
        """Send queued events until cancelled."""
        while True:
            await self._filled.wait()
            while self._queue:
                await self._limiter.acquire()
                namespace, body = self._queue.popleft()
                await self._send(namespace, body)
            self._filled.clear()
            self._idle.set()

    async def flush(self, timeout_seconds: float) -> None:
        """Give what is queued some time to be sent, before the process ends."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._idle.wait()
        except TimeoutError:
            logger.warning("stopping with unsent events", extra={"events": len(self._queue)})

    async def _send(self, namespace: str, body: JsonObject) -> None:
        self._failpoints.passing("before:event")
        try:
            await self._kube.create(paths.events(namespace), body)
        except ApiRefused as error:
            # 409: sent before a restart. 404 and 403: the namespace is gone or going.
            if error.status not in {403, 404, 409}:
                logger.warning("event refused", extra={"event": body["metadata"]["name"], "error": str(error)})
        except BallastError as error:
            logger.warning("event not sent", extra={"event": body["metadata"]["name"], "error": str(error)})
            self._on_dropped()
        self._failpoints.passing("after:event")


def event(job: TrainingJob, attempt: int, note: Note, now: datetime) -> JsonObject:
    """Return a core/v1 Event about the job, named after what it says."""
    said = f"{job.metadata.uid}/{attempt}/{job.metadata.generation}/{note.reason}/{note.message}"
    digest = hashlib.sha256(said.encode()).hexdigest()[:16]
    time = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{job.metadata.name}.{digest}", "namespace": job.metadata.namespace},
        "involvedObject": {
            "apiVersion": API_VERSION,
            "kind": "TrainingJob",
            "name": job.metadata.name,
            "namespace": job.metadata.namespace,
            "uid": job.metadata.uid,
        },
        "type": "Warning" if note.warning else "Normal",
        "reason": note.reason,
        "message": note.message[:MAX_MESSAGE_LENGTH],
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
        "firstTimestamp": time,
        "lastTimestamp": time,
        "count": 1,
    }
