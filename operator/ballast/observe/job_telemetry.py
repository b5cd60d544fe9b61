"""What Prometheus has told of each job, and of which pods it is still to be asked.

What must hold: only the newest answer counts, but where it is not whole what it lacks stays as it was, with its age;
what is kept grows with the jobs that exist and with nothing else.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import replace
from itertools import chain, islice

from ballast.api.finalreading import FinalReading
from ballast.decide.telemetry import Poll, Telemetry

MAX_LOST_PODS = 1000
"""Pods without a word that are told of at once; of more, those that have waited longest."""


class JobTelemetry:
    """By the job's UID; see the module's docstring.

    Attributes:
        problem: why Prometheus tells nothing, or not all; None if it does, or was never asked.
        asked_at: when it was asked last, whatever came of it; None if it was not yet.
    """

    def __init__(self) -> None:
        self.problem: str | None = None
        self.asked_at: float | None = None
        self._jobs: dict[str, Telemetry] = {}
        self._unheard: dict[str, dict[str, float]] = {}  # job -> pod -> since when
        self._known: dict[str, dict[str, FinalReading]] = {}  # job -> pod

    def take(self, poll: Poll, jobs: Container[str] | None = None) -> list[str]:
        """Take in the answers; return the jobs of which a pod that was missed is known.

        Args:
            poll: the answers.
            jobs: those that exist, as some may have gone while the server was asked; None if all do.
        """
        self.problem, self.asked_at = poll.problem, poll.asked_at
        if poll.problem is None:
            self._jobs = dict(poll.jobs)
        else:
            there = ((job, told) for job, told in poll.jobs.items() if jobs is None or job in jobs)
            self._jobs |= {job: _completed(told, self._jobs.get(job)) for job, told in there}
        found: list[str] = []
        if poll.pods:
            for job, pods in self._unheard.items():
                known = {pod: poll.pods[pod] for pod in pods if pod in poll.pods}
                if known:
                    self._known[job] = {**self._known.get(job, {}), **known}
                    found.append(job)
        return found

    def of(self, job: str) -> Telemetry | None:
        """Return what is known of a job's latest attempt; None if nothing."""
        return self._jobs.get(job)

    def known(self, job: str) -> Mapping[str, FinalReading]:
        """Return the last that is known of a job's pods that went without a word, by UID."""
        return self._known.get(job, {})

    def unheard(self, job: str) -> Mapping[str, float]:
        """Return since when a word of a job's pods is missed, by UID."""
        return self._unheard.get(job, {})

    def miss(self, job: str, pods: Iterable[str], now: float) -> None:
        """Set of which pods of a job a word is missed, from now on if it was not before."""
        before = self._unheard.get(job, {})
        missed = {pod: before.get(pod, now) for pod in pods}
        if missed:
            self._unheard[job] = missed
        elif before:
            del self._unheard[job]
        known = self._known.get(job)
        if known is not None:
            left = {pod: reading for pod, reading in known.items() if pod in missed}
            if left:
                self._known[job] = left
            else:
                del self._known[job]

    def forget(self, job: str) -> None:
        """Take in that a job is gone."""
        self.miss(job, (), 0.0)
        self._jobs.pop(job, None)

    def lost_pods(self) -> tuple[str, ...]:
        """Return the UIDs of pods of which a word is missed."""
        return tuple(islice(chain.from_iterable(self._unheard.values()), MAX_LOST_PODS))


def _completed(told: Telemetry, before: Telemetry | None) -> Telemetry:
    """Return what was told while some queries failed, with what it lacks as it was known before, and as old as that."""
    if before is None or before.attempt != told.attempt:
        return told
    found = told
    if not told.pods and before.pods:
        found = replace(found, pods=before.pods, oldest_at=before.oldest_at)
    if told.watts is None and before.watts is not None:
        found = replace(found, watts=before.watts, oldest_at=before.oldest_at)
    if not told.joules:
        found = replace(found, joules=before.joules, read_at=before.read_at)
    if told.training is None:
        found = replace(found, training=before.training, missed_evaluations=before.missed_evaluations)
    elif told.training.step is None and before.training is not None and before.training.step is not None:
        evaluations = max(told.training.evaluations, before.training.evaluations)
        found = replace(found, training=replace(before.training, evaluations=evaluations, ring=told.training.ring))
    return found
