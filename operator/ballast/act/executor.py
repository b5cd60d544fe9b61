"""Carries actions out: bounded, in parallel, idempotently, and tells the state what came of each.

Many jobs go on side by side. The control loop never waits for a write: it asks how much room there is and submits that
much. What must hold: each submitted action is settled or rejected exactly once, also when the process is asked to stop.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from http import HTTPStatus
from typing import Any, Literal

from ballast.act import manifests, paths
from ballast.act.agent_access import AgentAccess
from ballast.act.events import EventRecorder
from ballast.act.exporter_sidecar import ExporterSidecar
from ballast.act.write_queue import WriteQueue
from ballast.api.base import API_VERSION
from ballast.api.labels import JOB_UID_LABEL
from ballast.api.trainingjob import TrainingJob
from ballast.decide.actions import (
    Action,
    AskForRefusal,
    CreateObjects,
    Expire,
    LabelNode,
    MarkNode,
    ReleaseOrphan,
    ReleasePod,
    StopAttempt,
    Transition,
    Ungate,
    WriteNodePower,
    WriteProfile,
    WriteStatus,
)
from ballast.errors import BallastError, NotLeading
from ballast.failpoints import Failpoints
from ballast.kube import ApiRefused, ApiUnavailable, JsonObject, KubeClient, NameTaken

logger = logging.getLogger(__name__)

MAX_IN_FLIGHT = 256
MAX_EXPLANATIONS = 16
PARALLEL_WRITES = 16
PARALLEL_RELEASES = 4
REFUSED_POD_EVENT = "FailedCreate"
"""The reason of the Job controller's events about pods that the API server refused."""

LOOK_AGAIN_SECONDS = 1.0


