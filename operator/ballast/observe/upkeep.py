"""Derives everything that follows from one job anew: what it holds of nodes, what it asks of GPUs, when it is due.

What must hold: it is done whenever anything changes that a job depends on, and it is done as a whole, so that no two
parts ever tell of different moments of the same job; of a job that is gone nothing stays.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from ballast.api.jobstatus import Phase
from ballast.decide.life.accounting import unheard
from ballast.decide.life.lifecycle import next_due
from ballast.decide.operating_point import asks
from ballast.decide.points.time_left import seconds_left
from ballast.decide.policy import Policy
from ballast.decide.snapshot import Job
from ballast.observe.agenda import Agenda
from ballast.observe.contenders import Contenders
from ballast.observe.energy_profiles import EnergyProfiles
from ballast.observe.figure_news import FigureNews
from ballast.observe.held_pods import HeldPods
from ballast.observe.held_points import held_point
from ballast.observe.job_records import JobRecords
from ballast.observe.job_telemetry import JobTelemetry
from ballast.observe.job_views import JobViews
from ballast.observe.jobs_on_nodes import JobsOnNodes
from ballast.observe.measurements import Measurements
from ballast.observe.node_powers import NodePowers
from ballast.observe.node_usage import NodeUsage
from ballast.observe.records import Record, nodes_of
from ballast.observe.releases import Releases


@dataclass(frozen=True, slots=True, kw_only=True)
class Upkeep:
    """What a job is read from, and all that follows from it.

    Attributes:
        clock: seconds since the epoch.
        policy: the times that make a job due.
    """

    clock: Callable[[], float]
    policy: Policy
    records: JobRecords
    views: JobViews
    telemetry: JobTelemetry
    held_pods: HeldPods
    usage: NodeUsage
    jobs_on_nodes: JobsOnNodes
    powers: NodePowers
    profiles: EnergyProfiles
    measurements: Measurements
    figure_news: FigureNews
    releases: Releases
    agenda: Agenda
    contenders: Contenders
    _put_off: list[dict[str, None]] = field(default_factory=list)  # of each block of news that is being taken in

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Derive what follows from all news of a block once, at its end; nobody may ask for it before."""
        self._put_off.append({})
        try:
            yield
        finally:
            for uid in self._put_off.pop():
                self.refresh(uid)

    def refresh(self, uid: str, now: float | None = None) -> None:
        """Derive anew what follows from one job.

        Args:
            uid: the job's UID.
            now: seconds since the epoch; None to ask the clock.
        """
        if self._put_off:
            self._put_off[-1][uid] = None
            return
        record = self.records.of(uid)
        job = self.views.of(uid)
        if job is None:
            self._drop(uid, record)
            return
        now = self.clock() if now is None else now
        self.telemetry.miss(uid, unheard(job, now, self.policy), now)
        if job.unheard != self.telemetry.unheard(uid):
            job = replace(job, unheard=self.telemetry.unheard(uid))
        self.held_pods.put_orphans(uid, record.held_pods(besides=job.namespace))
        forgets_at = record.forget_growth(job, now, self.policy.retry_max_seconds)
        if forgets_at is not None and record.grown is None:
            job, forgets_at = self.views.of(uid) or job, None
        self.usage.claim(uid, record.held(job))
        self.jobs_on_nodes.put(uid, nodes_of(job))
        asked = asks(job)
        self.powers.ask(uid, asked)
        boards = self.views.boards(job)
        self.profiles.want(uid, self.views.workload(job, boards))
        self.measurements.put(uid, held_point(job, asked, boards), now)
        if job.job.status.phase is not Phase.RUNNING:
            self.figure_news.forget(uid)
        self._put_release(job, now)
        if record.rests_until is not None and record.rests_until <= now:
            record.rests_until = None
        due = (record.rests_until or next_due(job, now, self.policy), forgets_at)
        untouchable = record.assumed is not None or record.rests_until is not None
        self.agenda.put(
            job, now, min((time for time in due if time is not None), default=None), untouchable=untouchable
        )
        if self.contenders.put(job, untouchable=untouchable):
            self.usage.gains += 1  # what was held may be free

    def refresh_on(self, node: str) -> None:
        """Derive anew what follows from the jobs that a node's change concerns."""
        for uid in self.jobs_on_nodes.on(node):
            self.refresh(uid)

    def refresh_priorities(self) -> None:
        """Derive anew what follows from jobs' priorities: the queue's order, and who may be stopped for whom."""
        for uid in (*self.agenda.queued(), *self.agenda.running()):
            self.refresh(uid)

    def _put_release(self, job: Job, now: float) -> None:
        """Tell when the job gives its GPUs back: by what its trainer reports, or had reported in its status."""
        held: Counter[str] = Counter()
        for place in job.job.status.placement:
            held[place.node] += place.gpus
        at = _done_at(job, now)
        if job.job.status.phase is not Phase.RUNNING or not held.total() or at is None:
            self.releases.drop(job.uid)
        else:
            self.releases.put(job.uid, held, at)

    def _drop(self, uid: str, record: Record) -> None:
        self.releases.drop(uid)
        self.agenda.drop(uid)
        if self.contenders.drop(uid):
            self.usage.gains += 1
        self.usage.claim(uid, {})
        self.jobs_on_nodes.put(uid, frozenset())
        self.powers.ask(uid, ())
        self.profiles.want(uid, None)
        self.measurements.forget(uid)
        self.telemetry.forget(uid)
        self.figure_news.forget(uid)
        self.held_pods.put_orphans(uid, record.held_pods(leaving=record.unreadable))
        self.records.prune(uid)


def _done_at(job: Job, now: float) -> float | None:
    """Return when a job will be done, seconds since the epoch; None if nobody knows."""
    left = seconds_left(job)
    if left is not None:
        return now + left
    told = job.job.status.progress
    if told is None or told.estimated_seconds_left is None or told.reported_at is None:
        return None
    return told.reported_at.timestamp() + told.estimated_seconds_left
