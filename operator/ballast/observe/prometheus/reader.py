"""Asks Prometheus what all jobs use and how far they are, every few seconds, whatever becomes of it.

What must hold: five queries a cycle, and one more if pods went without a word, however many jobs there are; a failure
ends in a `Poll` with a problem and nowhere else (G6); a cycle that takes long delays the next, and none runs beside it;
what a pod of one namespace exposes is never taken for a job of another, as far as the scraper says whose it is. Rows
are read in threads, so that watches and probes go on meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import fmean
from typing import Final, NamedTuple, NoReturn, Protocol, TypeAlias, TypeVar

from ballast.api import exporter
from ballast.api.finalreading import FinalReading
from ballast.api.source import Component
from ballast.clock import steady_seconds
from ballast.decide.telemetry import Poll, Telemetry
from ballast.errors import BallastError
from ballast.observe.prometheus import figures
from ballast.observe.prometheus.client import Answer, Row
from ballast.observe.prometheus.evaluations import Decoded, EvaluationDecoder
from ballast.observe.prometheus.figures import Group, PodKey, Ring, Times
from ballast.observe.prometheus.queries import Queries

logger = logging.getLogger(__name__)

MAX_LOST_PODS: Final = 200
"""Pods that are asked for by UID in one cycle; of more, first those that were not asked for lately."""
SETTLED_SECONDS: Final = 1.0
"""Prometheus is asked for the moment so long ago, by when what it scraped then is stored: else one query might see a
scrape that another, asked at the same time, does not, and steps would be of a later moment than their time."""
LEAST_PAUSE: Final = 0.1
"""Of a period, after a cycle that took longer than one."""

NamespaceOf: TypeAlias = Callable[[str], str | None]
"""The namespace of a job or a pod by its UID; None if there is none of that UID."""
T = TypeVar("T")


class Prometheus(Protocol):
    """What is needed of a client."""

    async def query(self, expression: str, at: float, read: Callable[[Iterable[Row]], T]) -> Answer[T]:
        """Return what is made of the rows of an expression at a moment."""
        ...


@dataclass(frozen=True, slots=True)
class _Answers:
    """What the first four queries of a cycle gave; empty where one failed."""

    joules: Mapping[PodKey, Mapping[Component, float]]
    watts: Mapping[PodKey, float]
    times: Times
    progress: Mapping[PodKey, Mapping[str, float]]

    def latest(self, is_ours: Callable[[Group], bool]) -> dict[str, Group]:
        """Return, for each job's UID, its latest attempt; of two that claim to be it, that with more pods."""
        best: dict[str, tuple[tuple[int, int, str], Group]] = {}
        for group in {**self.times.read_at, **self.times.reported_at}:
            if is_ours(group):
                rank = group.attempt, len(self.times.read_at.get(group, ())), group.namespace
                if group.job_uid not in best or best[group.job_uid][0] < rank:
                    best[group.job_uid] = rank, group
        return {job_uid: group for job_uid, (_, group) in best.items()}

    def joules_of(self, pods: Iterable[PodKey]) -> dict[Component, float]:
        """Return the joules of some pods by component."""
        total: dict[Component, float] = {}
        for pod in pods:
            for component, joules in self.joules.get(pod, {}).items():
                total[component] = total.get(component, 0.0) + joules
        return total

    def watts_of(self, pods: Iterable[PodKey]) -> float | None:
        """Return the watts of some pods; None if nobody knows any."""
        known = [self.watts[pod] for pod in pods if pod in self.watts]
        return sum(known) if known else None


class _Reporter(NamedTuple):
    """The pod of a job whose trainer is believed.

    Attributes:
        told: what it reports, by the metric's name.
        evaluations: how many there were, as far as that query knows.
    """

    pod_uid: str
    reported_at: float
    told: Mapping[str, float]
    evaluations: int