class Executor:
    """Executes actions against the API server.

    Args:
        kube: the client.
        events: told what owners should know, after the write that made it true.
        on_done: told each action that succeeded and the objects that the API server answered with, by kind.
        on_failed: told each action that failed, with the error.
        tasks: where the writes run, so that an unforeseen error ends the process instead of losing an action.
        node_lost_seconds: how long pods stay on a node that does not answer.
        agent_access: returns how new pods reach their nodes' agents; None while they cannot.
        exporter: what stands beside the trainer in new pods; None for nothing.
        release_kube: the client by which pods are let go, with a limit of its own; None for `kube`.
    """

    def __init__(
        self,
        kube: KubeClient,
        events: EventRecorder,
        on_done: Callable[[Action, Iterable[tuple[str, JsonObject]]], None],
        on_failed: Callable[[Action, BallastError], None],
        tasks: asyncio.TaskGroup,
        failpoints: Failpoints | None = None,
        node_lost_seconds: int = 60,
        agent_access: Callable[[], AgentAccess | None] = lambda: None,
        exporter: ExporterSidecar | None = None,
        release_kube: KubeClient | None = None,
    ) -> None:
        self._agent_access = agent_access
        self._exporter = exporter
        self._kube = kube
        self._release_kube = release_kube or kube
        self._events = events
        self._on_done = on_done
        self._on_failed = on_failed
        self._failpoints = failpoints or Failpoints("")
        self._node_lost_seconds = node_lost_seconds
        self._group = tasks
        self._queue = WriteQueue()
        self._releases: deque[ReleasePod | ReleaseOrphan] = deque()
        self._releasing = 0
        self._workers: set[asyncio.Task[None]] = set()
        self._working = 0
        self._stopping = False

    @property
    def room(self) -> int:
        """How many more actions may be submitted now; none until half of those under way are done.

        Without that pause a full queue would ask for a whole cycle each time that one action ends.
        """
        free = MAX_IN_FLIGHT - self._queue.urgent - self._working
        return free if free >= MAX_IN_FLIGHT // 2 else 0

    @property
    def room_for_explanations(self) -> int:
        """How many more writes that only explain may be submitted now."""
        return max(MAX_EXPLANATIONS - self._queue.explanations, 0)

    def submit(self, action: Action) -> None:
        """Start an action; returns at once."""
        if isinstance(action, (ReleasePod, ReleaseOrphan)):
            # Beside the others, which nothing of this may hold up: neither a place nor the rate of requests.
            self._releases.append(action)
            if self._releasing < PARALLEL_RELEASES:
                self._releasing += 1
                self._start(self._let_go())
            return
        self._queue.put(action)
        if self._working < PARALLEL_WRITES:
            self._working += 1
            self._start(self._work())

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        worker = self._group.create_task(work)
        self._workers.add(worker)
        worker.add_done_callback(self._workers.discard)

    async def drain(self) -> None:
        """Wait until everything that was submitted is done, so that a clean stop leaves nothing half told.

        Pods that wait to be let go are left to the next leader: thousands of them would take longer than a stop may.
        """
        self._stopping = True
        self._releases.clear()
        while self._workers:
            await asyncio.wait(self._workers)

    async def _work(self) -> None:
        try:
            while (action := self._queue.take()) is not None:
                await self._execute(action)
        finally:
            # Here, not when the task is seen to be done: nobody would take what is submitted in between.
            self._working -= 1

    async def _let_go(self) -> None:
        try:
            while self._releases:
                await self._execute(self._releases.popleft())
        finally:
            self._releasing -= 1

    async def _execute(self, action: Action) -> None:
        try:
            match action:
                case WriteStatus():
                    answers = await self._write_status(action)
                case CreateObjects():
                    answers = await self._create_objects(action)
                case Ungate():
                    answers = await self._ungate(action)
                case StopAttempt():
                    answers = await self._stop_attempt(action)
                case AskForRefusal():
                    answers = await self._ask_for_refusal(action)
                case Expire():
                    answers = await self._expire(action)
                case WriteNodePower():
                    answers = await self._write_node_power(action)
                case LabelNode():
                    answers = await self._label_node(action)
                case MarkNode():
                    answers = await self._mark_node(action)
                case WriteProfile():
                    answers = await self._write_profile(action)
                case ReleasePod():
                    position = action.finalizer_position
                    answers = await self._release(
                        action.job.metadata.namespace, action.pod_name, action.pod_uid, position
                    )
                case ReleaseOrphan():
                    pod = action.orphan
                    answers = await self._release(pod.namespace, pod.name, pod.uid, pod.finalizer_position)
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
        if manifests.needs_service(job):
            self._failpoints.passing("before:service")
            await self._apply_service(job)
            self._failpoints.passing("after:service")
        self._failpoints.passing("before:job")
        path = paths.job(namespace, manifests.attempt_name(job, action.attempt))
        try:
            workload = manifests.workload(
                job, action.attempt, self._node_lost_seconds, self._agent_access(), self._exporter
            )
            answer = await self._kube.apply(path, workload)
        except ApiRefused as error:
            if not error.is_final:
                raise
            answer = await self._made_before(action, path, error) or await self._kube.apply(path, workload)
        self._failpoints.passing("after:job")
        return [("Job", answer)]

    async def _apply_service(self, job: TrainingJob) -> None:
        """Apply the gang's Service; one that somebody else made by that name stays as it is."""
        name = manifests.service_name(job)
        try:
            await self._kube.apply(paths.service(job.metadata.namespace, name), manifests.service(job), force=False)
        except ApiRefused as error:
            if error.status == HTTPStatus.CONFLICT and "Apply failed" in str(error):  # fields that others have set
                raise NameTaken(error, "Service", name) from error
            raise

    async def _made_before(self, action: CreateObjects, path: str, error: ApiRefused) -> JsonObject | None:
        """Return the attempt's Job if it is there; it may differ in what changes over time, as agents' authorities do.

        None is there if what had the name is gone by now, or if the Job itself is wrong: applying it again tells.

        Raises:
            NameTaken: somebody else's Job has the name.
            ApiUnavailable: the name is about to be free.
        """
        try:
            found = await self._kube.get(path)
        except ApiRefused as absent:
            if absent.status != HTTPStatus.NOT_FOUND:
                raise
            return None
        owner = (found["metadata"].get("labels") or {}).get(JOB_UID_LABEL)
        if owner is None:
            raise NameTaken(error, "Job", manifests.attempt_name(action.job, action.attempt)) from error
        if owner != action.job.metadata.uid:
            raise ApiUnavailable(f"{path} is still that of an earlier job of the same name") from error
        return found

    async def _ungate(self, action: Ungate) -> list[tuple[str, JsonObject]]:
        self._failpoints.passing("before:ungate")
        answer = await self._kube.json_patch(
            paths.pod(action.job.metadata.namespace, action.pod_name),
            manifests.ungate_patch(action.pod_uid, action.gate_position, action.affinity, action.node),
        )
        self._failpoints.passing("after:ungate")
        return [("Pod", answer)]

    async def _release(self, namespace: str, name: str, uid: str, position: int) -> list[tuple[str, JsonObject]]:
        """Take the finalizer from a pod; no answer if the pod is gone."""
        self._failpoints.passing("before:release")
        try:
            answer = await self._release_kube.json_patch(
                paths.pod(namespace, name), manifests.release_patch(uid, position)
            )
        except ApiRefused as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            return []
        self._failpoints.passing("after:release")
        return [("Pod", answer)]

    async def _stop_attempt(self, action: StopAttempt) -> list[tuple[str, JsonObject]]:
        self._failpoints.passing("before:stop")
        path = paths.job(action.job.metadata.namespace, action.workload_name)
        answer = await self._delete(path, action.workload_uid, "Foreground")
        self._failpoints.passing("after:stop")
        return [] if answer is None else [("Job", answer)]

    async def _ask_for_refusal(self, action: AskForRefusal) -> list[tuple[str, JsonObject]]:
        messages = await self._kube.list_events(action.job.metadata.namespace, action.workload_uid, REFUSED_POD_EVENT)
        return [("Event", {"message": message}) for message in messages[:1]]

    async def _expire(self, action: Expire) -> list[tuple[str, JsonObject]]:
        metadata = action.job.metadata
        self._failpoints.passing("before:expire")
        path = paths.training_job(metadata.namespace, metadata.name)
        answer = await self._delete(path, metadata.uid, "Background", metadata.resource_version)
        self._failpoints.passing("after:expire")
        return [] if answer is None else [("TrainingJob", answer)]

    async def _write_node_power(self, action: WriteNodePower) -> list[tuple[str, JsonObject]]:
        self._failpoints.passing("before:nodepower")
        answer = await self._kube.apply(
            paths.node_power(action.node), manifests.node_power(action.node, action.node_uid, action.spec)
        )
        self._failpoints.passing("after:nodepower")
        return [("NodePower", answer)]

    async def _write_profile(self, action: WriteProfile) -> list[tuple[str, JsonObject]]:
        """Write what was measured, and then what follows from it."""
        self._failpoints.passing("before:profile")
        of, version = (action.namespace, action.name), action.resource_version
        spec = manifests.energy_profile(*of, version, spec=action.spec)
        if version is None:
            # Created, not applied: what is there by that name was learned, too, and is not to be replaced unread.
            answer = await self._kube.create(paths.energy_profiles(action.namespace), spec)
        else:
            answer = await self._kube.apply(paths.energy_profile(*of), spec)
        self._failpoints.passing("after:profile")
        self._failpoints.passing("before:profile.status")
        status = manifests.energy_profile(*of, answer["metadata"]["resourceVersion"], status=action.status)
        answer = await self._kube.apply(paths.energy_profile_status(*of), status)
        self._failpoints.passing("after:profile.status")
        return [("EnergyProfile", answer)]

    async def _label_node(self, action: LabelNode) -> list[tuple[str, JsonObject]]:
        self._failpoints.passing("before:label")
        metadata = {"name": action.node, "uid": action.node_uid, "labels": dict(action.labels)}
        body = {"apiVersion": "v1", "kind": "Node", "metadata": metadata}
        answer = await self._kube.apply(paths.node(action.node), body)
        self._failpoints.passing("after:label")
        return [("Node", answer)]

    async def _mark_node(self, action: MarkNode) -> list[tuple[str, JsonObject]]:
        """Write label and condition at once, so that they never contradict each other."""
        self._failpoints.passing("before:mark")
        answer = await self._kube.merge(paths.node_status(action.node), manifests.node_mark(action))
        self._failpoints.passing("after:mark")
        return [("Node", answer)]

    async def _delete(
        self, path: str, uid: str, propagation: Literal["Foreground", "Background"], version: str | None = None
    ) -> JsonObject | None:
        """Return the object as its deletion has begun, or None if it is gone already."""
        answer = await self._kube.delete(path, uid, version, propagation)
        is_leaving = answer is not None and "deletionTimestamp" in (answer.get("metadata") or {})
        return answer if is_leaving else None

    def _log_failure(self, action: Action, error: BallastError) -> None:
        # A job that is deleted while something is written for it is no news; that this process leads no longer is told
        # where it ends. While a pod is let go, Kubernetes takes a finalizer of its own, and ours moves.
        is_no_news = isinstance(error, NotLeading) or (
            isinstance(error, ApiRefused)
            and (error.status in {404, 409} or (error.is_final and isinstance(action, (ReleasePod, ReleaseOrphan))))
        )
        logger.log(
            logging.DEBUG if is_no_news else logging.WARNING,
            "action failed; what it was for is decided again after a pause",
            extra={"action": type(action).__name__, "about": _subject(action), "error": str(error)},
        )


def _subject(action: Action) -> str:
    match action:
        case ReleaseOrphan():
            return f"{action.orphan.namespace}/{action.orphan.name}"
        case WriteNodePower() | LabelNode() | MarkNode():
            return action.node
        case WriteProfile():
            return f"{action.namespace}/{action.name}"
        case _:
            return "/".join(action.job.key)
