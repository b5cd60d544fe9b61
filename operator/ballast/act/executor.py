"""Carries actions out: bounded, in parallel, idempotently, and tells the state what came of each.

One action of a job is under way at a time except for the ungating of its pods; many jobs go on side by side. The
control loop never waits for a write: it asks how much room there is and submits that much. What must hold: each
submitted action is settled or rejected exactly once, also when the process is asked to stop.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable

from ballast.act import manifests, paths
from ballast.act.events import EventRecorder
from ballast.act.kube import ApiRefused, ApiUnavailable, JsonObject, KubeClient
from ballast.api.base import API_VERSION
from ballast.decide.actions import Action, CreateObjects, Transition, Ungate, WriteStatus
from ballast.errors import BallastError
from ballast.failpoints import Failpoints

logger = logging.getLogger(__name__)

MAX_IN_FLIGHT = 256
PARALLEL_WRITES = 16
LOOK_AGAIN_SECONDS = 1.0


class Executor:
    """Executes actions against the API server.

    Args:
        kube: the client.
        events: told what owners should know, after the write that made it true.
        on_done: told each action that succeeded and the objects that the API server answered with, by kind.
        on_failed: told each action that failed, with the error.
        tasks: where the writes run, so that an unforeseen error ends the process instead of losing an action.
    """

    def __init__(
        self,
        kube: KubeClient,
        events: EventRecorder,
        on_done: Callable[[Action, Iterable[tuple[str, JsonObject]]], None],
        on_failed: Callable[[Action, BallastError], None],
        tasks: asyncio.TaskGroup,
        failpoints: Failpoints | None = None,
    ) -> None:
        self._kube = kube
        self._events = events
        self._on_done = on_done
        self._on_failed = on_failed
        self._failpoints = failpoints or Failpoints("")
        self._parallel = asyncio.Semaphore(PARALLEL_WRITES)
        self._group = tasks
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False

    @property
    def room(self) -> int:
        """How many more actions may be submitted now; none until half of those under way are done.

        Without that pause a full queue would ask for a whole cycle each time that one action ends.
        """
        free = MAX_IN_FLIGHT - len(self._tasks)
        return free if free >= MAX_IN_FLIGHT // 2 else 0

    def submit(self, action: Action) -> None:
        """Start an action; returns at once."""
        task = self._group.create_task(self._execute(action))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def drain(self) -> None:
        """Wait until everything that was submitted is done, so that a clean stop leaves nothing half told."""
        self._stopping = True
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _execute(self, action: Action) -> None:
        async with self._parallel:
            try:
                match action:
                    case WriteStatus():
                        answers = await self._write_status(action)
                    case CreateObjects():
                        answers = await self._create_objects(action)
                    case Ungate():
                        answers = await self._ungate(action)
            except BallastError as error:
                self._log_failure(action, error)
                self._on_failed(action, error)
            else:
                self._on_done(action, answers)

    async def _write_status(self, action: WriteStatus) -> list[tuple[str, JsonObject]]:
        metadata = action.job.metadata
        name = f"status.{action.transition}"
        # The version makes it fail where the job was edited meanwhile, or a new one has taken the name; the UID alone
        # does not: on the status subresource the API server ignores it.
        identity = {
            "name": metadata.name,
            "namespace": metadata.namespace,
            "uid": metadata.uid,
            "resourceVersion": metadata.resource_version,
        }
        self._failpoints.passing(f"before:{name}")
        try:
            answer = await self._kube.apply(
                paths.training_job_status(metadata.namespace, metadata.name),
                {
                    "apiVersion": API_VERSION,
                    "kind": "TrainingJob",
                    "metadata": identity,
                    "status": action.status.to_manifest(),
                },
            )
        except ApiUnavailable as error:
            if action.transition is not Transition.ADMIT:
                raise  # Writing it again does no harm.
            answer = await self._admitted_after_all(action, error)
        self._failpoints.passing(f"after:{name}")
        if action.note is not None:
            attempt = action.status.attempts[-1].number if action.status.attempts else 0
            self._events.record(action.job, attempt, action.note)
        return [("TrainingJob", answer)]

    async def _admitted_after_all(self, action: WriteStatus, error: ApiUnavailable) -> JsonObject:
        """Return the job if it was admitted though the answer was lost, else raise the error.

        Until that is known its capacity must stay reserved, or another job would be promised the same.
        """
        metadata = action.job.metadata
        while not self._stopping:
            try:
                seen = await self._kube.get(paths.training_job(metadata.namespace, metadata.name))
            except ApiUnavailable:
                await asyncio.sleep(LOOK_AGAIN_SECONDS)
                continue
            attempts = (seen.get("status") or {}).get("attempts") or [{}]
            is_written = attempts[-1].get("number") == action.status.attempts[-1].number
            if seen["metadata"]["uid"] == metadata.uid and is_written:
                return seen
            break
        raise error

    async def _create_objects(self, action: CreateObjects) -> list[tuple[str, JsonObject]]:
        job, namespace = action.job, action.job.metadata.namespace
        name = manifests.attempt_name(job, action.attempt)
        if manifests.needs_service(job):
            self._failpoints.passing("before:service")
            await self._kube.apply(paths.service(namespace, name), manifests.service(job, action.attempt))
            self._failpoints.passing("after:service")
        self._failpoints.passing("before:job")
        answer = await self._kube.apply(paths.job(namespace, name), manifests.workload(job, action.attempt))
        self._failpoints.passing("after:job")
        return [("Job", answer)]

    async def _ungate(self, action: Ungate) -> list[tuple[str, JsonObject]]:
        self._failpoints.passing("before:ungate")
        answer = await self._kube.json_patch(
            paths.pod(action.job.metadata.namespace, action.pod_name),
            manifests.ungate_patch(action.pod_uid, action.gate_position, action.affinity, action.node),
        )
        self._failpoints.passing("after:ungate")
        return [("Pod", answer)]

    def _log_failure(self, action: Action, error: BallastError) -> None:
        # A job that is deleted while something is written for it is no news.
        gone = isinstance(error, ApiRefused) and error.status in {404, 409}
        logger.log(
            logging.DEBUG if gone else logging.WARNING,
            "action failed; its job is decided again after a pause",
            extra={"action": type(action).__name__, "job": "/".join(action.job.key), "error": str(error)},
        )