class TelemetryReader:
    """Asks, and makes figures of the answers.

    Args:
        client: the server.
        labels: that every series must have.
        period_seconds: how often `run` asks.
        stale_seconds: how old power may be; everything else may be twice as old, so that it can be told that it is
            stale, and how old.
        clock: seconds since the epoch, the one that decisions go by.
        namespace_of_job: by which series of other namespaces, and of jobs that do not exist, are left out; without it
            every job is believed. Called in the event loop only.
        namespace_of_pod: likewise of the pods that are asked for by UID.

    Raises:
        UserError: a label's name is none.
    """

    def __init__(
        self,
        client: Prometheus,
        labels: Mapping[str, str],
        period_seconds: float,
        stale_seconds: float,
        clock: Callable[[], float],
        namespace_of_job: NamespaceOf | None = None,
        namespace_of_pod: NamespaceOf | None = None,
    ) -> None:
        self._client = client
        self._queries = Queries(labels, 2 * stale_seconds, stale_seconds)
        self._period_seconds = period_seconds
        self._clock = clock
        self._namespace_of_job = namespace_of_job
        self._namespace_of_pod = namespace_of_pod
        self._evaluations = EvaluationDecoder()
        self._asked_for: dict[str, int] = {}
        self._cycle = 0
        self._told: str | None = None

    async def run(self, take: Callable[[Poll], None], lost_pods: Callable[[], Sequence[str]] = lambda: ()) -> NoReturn:
        """Ask every period until cancelled.

        Args:
            take: is given every poll.
            lost_pods: UIDs of the pods that went without a word.
        """
        while True:
            began = steady_seconds()
            poll = await self.poll(lost_pods())
            self._log(poll.problem)
            take(poll)
            pause = self._period_seconds - (steady_seconds() - began)
            await asyncio.sleep(max(pause, self._period_seconds * LEAST_PAUSE))

    async def poll(self, lost_pods: Sequence[str] = ()) -> Poll:
        """Ask once; what goes wrong is told by the poll.

        Args:
            lost_pods: UIDs of the pods that went without a word.
        """
        now = self._clock()
        problems: list[str] = []
        try:
            jobs, pods = await asyncio.gather(self._jobs(now, problems), self._lost(lost_pods, now, problems))
        except Exception as error:  # whatever is in the answers: nothing but figures may depend on it
            logger.exception("an answer of Prometheus cannot be read")
            return Poll(now, problem=f"an answer of Prometheus cannot be read: {type(error).__name__}: {error}")
        return Poll(now, jobs, pods, problems[0] if problems else None)

    # -- the jobs

    async def _jobs(self, now: float, problems: list[str]) -> dict[str, Telemetry]:
        ask = partial(self._ask, now=now, problems=problems)
        joules, watts, times, progress = await asyncio.gather(
            ask(self._queries.energy, figures.joules),
            ask(self._queries.power, figures.watts),
            ask(self._queries.times, partial(figures.times, now=now)),
            ask(self._queries.progress, figures.progress),
        )
        answers = _Answers(joules or {}, watts or {}, times or Times(), progress or {})
        groups = answers.latest(self._is_ours)
        reporters = await asyncio.to_thread(self._reporters, answers, groups)
        slots = {
            reporter.pod_uid: slots
            for job_uid, reporter in reporters.items()
            if (slots := self._evaluations.wanted(job_uid, groups[job_uid].attempt, reporter.evaluations))
        }
        rings: Mapping[PodKey, Ring] = {}
        if slots:
            rings = await ask(self._queries.evaluations(slots), figures.rings) or {}
        return await asyncio.to_thread(self._telemetry, answers, groups, reporters, rings, now)

    def _is_ours(self, group: Group) -> bool:
        """Return whether a job's pods may be where Prometheus says that they are."""
        return _is_of(group.namespace, group.job_uid, self._namespace_of_job)

    def _reporters(self, answers: _Answers, groups: Mapping[str, Group]) -> dict[str, _Reporter]:
        """Return, by job, the pod whose trainer is believed: the same as before if it is still there."""
        found = {}
        for job_uid, group in groups.items():
            times = answers.times.reported_at.get(group)
            if times:
                told = {pod_uid: answers.progress.get((pod_uid, group.namespace), {}) for pod_uid in times}
                before = self._evaluations.pod_uid(job_uid, group.attempt)
                pod_uid = before if before in told else _furthest(told)
                count = int(told[pod_uid].get(exporter.EVALUATIONS, 0))
                found[job_uid] = _Reporter(pod_uid, times[pod_uid], told[pod_uid], count)
        return found

    def _telemetry(
        self,
        answers: _Answers,
        groups: Mapping[str, Group],
        reporters: Mapping[str, _Reporter],
        rings: Mapping[PodKey, Ring],
        now: float,
    ) -> dict[str, Telemetry]:
        jobs = {}
        for job_uid, group in groups.items():
            read_at = answers.times.read_at.get(group, {})
            pods = [(pod_uid, group.namespace) for pod_uid in read_at]
            training, missed = None, 0
            if (reporter := reporters.get(job_uid)) is not None:
                ring = rings.get((reporter.pod_uid, group.namespace))
                decoded = self._decode(group, reporter, ring, now)
                training = figures.training(reporter.told, reporter.reported_at, decoded)
                missed = decoded.missed
            jobs[job_uid] = Telemetry(
                attempt=group.attempt,
                asked_at=now,
                pods=len(read_at),
                oldest_at=min((*read_at.values(), now)) if read_at else None,
                read_at=fmean(read_at.values()) if read_at else None,
                joules=answers.joules_of(pods),
                watts=answers.watts_of(pods),
                training=training,
                missed_evaluations=missed,
            )
        self._evaluations.forget_silent(now)
        return jobs

    def _decode(self, group: Group, reporter: _Reporter, ring: Ring | None, now: float) -> Decoded:
        job_uid, attempt, _ = group
        if ring is None:
            return self._evaluations.known(job_uid, attempt, now)
        asked = reporter.evaluations
        return self._evaluations.take(job_uid, attempt, reporter.pod_uid, ring.count, ring.slots, now, asked)

    # -- pods that went without a word

    async def _lost(self, uids: Sequence[str], now: float, problems: list[str]) -> dict[str, FinalReading]:
        self._cycle += 1
        asked_for = {uid: self._asked_for.get(uid, 0) for uid in uids}
        chosen = sorted(asked_for, key=asked_for.__getitem__)[:MAX_LOST_PODS]
        self._asked_for = asked_for | dict.fromkeys(chosen, self._cycle)
        if not chosen:
            return {}
        readings = await self._ask(
            self._queries.last_readings(chosen), partial(figures.last_readings, now=now), now, problems
        )
        wanted = set(chosen)
        found: dict[str, FinalReading] = {}
        for (pod_uid, namespace), reading in (readings or {}).items():
            if pod_uid in wanted and _is_of(namespace, pod_uid, self._namespace_of_pod):
                found[pod_uid] = max(reading, found.get(pod_uid, reading), key=lambda each: each.at)
        return found

    # -- asking

    async def _ask(
        self, expression: str, read: Callable[[Iterable[Row]], T], now: float, problems: list[str]
    ) -> T | None:
        """Return what the answer says; None, and why, if there is none."""
        try:
            answer = await self._client.query(expression, now - SETTLED_SECONDS, read)
        except BallastError as error:
            problems.append(str(error))
            return None
        problems.extend(f"Prometheus does not know all: {warning}" for warning in answer.warnings)
        return answer.value

    def _log(self, problem: str | None) -> None:
        """Log a problem when it is a new one, and when there is none any more."""
        if problem is not None and problem != self._told:
            logger.warning("Prometheus does not tell what jobs use and how far they are", extra={"problem": problem})
        elif problem is None and self._told is not None:
            logger.info("Prometheus answers again")
        self._told = problem


def _is_of(namespace: str, uid: str, namespace_of: NamespaceOf | None) -> bool:
    if namespace_of is None:
        return True
    own = namespace_of(uid)
    return own is not None and namespace in {"", own}


def _furthest(told: Mapping[str, Mapping[str, float]]) -> str:
    """Return the pod whose trainer has reported most: evaluations come before steps."""
    return max(
        sorted(told), key=lambda pod: (told[pod].get(exporter.EVALUATIONS, 0.0), told[pod].get(exporter.STEP, 0.0))
    )
