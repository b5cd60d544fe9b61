"""Whether a running job's figures are up to date: the condition TelemetryFresh.

Pure. What must hold: what it says is stable, with no age that ticks; a gang that has just begun to run need not have
figures yet; figures that were told stale must be clearly younger to be fresh again, so that it does not waver.
"""

from __future__ import annotations

from dataclasses import dataclass

from ballast.api.conditions import Condition, ConditionStatus, ConditionType, Reason, find_condition, set_condition
from ballast.api.exporter import CONTAINER, METRICS_PORT, is_carried_by
from ballast.decide.snapshot import Context, Job
from ballast.decide.telemetry import Telemetry
from ballast.decide.telling import moment, pods

FRESH_AGAIN_SHARE = 2 / 3
"""Figures that were told stale are fresh when they are younger than this share of what is allowed."""
MAX_PROBLEM_LENGTH = 256
_STATUS = {True: ConditionStatus.TRUE, False: ConditionStatus.FALSE, None: ConditionStatus.UNKNOWN}


@dataclass(frozen=True, slots=True)
class Freshness:
    """What the condition says; a status of None is unknown."""

    status: bool | None
    reason: Reason
    message: str

    def is_told_by(self, condition: Condition | None) -> bool:
        """Return whether a condition says so already."""
        if condition is None or condition.status is not _STATUS[self.status] or condition.reason != self.reason:
            return False
        # A problem may be told in other words each time: those of the first time stay.
        return self.reason is Reason.NO_TELEMETRY or condition.message == self.message


def freshness(job: Job, telemetry: Telemetry | None, context: Context) -> Freshness | None:
    """Return how fresh a running job's figures are; None while nothing is to be said of that yet.

    Args:
        job: the job.
        telemetry: what is known of its present attempt.
        context: says what is too old, and why Prometheus tells nothing.
    """
    limit = context.policy.stale_seconds
    told = told_freshness(job)
    allowed = limit if told is None or told.is_true else limit * FRESH_AGAIN_SHARE
    expected = sum(not pod.has_ended for pod in job.own_pods) or job.job.spec.replicas
    known = telemetry.pods if telemetry is not None else 0
    oldest_at = telemetry.oldest_at if telemetry is not None else None
    is_old = oldest_at is None or context.now - oldest_at > allowed
    if not is_old and known >= expected:
        return Freshness(
            True,
            Reason.READINGS_FRESH,
            f"power and energy of {pods(expected)} are known, no figure older than {limit:g} s",
        )
    if told is None and _has_just_begun(job, context):
        return None
    if is_old and context.telemetry_problem is not None:
        problem = context.telemetry_problem[:MAX_PROBLEM_LENGTH]
        return Freshness(None, Reason.NO_TELEMETRY, f"Prometheus does not tell how {pods(expected)} do: {problem}")
    if known < expected:
        return Freshness(
            False,
            Reason.READINGS_STALE,
            f"Prometheus has figures of {known} of {pods(expected)}: see whether it reaches port {METRICS_PORT}"
            f" (container {CONTAINER}) of each",
        )
    return Freshness(
        False,
        Reason.READINGS_STALE,
        f"of {pods(expected)} the oldest figures are more than {limit:g} s old: see the log of container {CONTAINER}"
        " and whether the agents of its nodes run",
    )


def never(job: Job, context: Context) -> Freshness | None:
    """Return what is said of a job of which there never are figures while it runs; None if there are."""
    if not is_carried_by(job.job.spec.template["spec"]):
        why = "its pods are on their nodes' own network (hostNetwork) and carry no exporter: nothing is known of them"
    elif not context.policy.prometheus:
        why = "no Prometheus is configured (prometheus.url of the chart): what pods used is known when they have ended"
    else:
        return None
    return Freshness(None, Reason.NO_TELEMETRY, why)


def told_freshness(job: Job) -> Condition | None:
    """Return the condition as it stands."""
    return find_condition(job.job.status.conditions, ConditionType.TELEMETRY_FRESH)


def with_freshness(job: Job, conditions: tuple[Condition, ...], found: Freshness, now: float) -> tuple[Condition, ...]:
    """Return the conditions with this one set, unless it says so already."""
    kind = ConditionType.TELEMETRY_FRESH
    if found.is_told_by(find_condition(conditions, kind)):
        return conditions
    return set_condition(
        conditions,
        kind,
        found.status,
        found.reason,
        found.message,
        generation=job.job.metadata.generation,
        now=moment(now),
    )


def without_freshness(conditions: tuple[Condition, ...]) -> tuple[Condition, ...]:
    """Return the conditions without this one: of a job that does not run nobody has figures."""
    return tuple(condition for condition in conditions if condition.type != ConditionType.TELEMETRY_FRESH)


def _has_just_begun(job: Job, context: Context) -> bool:
    """Return whether its pods' first figures may still be on their way."""
    attempts = job.job.status.attempts
    running_at = attempts[-1].running_at if attempts else None
    return running_at is not None and context.now - running_at.timestamp() <= context.policy.stale_seconds
