"""The operator's memory of the world, and of its own actions that the world does not show yet.

Fed from watches, lists and the answers to writes; read as frozen snapshots by the control loop, on the event loop only.
What must hold: an action in flight is *assumed* to have happened until its answer is there, so that a stale cache never
places a job twice; when it fails the assumption is dropped and the job rests a little before it is decided again.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from enum import StrEnum

from ballast.api.jobstatus import Phase
from ballast.api.trainingjob import InvalidTrainingJob, TrainingJob
from ballast.decide.accounting import is_accounted, unheard
from ballast.decide.actions import (
    Action,
    AskForRefusal,
    Expire,
    NodeAction,
    ReleaseOrphan,
    ReleasePod,
    StopAttempt,
    Transition,
    WriteStatus,
)
from ballast.decide.lifecycle import next_due, wants_place
from ballast.decide.operating_point import asks
from ballast.decide.policy import Policy
from ballast.decide.reporting import wants_report
from ballast.decide.resources import Resources
from ballast.decide.snapshot import Context, GangRequest, Job, Lane, Refusal, Snapshot
from ballast.decide.telemetry import Poll
from ballast.observe.held_pods import HeldPods
from ballast.observe.job_telemetry import JobTelemetry
from ballast.observe.jobs_on_nodes import JobsOnNodes
from ballast.observe.names import Names
from ballast.observe.node_powers import NodePowers
from ballast.observe.node_usage import NodeUsage
from ballast.observe.pace import Pace
from ballast.observe.parsing import (
    NO_RESOURCES,
    JsonObject,
    UnsupportedTemplate,
    gang_request,
    pod_request,
    priority_class,
    refusal,
    training_job_uid,
    training_pod,
    workload,
)
from ballast.observe.pod_ends import ENDED_POD_PHASES, held_pod
from ballast.observe.priorities import Priorities
from ballast.observe.records import Record, nodes_of
from ballast.observe.tellings import Tellings
from ballast.observe.timers import Timers, retry_delay
from ballast.observe.versions import Versions
from ballast.observe.waiting import WaitingJobs

VANISHED_JOB_SECONDS = 2.0
"""Pause before an attempt whose Job was deleted gets another one."""


class Kind(StrEnum):
    """The kinds that are watched."""

    TRAINING_JOB = "TrainingJob"
    JOB = "Job"
    POD = "Pod"
    NODE = "Node"
    PRIORITY_CLASS = "PriorityClass"
    NODE_POWER = "NodePower"


class ClusterState:
    """What is known of the cluster; see the module's docstring.

    Args:
        wake: called whenever something changed that a cycle should look at.
        on_invalid: called with the error of a TrainingJob that cannot be read.
        clock: seconds since the epoch; tells when a job is due.
        policy: the times that make a job due.
        sidecar: what the exporter asks for in each pod that carries one.
    """

    def __init__(
        self,
        wake: Callable[[], None] = lambda: None,
        on_invalid: Callable[[InvalidTrainingJob], None] = lambda error: None,
        clock: Callable[[], float] = time.time,
        policy: Policy | None = None,
        sidecar: Resources = NO_RESOURCES,
    ) -> None:
        self.synced = asyncio.Event()
        self._clock = clock
        self._policy = policy or Policy()
        self._sidecar = sidecar
        self._wake = wake
        self._on_invalid = on_invalid
        self._versions = {kind: Versions() for kind in Kind}
        self._records: dict[str, Record] = defaultdict(Record)
        self._owner_of: dict[str, tuple[str, str]] = {}  # UID of a Job or pod -> UID of its TrainingJob, namespace
        self._names = {Kind.NODE: Names(), Kind.PRIORITY_CLASS: Names(), Kind.NODE_POWER: Names()}
        self._jobs_on_nodes = JobsOnNodes()
        self._priorities = Priorities()
        self._usage = NodeUsage()
        self._powers = NodePowers(self._policy.agents)
        self._held_pods = HeldPods()
        self._telemetry = JobTelemetry()
        self._tellings = Tellings()
        self._jobs_listed = False
        self._waiting = WaitingJobs()
        self._changed: dict[str, None] = {}  # in the order in which they changed
        self._timers = Timers()
        self._pace = Pace()
        self._refused: Mapping[GangRequest, Refusal] = {}
        self._refused_at = 0
        self._held_for: str | None = None
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
                if self._names[kind].take(metadata):
                    self._powers.put_node(obj)
                    if self._usage.put_node(obj):
                        self._refresh_on(metadata["name"])
            case Kind.NODE_POWER:
                if self._names[kind].take(metadata):
                    self._observe_power(obj)
            case Kind.PRIORITY_CLASS:
                if self._names[kind].take(metadata) and self._priorities.put(priority_class(obj)):
                    self._refresh_waiting()
        self._wake()

    def forget(self, kind: Kind, uid: str) -> None:
        """Take in that an object is deleted."""
        self._versions[kind].bury(uid)
        match kind:
            case Kind.TRAINING_JOB:
                record = self._records.get(uid)
                if record is not None:
                    record.job, record.assumed, record.unreadable = None, None, False
                    self._refresh(uid)
            case Kind.NODE:
                name = self._names[kind].free(uid)
                if name is not None:
                    self._usage.remove_node(name)
                    self._powers.remove_node(name)
                    self._refresh_on(name)
            case Kind.NODE_POWER:
                name = self._names[kind].free(uid)
                if name is not None:
                    self._powers.remove(name)
                    self._refresh_on(name)
            case Kind.PRIORITY_CLASS:
                name = self._names[kind].free(uid)
                if name is not None and self._priorities.remove(name):
                    self._refresh_waiting()
            case Kind.JOB | Kind.POD:
                self._forget_child(uid)
        self._wake()

    def _forget_child(self, uid: str) -> None:
        self._usage.claim(uid, {})
        self._held_pods.forget(uid)
        owner, namespace = self._owner_of.pop(uid, (None, ""))
        if owner is None:
            return
        record = self._records[owner]
        record.children[namespace].pods.pop(uid, None)
        workload = record.children[namespace].workloads.pop(uid, None)
        if workload is not None and record.is_placing(workload.attempt):
            # Most likely the TrainingJob is deleted too, and its watch lags: a Job made now would have no owner.
            record.rests_until = self._clock() + VANISHED_JOB_SECONDS
        record.ungating -= {uid}
        record.removing -= {uid}
        self._refresh(owner)

    def replace_all(self, kind: Kind, objects: Iterable[JsonObject], list_version: str) -> None:
        """Take in a complete list: what it lacks is gone, though no watch said so."""
        listed: set[str] = set()
        for obj in objects:
            listed.add(obj["metadata"]["uid"])
            self.observe(kind, obj)
        for uid in self._versions[kind].vanished(listed, list_version):
            self.forget(kind, uid)
        # Pods are listed before: whose job is not there now has none. Whoever decides created those that came later.
        self._jobs_listed = self._jobs_listed or kind is Kind.TRAINING_JOB

    def _observe_job(self, obj: JsonObject) -> None:
        uid = obj["metadata"]["uid"]
        record = self._records[uid]
        try:
            job = TrainingJob.parse(obj)
        except InvalidTrainingJob as error:
            self._on_invalid(error)
            record.job, record.unreadable = None, True
            self._refresh(uid)
            return
        record.unreadable = False
        if record.job is None or record.job.spec != job.spec:
            try:
                record.gang, record.problem, record.grown = gang_request(job, self._sidecar), None, None
            except UnsupportedTemplate as error:
                record.gang, record.problem, record.grown = None, str(error), None
        record.job = job
        self._refresh(uid)

    def _observe_workload(self, obj: JsonObject) -> None:
        owner = training_job_uid(obj)
        if owner is None:
            return
        uid, namespace = obj["metadata"]["uid"], obj["metadata"]["namespace"]
        self._owner_of[uid] = owner, namespace
        self._records[owner].children[namespace].workloads[uid] = workload(obj)
        self._refresh(owner)

    def _observe_pod(self, obj: JsonObject) -> None:
        uid, namespace, spec = obj["metadata"]["uid"], obj["metadata"]["namespace"], obj["spec"]
        node = spec.get("nodeName")
        ended = (obj.get("status") or {}).get("phase") in ENDED_POD_PHASES
        self._usage.claim(uid, {node: pod_request(spec)} if node and not ended else {})
        owner = training_job_uid(obj)
        if owner is None:
            if uid in self._owner_of:  # somebody took its labels away
                self._forget_child(uid)
            orphan = held_pod(obj)
            self._held_pods.put_orphans(uid, () if orphan is None else (orphan,))
            return
        self._owner_of[uid] = owner, namespace
        self._records[owner].children[namespace].pods[uid] = training_pod(obj)
        self._refresh(owner)

    def _observe_power(self, obj: JsonObject) -> None:
        news = self._powers.put(obj)
        owners = dict.fromkeys(self._owner_of[pod][0] for pod in news.ended_pods if pod in self._owner_of)
        if news.of_node:
            owners |= dict.fromkeys(self._jobs_on_nodes.on(obj["metadata"]["name"]))
        for uid in owners:
            self._refresh(uid)

    def take_telemetry(self, poll: Poll) -> None:
        """Take in what Prometheus answered, or that it did not; few of the jobs with news are told in each cycle."""
        for uid in self._telemetry.take(poll):
            self._refresh(uid)
        now = self._clock()
        nodes = {node.name: node for node in self._usage.nodes()}
        context = Context(now, nodes, self._policy, poll.problem, poll.asked_at)
        running = (self._view(uid) for uid, phase in self._phases.items() if phase is Phase.RUNNING)
        self._tellings.news((job.uid for job in running if job is not None and wants_report(job, context)), now)
        self._wake()

    def _refresh_on(self, node: str) -> None:
        for uid in self._jobs_on_nodes.on(node):
            self._refresh(uid)

    def _refresh_waiting(self) -> None:
        # PriorityClasses change rarely, and then the whole queue may have another order.
        for uid, phase in tuple(self._phases.items()):
            if phase.is_waiting:
                self._refresh(uid)

    # -- what the operator does -----------------------------------------------------------------------------------

    def assume(self, action: Action) -> None:
        """Count an action as done while it is under way."""
        if isinstance(action, NodeAction):
            self._powers.assume(action)
            return
        if isinstance(action, (ReleasePod, ReleaseOrphan)):
            self._held_pods.begins(_released(action))
            return
        uid = action.job.metadata.uid
        self._records[uid].assume(action)
        self._refresh(uid)

    def settle(self, action: Action, answers: Iterable[tuple[str, JsonObject]]) -> None:
        """Replace the assumption by what the API server answered.

        Args:
            action: the action that is done.
            answers: objects as they are now, with their kinds; none for one that is gone.
        """
        found = tuple(answers)
        for kind, obj in found:
            if kind in set(Kind):
                self.observe(Kind(kind), obj)
        if isinstance(action, NodeAction):
            self._powers.settle(action)
            self._wake()
            return
        if isinstance(action, (ReleasePod, ReleaseOrphan)):
            self._held_pods.is_done(_released(action))
            if not found:
                self.forget(Kind.POD, _released(action))
            self._wake()
            return
        uid = action.job.metadata.uid
        record = self._records[uid]
        match action:
            case StopAttempt() if not found:
                self.forget(Kind.JOB, action.workload_uid)
            case Expire() if not found:
                self.forget(Kind.TRAINING_JOB, uid)
            case AskForRefusal():
                record.refused_pods = record.latest_attempt, refusal(obj for _, obj in found)
            case WriteStatus(transition=Transition.ADMIT):
                self._pace.count(record.gang.size if record.gang is not None else 1, self._clock())
        record.drop_assumption(action)
        record.failures = 0
        self._refresh(uid)
        self._wake()

    def reject(self, action: Action, invalid: str | None = None, forbidden: str | None = None) -> None:
        """Drop the assumption of an action that failed; its job rests for a while, longer each time.

        Args:
            action: the action that failed.
            invalid: what the API server said, if it will never do it.
            forbidden: what it said, if it won't do it as things are.
        """
        if isinstance(action, NodeAction):
            self._powers.reject(action, self._clock())
            return
        if isinstance(action, (ReleasePod, ReleaseOrphan)):
            self._held_pods.failed(_released(action), self._clock())
            return
        uid = action.job.metadata.uid
        record = self._records[uid]
        record.reject(action, invalid, forbidden)
        record.rests_until = self._clock() + retry_delay(record.failures)
        record.failures += 1
        self._refresh(uid)

    # -- what the control loop reads ------------------------------------------------------------------------------

    def snapshot(self, now: float, max_actions: int, max_explanations: int | None = None) -> Snapshot:
        """Return the frozen picture for one cycle and mark everything in it as seen.

        Args:
            now: seconds since the epoch.
            max_actions: how many actions the executor takes at this moment.
            max_explanations: how many of them may be writes that only explain; None for as many.
        """
        for uid in self._timers.pop_due(now):
            if uid in self._records:
                self._refresh(uid, now)
        for pod in self._held_pods.rested(now):
            if pod in self._owner_of:
                self._refresh(self._owner_of[pod][0], now)
        for uid in self._tellings.take(now):
            if uid in self._records:
                self._refresh(uid, now)
        explanations = max_actions if max_explanations is None else max_explanations
        changed = [self._view(uid) for uid in self._changed]
        self._changed = {}
        if self._refused_at != self._usage.gains:
            self._refused, self._refused_at = {}, self._usage.gains
        return Snapshot(
            now=now,
            nodes=self._usage.nodes(),
            lanes=tuple(Lane(gang, jobs) for gang, jobs in self._waiting.lanes(max_actions)),
            changed=tuple(job for job in changed if job is not None),
            review=self._waiting.review(explanations),
            refused=self._refused,
            max_actions=max_actions,
            max_explanations=explanations,
            policy=self._policy,
            powers=self._powers.views(now),
            gpus_per_second=self._pace.gpus_per_second(now),
            orphans=self._held_pods.orphans(max_actions) if self._jobs_listed else (),
            telemetry_problem=self._telemetry.problem,
            telemetry_asked_at=self._telemetry.asked_at,
        )

    @property
    def has_more(self) -> bool:
        """Whether waiting jobs changed that the last snapshot had no room for."""
        return self._waiting.has_changed

    def remember(self, refused: Mapping[GangRequest, Refusal], held_for: str | None) -> None:
        """Keep what the last snapshot's cycle refused, until something becomes free, also nodes that were held."""
        if held_for != self._held_for:
            self._held_for = held_for
            self._refused = {}
        elif self._refused_at == self._usage.gains:
            self._refused = refused

    def look_again(self, snapshot: Snapshot) -> None:
        """Put a snapshot's jobs back, because its actions were cut off."""
        for job in snapshot.changed:
            if job.uid in self._records:
                self._refresh(job.uid)
        self._powers.look_again(snapshot.powers)
        self._waiting.keep_for_review(job.uid for job in snapshot.review)

    def seconds_to_next_due(self) -> float | None:
        """Return when time alone calls for the next cycle, or None if it never does."""
        now = self._clock()
        times = (
            self._timers.next(),
            self._powers.next_due(),
            self._held_pods.next_due(),
            self._tellings.next_due(now),
        )
        due = min((time for time in times if time is not None), default=None)
        return max(due - now, 0.0) if due is not None else None

    def lost_pods(self) -> tuple[str, ...]:
        """Return the UIDs of held pods that are over, as it seems, without a last word."""
        return self._telemetry.lost_pods()

    def namespace_of_job(self, uid: str) -> str | None:
        """Return the namespace of a TrainingJob; None if there is none of that UID."""
        record = self._records.get(uid)
        return record.job.metadata.namespace if record is not None and record.job is not None else None

    def namespace_of_pod(self, uid: str) -> str | None:
        """Return the namespace of a training pod; None if there is none of that UID."""
        return self._owner_of[uid][1] if uid in self._owner_of else None

    def reserved_watts(self) -> float:
        """Return the most that all GPUs with an agent may draw, what is not confirmed yet included."""
        return self._powers.reserved_watts()

    def jobs_by_phase(self) -> Mapping[Phase, int]:
        """Return how many TrainingJobs there are in each phase."""
        counts: dict[Phase, int] = dict.fromkeys(Phase, 0)
        for phase in self._phases.values():
            counts[phase] += 1
        return counts

    def _view(self, uid: str) -> Job | None:
        record = self._records.get(uid)
        if record is None or record.job is None:
            return None
        rank = self._priorities.rank(record.job.spec.priority_class)
        view = record.view(uid, rank, self._policy.aging_seconds, self._powers.held)
        if view is None:
            return None
        held = [pod for pod in view.pods if pod.held]
        telemetry = self._telemetry.of(uid)
        if not held and telemetry is None:
            return view
        words = {pod.uid: self._powers.word(pod.node, pod.uid) for pod in held if pod.node is not None}
        return replace(
            view,
            releasing=frozenset(pod.uid for pod in held if not self._held_pods.is_free(pod.uid)),
            agents_words={pod: word for pod, word in words.items() if word is not None},
            metered_nodes=frozenset(p.node for p in held if p.node is not None and self._powers.has_agent(p.node)),
            known_readings=self._telemetry.known(uid),
            unheard=self._telemetry.unheard(uid),
            telemetry=telemetry,
        )

    def _refresh(self, uid: str, now: float | None = None) -> None:
        """Derive everything that depends on one job anew: its lane, its reservation, when it is due."""
        record = self._records[uid]
        job = self._view(uid)
        if job is None:
            self._drop(uid, record)
            return
        now = self._clock() if now is None else now
        self._telemetry.miss(uid, unheard(job, now, self._policy), now)
        if job.unheard != self._telemetry.unheard(uid):
            job = replace(job, unheard=self._telemetry.unheard(uid))
        self._held_pods.put_orphans(uid, record.held_pods(besides=job.namespace))
        forgets_at = record.forget_growth(job, now, self._policy.retry_max_seconds)
        if forgets_at is not None and record.grown is None:
            job, forgets_at = self._view(uid) or job, None
        self._phases[uid] = job.job.status.phase
        self._usage.claim(uid, record.held(job))
        self._jobs_on_nodes.put(uid, nodes_of(job))
        self._powers.ask(uid, asks(job))
        if record.rests_until is not None and record.rests_until <= now:
            record.rests_until = None
        deleting = job.job.metadata.deletion_timestamp is not None
        idle = record.assumed is not None or record.rests_until is not None
        waits = not idle and not deleting and wants_place(job, now)
        if waits:
            self._waiting.put(job)
        else:
            self._waiting.remove(uid)
        if job.job.status.phase is not Phase.RUNNING:
            self._tellings.forget(uid)
        if not idle and (is_accounted(job) or (not deleting and (not waits or job.workloads))):
            self._changed[uid] = None
        else:
            self._changed.pop(uid, None)
        due = (record.rests_until or next_due(job, now, self._policy), forgets_at)
        self._timers.set(uid, min((time for time in due if time is not None), default=None))

    def _drop(self, uid: str, record: Record) -> None:
        self._waiting.remove(uid)
        self._usage.claim(uid, {})
        self._jobs_on_nodes.put(uid, frozenset())
        self._powers.ask(uid, ())
        self._changed.pop(uid, None)
        self._timers.set(uid, None)
        self._phases.pop(uid, None)
        self._telemetry.forget(uid)
        self._tellings.forget(uid)
        self._held_pods.put_orphans(uid, record.held_pods(leaving=record.unreadable))
        if record.is_childless and not record.unreadable:
            del self._records[uid]


def _released(action: ReleasePod | ReleaseOrphan) -> str:
    return action.orphan.uid if isinstance(action, ReleaseOrphan) else action.pod_uid
