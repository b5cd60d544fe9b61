"""The operator's memory of the world, and of its own actions that the world does not show yet.

Fed from watches, lists and the answers to writes; read as frozen snapshots by the control loop, on the event loop only.
It joins the parts, each of which keeps one thing. What must hold: older news never undoes newer; whenever something
changes that a job depends on, everything that depends on the job is derived anew.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from enum import StrEnum

from ballast.api.jobstatus import Phase
from ballast.api.trainingjob import InvalidTrainingJob
from ballast.decide.actions import Action, Expire, ReleaseOrphan, ReleasePod, StopAttempt
from ballast.decide.gang_request import GangRequest
from ballast.decide.model.prior import Prior
from ballast.decide.policy import Policy
from ballast.decide.resources import Resources
from ballast.decide.snapshot import Context, Job, Lane, Refusal, Snapshot
from ballast.decide.telemetry import Poll
from ballast.observe.agenda import Agenda
from ballast.observe.contenders import Contenders
from ballast.observe.empty_nodes import EmptyNodes
from ballast.observe.energy_profiles import EnergyProfiles
from ballast.observe.figure_news import PAUSE_SECONDS, FigureNews
from ballast.observe.held_pods import HeldPods
from ballast.observe.job_records import JobRecords
from ballast.observe.job_telemetry import JobTelemetry
from ballast.observe.job_views import JobViews
from ballast.observe.jobs_on_nodes import JobsOnNodes
from ballast.observe.measurements import Measurements
from ballast.observe.names import Names
from ballast.observe.node_powers import NodePowers
from ballast.observe.node_usage import NodeUsage
from ballast.observe.pace import Pace
from ballast.observe.parsing import NO_RESOURCES, JsonObject, pod_request, priority_class, training_job_uid
from ballast.observe.pod_ends import ENDED_POD_PHASES, held_pod
from ballast.observe.priorities import Priorities
from ballast.observe.refusals import Refusals
from ballast.observe.releases import Releases
from ballast.observe.turns import Turns
from ballast.observe.under_way import ActionsUnderWay, released
from ballast.observe.upkeep import Upkeep
from ballast.observe.versions import Versions

EXPECTED_SECONDS = 600.0
"""So long what is expected of running jobs is taken to hold: then those who wait for them are placed anew."""


class Kind(StrEnum):
    """The kinds that are watched."""

    TRAINING_JOB = "TrainingJob"
    JOB = "Job"
    POD = "Pod"
    NODE = "Node"
    PRIORITY_CLASS = "PriorityClass"
    NODE_POWER = "NodePower"
    ENERGY_PROFILE = "EnergyProfile"


class ClusterState:
    """What is known of the cluster; see the module's docstring.

    Args:
        wake: called whenever something changed that a cycle should look at.
        on_invalid: called with the error of a TrainingJob that cannot be read.
        clock: seconds since the epoch; tells when a job is due.
        policy: the times that make a job due.
        sidecar: what the exporter asks for in each pod that carries one.
        shared_namespace: where the EnergyProfiles are that all namespaces read; empty: there are none.
        priors: as in the snapshot; only a simulation has any.
    """

    def __init__(
        self,
        wake: Callable[[], None] = lambda: None,
        on_invalid: Callable[[InvalidTrainingJob], None] = lambda error: None,
        clock: Callable[[], float] = time.time,
        policy: Policy | None = None,
        sidecar: Resources = NO_RESOURCES,
        shared_namespace: str = "",
        priors: Mapping[str, Prior] | None = None,
    ) -> None:
        self.synced = asyncio.Event()
        self._clock = clock
        policy = self._policy = policy or Policy()
        self._priors = dict(priors or {})
        self._wake = wake
        self._on_invalid = on_invalid
        self._versions = {kind: Versions() for kind in Kind}
        self._names = {Kind.NODE: Names(), Kind.PRIORITY_CLASS: Names(), Kind.NODE_POWER: Names()}
        self._records = JobRecords(sidecar)
        self._jobs_listed = False
        self._jobs_on_nodes = JobsOnNodes()
        self._priorities = Priorities()
        self._usage = NodeUsage()
        self._powers = NodePowers(self._policy.agents)
        self._profiles = EnergyProfiles(shared_namespace)
        self._turns = Turns()
        self._measurements = Measurements(self._policy.reading_seconds, self._turns)
        self._held_pods = HeldPods()
        self._telemetry = JobTelemetry()
        self._figure_news = FigureNews()
        self._releases = Releases()
        self._agenda = Agenda()
        self._contenders = Contenders()
        self._pace = Pace()
        self._empty_nodes = EmptyNodes(self._policy, self._usage, self._jobs_on_nodes, self._powers)
        self._under_way = ActionsUnderWay(
            self._records,
            self._powers,
            self._profiles,
            self._measurements,
            self._held_pods,
            self._pace,
            self._empty_nodes,
        )
        self._refusals = Refusals()
        self._views = JobViews(
            self._records, self._priorities, self._powers, self._held_pods, self._telemetry, self._profiles, policy
        )
        self._upkeep = Upkeep(
            clock=clock,
            policy=self._policy,
            records=self._records,
            views=self._views,
            telemetry=self._telemetry,
            held_pods=self._held_pods,
            usage=self._usage,
            jobs_on_nodes=self._jobs_on_nodes,
            powers=self._powers,
            profiles=self._profiles,
            measurements=self._measurements,
            figure_news=self._figure_news,
            releases=self._releases,
            agenda=self._agenda,
            contenders=self._contenders,
        )

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
                        self._upkeep.refresh_on(metadata["name"])
            case Kind.NODE_POWER:
                if self._names[kind].take(metadata):
                    self._observe_power(obj)
            case Kind.ENERGY_PROFILE:
                self._turns.add(self._profiles.put(obj))
            case Kind.PRIORITY_CLASS:
                if self._names[kind].take(metadata) and self._priorities.put(priority_class(obj)):
                    self._upkeep.refresh_priorities()
        self._wake()

    def at_once(self) -> AbstractContextManager[None]:
        """Take in much news: what follows from it is derived once, at the block's end; no snapshot before that."""
        return self._upkeep.at_once()

    def forget(self, kind: Kind, uid: str) -> None:
        """Take in that an object is deleted."""
        self._versions[kind].bury(uid)
        match kind:
            case Kind.TRAINING_JOB:
                self._records.remove_job(uid)
                if uid in self._records:
                    self._upkeep.refresh(uid)
            case Kind.NODE:
                name = self._names[kind].free(uid)
                if name is not None:
                    self._usage.remove_node(name)
                    self._powers.remove_node(name)
                    self._upkeep.refresh_on(name)
            case Kind.NODE_POWER:
                name = self._names[kind].free(uid)
                if name is not None:
                    self._powers.remove(name)
                    self._usage.put_board(name, None)
                    self._empty_nodes.look(name)
                    self._upkeep.refresh_on(name)
            case Kind.PRIORITY_CLASS:
                name = self._names[kind].free(uid)
                if name is not None and self._priorities.remove(name):
                    self._upkeep.refresh_priorities()
            case Kind.ENERGY_PROFILE:
                self._turns.add(self._profiles.remove(uid))
            case Kind.JOB | Kind.POD:
                self._forget_child(uid)
        self._wake()

    def _forget_child(self, uid: str) -> None:
        self._usage.claim(uid, {})
        self._held_pods.forget(uid)
        owner = self._records.remove_child(uid, self._clock())
        if owner is not None:
            self._upkeep.refresh(owner)

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
        try:
            self._records.put_job(obj)
        except InvalidTrainingJob as error:
            self._on_invalid(error)
        self._upkeep.refresh(obj["metadata"]["uid"])

    def _observe_workload(self, obj: JsonObject) -> None:
        owner = training_job_uid(obj)
        if owner is not None:
            self._records.put_workload(obj, owner)
            self._upkeep.refresh(owner)

    def _observe_pod(self, obj: JsonObject) -> None:
        uid, spec = obj["metadata"]["uid"], obj["spec"]
        owner = training_job_uid(obj)
        if self._records.owner(uid) not in (None, owner):  # somebody took its labels away, or gave it to another job
            self._forget_child(uid)
        node = spec.get("nodeName")
        ended = (obj.get("status") or {}).get("phase") in ENDED_POD_PHASES
        self._usage.claim(uid, {node: pod_request(spec)} if node and not ended else {})
        orphan = held_pod(obj) if owner is None else None
        self._held_pods.put_orphans(uid, () if orphan is None else (orphan,))
        if owner is not None:
            self._records.put_pod(obj, owner)
            self._upkeep.refresh(owner)

    def _observe_power(self, obj: JsonObject) -> None:
        news = self._powers.put(obj)
        boards = self._powers.boards(obj["metadata"]["name"])
        self._usage.put_board(obj["metadata"]["name"], boards.range if boards is not None else None)
        owners = dict.fromkeys(owner for pod in news.ended_pods if (owner := self._records.owner(pod)) is not None)
        if news.of_node:
            self._empty_nodes.look(obj["metadata"]["name"])
            owners |= dict.fromkeys(self._jobs_on_nodes.on(obj["metadata"]["name"]))
        for uid in owners:
            self._upkeep.refresh(uid)

    def take_telemetry(self, poll: Poll) -> None:
        """Take in what Prometheus answered, or that it did not; the next cycles look which running jobs have news."""
        self._refresh(self._telemetry.take(poll, self._records))
        self._measurements.take(poll)
        self._figure_news.arrived(self._agenda.running(), self._clock())
        self._wake()

    # -- what the operator does -----------------------------------------------------------------------------------

    def assume(self, action: Action) -> None:
        """Count an action as done while it is under way."""
        self._refresh(self._under_way.assume(action))

    def settle(self, action: Action, answers: Iterable[tuple[str, JsonObject]]) -> None:
        """Replace the assumption by what the API server answered.

        Args:
            action: the action that is done.
            answers: objects as they are now, with their kinds; none for one that is gone.
        """
        found = tuple(answers)
        with self.at_once():  # one write's answers are all of the same job
            for kind, obj in found:
                if kind in set(Kind):
                    self.observe(Kind(kind), obj)
            uids = self._under_way.settle(action, (obj for _, obj in found), self._clock())
            if not found:
                self._forget_what_is_gone(action)
            self._refresh(uids)
        self._wake()

    def _forget_what_is_gone(self, action: Action) -> None:
        match action:
            case StopAttempt():
                self.forget(Kind.JOB, action.workload_uid)
            case Expire():
                self.forget(Kind.TRAINING_JOB, action.job.metadata.uid)
            case ReleasePod() | ReleaseOrphan():
                self.forget(Kind.POD, released(action))

    def reject(self, action: Action, invalid: str | None = None, forbidden: str | None = None) -> None:
        """Drop the assumption of an action that failed; its job rests for a while, longer each time.

        Args:
            action: the action that failed.
            invalid: what the API server said, if it will never do it.
            forbidden: what it said, if it won't do it as things are.
        """
        self._refresh(self._under_way.reject(action, self._clock(), invalid, forbidden))

    def _refresh(self, uids: Iterable[str]) -> None:
        for uid in dict.fromkeys(uids):
            self._upkeep.refresh(uid)

    # -- what the control loop reads ------------------------------------------------------------------------------

    def snapshot(self, now: float, max_actions: int, max_explanations: int | None = None) -> Snapshot:
        """Return the frozen picture for one cycle and mark everything in it as seen.

        Args:
            now: seconds since the epoch.
            max_actions: how many actions the executor takes at this moment.
            max_explanations: how many of them may be writes that only explain; None for as many.
        """
        for uid in self._due(now):
            if uid in self._records:
                self._upkeep.refresh(uid, now)
        explanations = max_actions if max_explanations is None else max_explanations
        changed = [self._views.of(uid) for uid in self._agenda.take_changed()]
        lanes = tuple(Lane(gang, jobs) for gang, jobs in self._agenda.waiting.lanes(max_actions))
        workloads = {lane.gang.workload for lane in lanes if lane.gang.workload is not None}
        shares = self._agenda.shares(self._usage.gpus, self._policy)
        return Snapshot(
            now=now,
            nodes=self._usage.nodes(),
            lanes=lanes,
            changed=tuple(self._with_measurement(job) for job in changed if job is not None),
            review=self._agenda.waiting.review(explanations, shares),
            refused=self._refusals.since(self._gains),
            max_actions=max_actions,
            max_explanations=explanations,
            policy=self._policy,
            shares=shares,
            powers=self._powers.views(now),
            vacancies=self._empty_nodes.views(now),
            marking=self._empty_nodes.marking,
            gpus_per_second=self._pace.gpus_per_second(now),
            orphans=self._held_pods.orphans(max_actions) if self._jobs_listed else (),
            profiles={each: known for each in workloads if (known := self._profiles.of_key(*each))},
            releases=self._releases.views(),
            priors=self._priors,
            telemetry_problem=self._telemetry.problem,
            telemetry_asked_at=self._telemetry.asked_at,
            running=self._contenders.running(),
            claims=self._contenders.claims(),
        )

    def _with_measurement(self, job: Job) -> Job:
        """Return a job with what was measured of it, unless that cannot be entered yet."""
        if job.learned is None or job.learned.writing:
            return job
        measurement = self._measurements.hand_out(job.uid)
        return job if measurement is None else replace(job, measurement=measurement)

    def _due(self, now: float) -> Iterator[str]:
        """Yield the jobs that are to be looked at because of the time, or of what Prometheus answered."""
        yield from self._agenda.timers.pop_due(now)
        self._measurements.may_enter(self._profiles.rested(now))
        yield from self._turns.take()
        for pod in self._held_pods.rested(now):
            owner = self._records.owner(pod)
            if owner is not None:
                yield owner
        if self._figure_news.has_unseen:
            nodes = {node.name: node for node in self._usage.nodes()}
            telemetry = self._telemetry
            context = Context(now, nodes, self._policy, telemetry.problem, telemetry.asked_at)
            self._figure_news.look(self._views.of, context)
        yield from self._figure_news.take(now)

    @property
    def _gains(self) -> int:
        """Counts the moments at which a gang might fit that did not before, or be better off elsewhere."""
        return self._usage.gains + self._profiles.changes + int(self._clock() // EXPECTED_SECONDS)

    @property
    def has_more(self) -> bool:
        """Whether waiting jobs changed that the last snapshot had no room for."""
        return self._agenda.waiting.has_changed

    def remember(
        self, refused: Mapping[GangRequest, Refusal], held_for: str | None, held: frozenset[str] = frozenset()
    ) -> None:
        """Keep what the last snapshot's cycle refused, until something becomes free, also nodes that were held."""
        self._empty_nodes.hold(held)
        self._refusals.remember(refused, held_for, self._gains)

    def look_again(self, snapshot: Snapshot) -> None:
        """Put a snapshot's jobs back, because its actions were cut off."""
        for job in snapshot.changed:
            if job.measurement is not None:
                self._measurements.take_back(job.uid, job.measurement)
            if job.uid in self._records:
                self._upkeep.refresh(job.uid)
        self._powers.look_again(snapshot.powers)
        self._empty_nodes.look_again(snapshot.vacancies)
        self._agenda.waiting.keep_for_review(job.uid for job in snapshot.review)

    def seconds_to_next_due(self) -> float | None:
        """Return when time alone calls for the next cycle, or None if it never does."""
        now = self._clock()
        times = (
            self._agenda.timers.next(),
            self._powers.next_due(),
            self._empty_nodes.next_due(),
            self._profiles.next_due(),
            self._held_pods.next_due(),
            self._figure_news.next_due(now),
            now + PAUSE_SECONDS if self._turns else None,
        )
        due = min((time for time in times if time is not None), default=None)
        return max(due - now, 0.0) if due is not None else None

    def lost_pods(self) -> tuple[str, ...]:
        """Return the UIDs of held pods that are over, as it seems, without a last word."""
        return self._telemetry.lost_pods()

    def namespace_of_job(self, uid: str) -> str | None:
        """Return the namespace of a TrainingJob; None if there is none of that UID."""
        return self._records.namespace_of_job(uid)

    def namespace_of_pod(self, uid: str) -> str | None:
        """Return the namespace of a training pod; None if there is none of that UID."""
        return self._records.namespace_of_child(uid)

    def reserved_watts(self) -> float:
        """Return the most that all GPUs with an agent may draw, what is not confirmed yet included."""
        return self._powers.reserved_watts()

    def jobs_by_phase(self) -> Mapping[Phase, int]:
        """Return how many TrainingJobs there are in each phase."""
        return self._agenda.by_phase()
