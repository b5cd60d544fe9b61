"""The operator's memory of the world, and of its own actions that the world does not show yet.

Fed from watches, lists and the answers to writes; read as frozen snapshots by the control loop. It runs on the event
loop only and never blocks. What must hold: an action in flight is *assumed* to have happened until its answer is
there, so that a stale cache never places a job twice; when it fails the assumption is dropped and the job waits a
little before it is decided again.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ballast.api.trainingjob import InvalidTrainingJob, Phase, TrainingJob, TrainingJobStatus
from ballast.decide.actions import Action, CreateObjects, Ungate, WriteStatus
from ballast.decide.resources import Resources
from ballast.decide.snapshot import GangRequest, Job, Lane, Pod, Refusal, Snapshot, Workload
from ballast.observe.node_usage import NodeUsage
from ballast.observe.parsing import (
    JsonObject,
    UnsupportedTemplate,
    gang_request,
    pod_request,
    training_job_uid,
    training_pod,
    workload,
)
from ballast.observe.versions import Versions
from ballast.observe.waiting import WaitingJobs

FIRST_RETRY_SECONDS = 0.5
LONGEST_RETRY_SECONDS = 60.0
ENDED_POD_PHASES = frozenset({"Succeeded", "Failed"})


class Kind(StrEnum):
    """The kinds that are watched."""

    TRAINING_JOB = "TrainingJob"
    JOB = "Job"
    POD = "Pod"
    NODE = "Node"


@dataclass(slots=True)
class _Record:
    """Everything known about one TrainingJob; the children may be seen before the job itself."""

    job: TrainingJob | None = None
    gang: GangRequest | None = None
    problem: str | None = None
    workloads: dict[str, Workload] = field(default_factory=dict)  # more than one while an old one is going
    pods: dict[str, Pod] = field(default_factory=dict)
    assumed: TrainingJobStatus | None = None
    creating: bool = False
    refused_objects: str | None = None
    ungating: frozenset[str] = frozenset()
    failures: int = 0
    resting: bool = False


class ClusterState:
    """What is known of the cluster; see the module's docstring.

    Args:
        wake: called whenever something changed that a cycle should look at.
        on_invalid: called with the error of a TrainingJob that cannot be read.
        clock: seconds since any moment; tells when a resting job is due.
    """

    def __init__(
        self,
        wake: Callable[[], None] = lambda: None,
        on_invalid: Callable[[InvalidTrainingJob], None] = lambda error: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.synced = asyncio.Event()
        self._clock = clock
        self._wake = wake
        self._on_invalid = on_invalid
        self._versions = {kind: Versions() for kind in Kind}
        self._records: dict[str, _Record] = defaultdict(_Record)
        self._owner_of: dict[str, str] = {}  # UID of a Job or training pod -> UID of its TrainingJob
        self._node_names: dict[str, str] = {}
        self._usage = NodeUsage()
        self._waiting = WaitingJobs()
        self._changed: set[str] = set()
        self._retries: list[tuple[float, str]] = []
        self._refused: Mapping[GangRequest, Refusal] = {}
        self._refused_at = 0
        self._phases: dict[str, Phase] = {}

    # -- what happened in the world -------------------------------------------------------------------------------

    def observe(self, kind: Kind, obj: JsonObject) -> None:
        """Take in one object, from a watch, a list or the answer to a write; stale versions are ignored."""
        metadata = obj["metadata"]
        if not self._versions[kind].accept(metadata["uid"], metadata["resourceVersion"]):
            return
        match kind:
            case Kind.TRAINING_JOB:
                self._observe_job(obj)
            case Kind.JOB:
                self._observe_workload(obj)
            case Kind.POD:
                self._observe_pod(obj)
            case Kind.NODE:
                self._node_names[metadata["uid"]] = metadata["name"]
                self._usage.put_node(obj)
        self._wake()

    def forget(self, kind: Kind, uid: str) -> None:
        """Take in that an object is deleted."""
        self._versions[kind].bury(uid)
        match kind:
            case Kind.TRAINING_JOB:
                record = self._records.get(uid)
                if record is not None:
                    record.job, record.assumed = None, None
                    self._refresh(uid)
            case Kind.NODE:
                name = self._node_names.pop(uid, None)
                if name is not None and name not in self._node_names.values():
                    self._usage.remove_node(name)
            case Kind.JOB | Kind.POD:
                self._usage.claim(uid, {})
                owner = self._owner_of.pop(uid, None)
                if owner is not None:
                    record = self._records[owner]
                    record.pods.pop(uid, None)
                    record.ungating -= {uid}
                    record.workloads.pop(uid, None)
                    self._refresh(owner)
        self._wake()

    def replace_all(self, kind: Kind, objects: Iterable[JsonObject], list_version: str) -> None:
        """Take in a complete list: what it lacks is gone, though no watch said so."""
        listed: set[str] = set()
        for obj in objects:
            listed.add(obj["metadata"]["uid"])
            self.observe(kind, obj)
        for uid in self._versions[kind].vanished(listed, list_version):
            self.forget(kind, uid)

    def _observe_job(self, obj: JsonObject) -> None:
        uid = obj["metadata"]["uid"]
        record = self._records[uid]
        try:
            job = TrainingJob.parse(obj)
        except InvalidTrainingJob as error:
            self._on_invalid(error)
            record.job = None
            self._refresh(uid)
            return
        if record.job is None or record.job.spec != job.spec:
            try:
                record.gang, record.problem = gang_request(job), None
            except UnsupportedTemplate as error:
                record.gang, record.problem = None, str(error)
        record.job = job
        self._refresh(uid)

    def _observe_workload(self, obj: JsonObject) -> None:
        owner = training_job_uid(obj)
        if owner is None:
            return
        self._owner_of[obj["metadata"]["uid"]] = owner
        seen = workload(obj)
        self._records[owner].workloads[seen.uid] = seen
        self._refresh(owner)

    def _observe_pod(self, obj: JsonObject) -> None:
        uid, spec = obj["metadata"]["uid"], obj["spec"]
        node = spec.get("nodeName")
        ended = (obj.get("status") or {}).get("phase") in ENDED_POD_PHASES
        self._usage.claim(uid, {node: pod_request(spec)} if node and not ended else {})
        owner = training_job_uid(obj)
        if owner is not None:
            self._owner_of[uid] = owner
            self._records[owner].pods[uid] = training_pod(obj)
            self._refresh(owner)

    # -- what the operator does -----------------------------------------------------------------------------------

    def assume(self, action: Action) -> None:
        """Count an action as done while it is under way."""
        record = self._records[action.job.metadata.uid]
        match action:
            case WriteStatus():
                record.assumed = action.status
            case CreateObjects():
                record.creating = True
            case Ungate():
                record.ungating |= {action.pod_uid}
        self._refresh(action.job.metadata.uid)

    def settle(self, action: Action, answers: Iterable[tuple[Kind, JsonObject]]) -> None:
        """Replace the assumption by what the API server answered."""
        for kind, obj in answers:
            self.observe(kind, obj)
        self._drop_assumption(action)
        record = self._records[action.job.metadata.uid]
        record.failures = 0
        self._refresh(action.job.metadata.uid)
        self._wake()

    def reject(self, action: Action, invalid: str | None = None) -> None:
        """Drop the assumption of an action that failed; its job rests for a while, longer each time.

        Args:
            action: the action that failed.
            invalid: what the API server said, if it will never do it.
        """
        self._drop_assumption(action)
        uid = action.job.metadata.uid
        record = self._records[uid]
        if isinstance(action, CreateObjects):
            record.refused_objects = invalid
        delay = min(FIRST_RETRY_SECONDS * 2**record.failures, LONGEST_RETRY_SECONDS)
        record.failures = min(record.failures + 1, 16)
        record.resting = True
        heapq.heappush(self._retries, (self._clock() + delay, uid))
        self._refresh(uid)

    def _drop_assumption(self, action: Action) -> None:
        record = self._records[action.job.metadata.uid]
        match action:
            case WriteStatus():
                record.assumed = None
            case CreateObjects():
                record.creating = False
            case Ungate():
                record.ungating -= {action.pod_uid}

    # -- what the control loop reads ------------------------------------------------------------------------------

    def snapshot(self, now: float, max_actions: int) -> Snapshot:
        """Return the frozen picture for one cycle and mark everything in it as seen.

        Args:
            now: seconds since the epoch.
            max_actions: how many actions the executor takes at this moment.
        """
        self._wake_rested()
        changed = [self._view(uid) for uid in self._changed]
        self._changed = set()
        if self._refused_at != self._usage.gains:
            self._refused, self._refused_at = {}, self._usage.gains
        return Snapshot(
            now=now,
            nodes=self._usage.nodes(),
            lanes=tuple(Lane(gang, jobs) for gang, jobs in self._waiting.lanes(max_actions)),
            changed=tuple(job for job in changed if job is not None),
            review=self._waiting.review(max_actions),
            refused=self._refused,
            max_actions=max_actions,
        )

    @property
    def has_more(self) -> bool:
        """Whether waiting jobs changed that the last snapshot had no room for."""
        return self._waiting.has_changed

    def remember(self, refused: Mapping[GangRequest, Refusal]) -> None:
        """Keep what the last snapshot's cycle refused, until something becomes free."""
        if self._refused_at == self._usage.gains:
            self._refused = refused

    def look_again(self, snapshot: Snapshot) -> None:
        """Put a snapshot's jobs back, because its actions were cut off."""
        for job in snapshot.changed:
            if job.uid in self._records:
                self._refresh(job.uid)
        self._waiting.keep_for_review(job.uid for job in snapshot.review)

    def seconds_to_next_retry(self) -> float | None:
        """Return when the next resting job is due, or None if none rests."""
        return max(self._retries[0][0] - self._clock(), 0.0) if self._retries else None

    def jobs_by_phase(self) -> Mapping[Phase, int]:
        """Return how many TrainingJobs there are in each phase."""
        counts: dict[Phase, int] = dict.fromkeys(Phase, 0)
        for phase in self._phases.values():
            counts[phase] += 1
        return counts

    def _wake_rested(self) -> None:
        while self._retries and self._retries[0][0] <= self._clock():
            _, uid = heapq.heappop(self._retries)
            if uid in self._records:
                self._records[uid].resting = False
                self._refresh(uid)

    def _view(self, uid: str) -> Job | None:
        record = self._records.get(uid)
        if record is None or record.job is None:
            return None
        job = record.job
        if record.assumed is not None:
            job = job.model_copy(update={"status": record.assumed})
        created = job.status.queued_at or job.metadata.creation_timestamp
        return Job(
            job=job,
            uid=uid,
            queued_at=created.timestamp() if created is not None else 0.0,
            gang=record.gang,
            problem=record.problem,
            workload=_newest(record.workloads.values()),
            pods=tuple(record.pods.values()),
            creating=record.creating,
            refused_objects=record.refused_objects,
            ungating=record.ungating,
        )

    def _refresh(self, uid: str) -> None:
        """Derive everything that depends on one job anew: its lane, its reservation, whether it is due."""
        record = self._records[uid]
        job = self._view(uid)
        if job is None:
            self._waiting.remove(uid)
            self._usage.claim(uid, {})
            self._changed.discard(uid)
            self._phases.pop(uid, None)
            if not record.workloads and not record.pods:
                del self._records[uid]
            return
        phase = job.job.status.phase
        self._phases[uid] = phase
        self._usage.claim(uid, _reservation(job))
        is_waiting = phase in {Phase.PENDING, Phase.QUEUED}
        in_flight = record.assumed is not None
        deleting = job.job.metadata.deletion_timestamp is not None
        if deleting or record.resting or in_flight or not is_waiting:
            self._waiting.remove(uid)
        else:
            self._waiting.put(job)
        if is_waiting or in_flight or record.resting or deleting:
            self._changed.discard(uid)
        else:
            self._changed.add(uid)


def _newest(workloads: Iterable[Workload]) -> Workload | None:
    """Return the Job of the latest attempt; of two of the same attempt the one that appeared later."""
    newest: Workload | None = None
    for seen in workloads:
        if newest is None or seen.attempt >= newest.attempt:
            newest = seen
    return newest


def _reservation(job: Job) -> Mapping[str, Resources]:
    """Return what the job holds of each node beyond what its bound pods hold already."""
    status = job.job.status
    if status.phase is not Phase.PLACING or job.gang is None or not status.attempts:
        return {}
    attempt = status.attempts[-1].number
    bound = {pod.index for pod in job.pods if pod.attempt == attempt and pod.node is not None}
    held: dict[str, int] = defaultdict(int)
    for index, place in enumerate(status.placement):
        if index not in bound:
            held[place.node] += 1
    return {node: {name: amount * count for name, amount in job.gang.per_pod} for node, count in held.items()}
