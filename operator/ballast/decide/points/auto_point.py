"""The operating point of a job whose mode is `Auto`: what it wishes, what is known of it, and what follows.

Pure. The choice itself is `ballast.decide.points.choosing`'s, by the energy model and what profiles say of the
workload; this gathers what it needs and keeps the record in the job's status, from which an operator that restarts
goes on. What must hold: without fresh figures nothing changes (G6); a job that cannot be controlled alone stays as it
was found and says so; the same picture gives the same choice, and once that is written no other one.

A choice is made anew where there is something new to make it from: measurements of the workload, by this job or by one
with the same key, or another spec; where a deadline would be missed; where a visit has lasted for long; and where time
has passed, because what it allows changes: how long the job runs on is known only once it trains. How many measurements
a choice rests on, and when it was made, is part of its record; the more they are, and the longer the job has run, the
more it takes to ask again, so that a job is chosen for a few dozen times however long it runs. A visit that cannot be
measured ends, also without fresh figures, but then only upwards.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from ballast.api.energyprofile import EnergyProfile, MeasuredPoint
from ballast.api.jobenergy import OperatingPointMode
from ballast.api.jobstatus import MAX_WHY, ChosenPoint, Phase
from ballast.decide.actions import Note
from ballast.decide.energy_model import HierarchicalModel
from ballast.decide.freshness import freshness
from ballast.decide.learning.profile_points import agree, comparable, samples_of
from ballast.decide.measurement import Learned
from ballast.decide.model.candidate_limits import candidate_limits
from ballast.decide.model.known_limits import Trust, known_limits, pooled, whole
from ballast.decide.model.prediction import Curve, GpuRange, Sample
from ballast.decide.noticing import NUMBER, is_elsewhere, usable
from ballast.decide.operating_point import asks
from ballast.decide.points.choosing import choose
from ballast.decide.points.exploring import lost_seconds
from ballast.decide.points.slowdown import model_cost, slowdown_left_percent
from ballast.decide.points.time_left import is_late, seconds_left, slowdown_left
from ballast.decide.points.wishes import Exploration, Wishes
from ballast.decide.policy import Policy
from ballast.decide.snapshot import Context, Job
from ballast.decide.telling import moment, status_of

LONG_VISIT_READINGS: Final = 10
"""Of so many readings' length a visit is long: then it is asked whether the job can still be measured."""

LAST_VISITS: Final = 10
"""A visit that is not measured in the time of so many ends."""

FEW_SAMPLES: Final = 8
"""While the present limit has fewer, each one more is news."""

MORE_SHARE: Final = 1 / 8
"""By this share there must be more measurements than a choice rests on, to be news where the limit has enough; and so
much of the time that the job has run must have passed."""

MOST_CURVES: Final = 100
"""So many workloads' curves a cycle makes, each of which takes milliseconds."""

NEWS_SHARE: Final = 0.2
NEWS_LEAST: Final = 1.0
"""A number of the reason is told anew where it differs by more than both."""

_MODEL: Final = HierarchicalModel()


def is_auto(job: Job) -> bool:
    """Return whether Ballast chooses the job's operating point."""
    return job.job.spec.energy.operating_point.mode is OperatingPointMode.AUTO


def obstacle(job: Job) -> str | None:
    """Return why nothing can be chosen for a job's GPUs, once all of them are known; None if something can."""
    shared = _shared(job)
    if shared:
        more = f" and {len(shared) - 1} more" if len(shared) > 1 else ""
        return f"as found: {shared[0]}{more} is shared with other pods, for which nobody chose it"
    if job.learned is not None and job.learned.is_admins and job.learned.shared is None:
        return (
            f"as found: in {job.namespace}, the operator's own namespace, profiles are the admin's: nothing is learned"
            f" from its jobs, and there is none of {job.learned.profile_key} on {job.learned.gpu_model}"
        )
    if not any(job.held_gpus.values()) or job.learned is None:
        return None
    if job.learned.gpu is not None and _has_range(job.learned.gpu):
        return None
    return (
        "as found: its GPUs tell no range of power limits, or no power without load, to choose by; or they are not"
        " alike, or divided (MIG)"
    )


def _shared(job: Job) -> list[str]:
    """Return the UUIDs of those GPUs of a job that other pods hold, too."""
    return sorted(gpu.uuid for gpus in job.held_gpus.values() for gpu in gpus if gpu.shared)


def tuned(job: Job, context: Context, renewed: str | None = None) -> tuple[Job, Note | None]:
    """Return a job with the operating point that it is to have, the same object if that changes nothing, and the news.

    Args:
        job: It holds GPUs, or is about to; its profile as it will be.
        context: What the choice depends on beside the job.
        renewed: Why what was known of its workload was dropped in this cycle; None if it was not.
    """
    before = job.job.status.operating_point
    after = _point(job, context)
    note = Note("ProfileRenewed", renewed) if renewed is not None else None
    if after == before:
        return job, note
    status = status_of(job, operating_point=after)
    job = replace(job, job=job.job.model_copy(update={"status": status}))
    if note is None and after is not None and _is_told(before, after, job.learned):
        note = Note("OperatingPointChosen", after.why)
    return job, note


def _is_told(before: ChosenPoint | None, after: ChosenPoint, learned: Learned | None) -> bool:
    """Return whether the job's owner is told in an event: of changes, not of a beginning as found."""
    if before is not None:
        return whole(before.power_limit_watts) != whole(after.power_limit_watts)
    return (
        learned is None or learned.gpu is None or whole(after.power_limit_watts) != whole(learned.gpu.max_limit_watts)
    )


def _point(job: Job, context: Context) -> ChosenPoint | None:
    """Return what is to stand in the job's status."""
    status, learned = job.job.status, job.learned
    before = status.operating_point
    if not is_auto(job):
        return None
    if status.phase not in {Phase.PLACING, Phase.RUNNING}:
        return before
    runs = status.phase is Phase.RUNNING
    is_fresh = not runs or _is_fresh(job, context)
    if _shared(job):
        return None if is_fresh else before
    if learned is None or learned.gpu is None or _is_outdated(learned) or not _has_range(learned.gpu):
        return before
    # One change after the other: what an agent may still set is then never looser than what counts as reserved (G1).
    if runs and before is not None and _is_pending(job):
        return before
    known = _Known.of(job, learned)
    if not is_fresh:
        return _without_figures(job, before, known, learned.gpu, context)
    if before is not None and not _is_asked_again(job, before, known, learned.gpu, context):
        return before
    return _chosen(job, known, learned.gpu, before, context)


def _without_figures(
    job: Job, before: ChosenPoint | None, known: _Known, gpu: GpuRange, context: Context
) -> ChosenPoint | None:
    """Return what was chosen, but that a visit ends by which the job may be slower than it allows (G6)."""
    if before is None or not _is_overdue(job, before, known, context):
        return before
    after = _chosen(job, known, gpu, before, context)
    return after if after is not None and after.power_limit_watts > before.power_limit_watts else before


def _has_range(gpu: GpuRange) -> bool:
    """Return whether there is more than one limit to choose from; a board may have been found below what it takes."""
    return 0 < gpu.min_limit_watts < gpu.max_limit_watts


def _is_outdated(learned: Learned) -> bool:
    """Return whether what was measured last is being written, and not known here."""
    return learned.writing and (learned.own is not None or learned.shared is None)


def _is_pending(job: Job) -> bool:
    """Return whether agents have yet to set, or to tell, what the job asks; a board that refuses it is done."""
    asked = {ask.pod_uid: ask.power_limit_watts for ask in asks(job)}
    for pod in job.own_pods:
        gpus = job.held_gpus.get(pod.uid, ())
        if not gpus and not pod.has_ended:
            return True
        if any(gpu.problem is None and not gpu.has_limit(asked.get(pod.uid)) for gpu in gpus):
            return True
    return False


def _is_fresh(job: Job, context: Context) -> bool:
    telemetry = job.telemetry if job.telemetry is not None and job.telemetry.attempt == job.attempt else None
    if telemetry is None or context.now - telemetry.asked_at > context.policy.stale_seconds:
        return False
    found = freshness(job, telemetry, context)
    return found is not None and found.status is True


@dataclass(frozen=True, slots=True)
class _Known:
    """What profiles say of a job's workload on its GPU model, by gangs of its size.

    Attributes:
        own: What was measured in the job's namespace.
        shared: What an admin shares.
    """

    own: tuple[MeasuredPoint, ...]
    shared: tuple[MeasuredPoint, ...]

    @classmethod
    def of(cls, job: Job, learned: Learned) -> _Known:
        return cls(*(_points(profile, job, learned) for profile in (learned.own, learned.shared)))

    @property
    def count(self) -> int:
        """How many measurements they are."""
        return sum(point.samples for point in (*self.own, *self.shared))

    def count_at(self, limit_watts: float) -> int:
        """Return how many of them are of one limit."""
        points = (*self.own, *self.shared)
        return sum(point.samples for point in points if whole(point.power_limit_watts) == whole(limit_watts))

    def samples(self, gpu: GpuRange) -> tuple[Sample, ...]:
        """Return what a curve is made of."""
        mine, others = samples_of(self.own, gpu), samples_of(self.shared, gpu)
        return mine + others if agree(mine, others) else mine


def _points(profile: EnergyProfile | None, job: Job, learned: Learned) -> tuple[MeasuredPoint, ...]:
    if profile is None:
        return ()
    return comparable(profile.spec.points, job.job.gpus, learned.max_clock_hertz)


def _is_asked_again(job: Job, before: ChosenPoint, known: _Known, gpu: GpuRange, context: Context) -> bool:
    status = job.job.status
    if status.phase is Phase.PLACING:
        return False
    if not whole(gpu.min_limit_watts) <= whole(before.power_limit_watts) <= whole(gpu.max_limit_watts):
        return True
    more, here = known.count - before.samples, known.count_at(before.power_limit_watts)
    if more < 0 or before.observed_generation != job.job.metadata.generation:
        return True
    if is_late(job, context.now) and asks(job):
        return True
    if more >= (1 if here < FEW_SAMPLES else max(MORE_SHARE * before.samples, 1)):
        return True
    return _has_lasted(job, before, here, context)


def _has_lasted(job: Job, before: ChosenPoint, here: int, context: Context) -> bool:
    """Return whether so much time has passed since a choice that it is made anew."""
    lasted, policy = context.now - _since(job, before), context.policy
    if here == 0:
        return lasted >= LONG_VISIT_READINGS * policy.reading_seconds
    if before.since.timestamp() < _running_at(job):  # before anybody knew how long the job takes
        return lasted >= policy.visit_seconds
    return lasted >= max(LAST_VISITS * policy.visit_seconds, MORE_SHARE * (context.now - _running_at(job)))


def _is_overdue(job: Job, before: ChosenPoint, known: _Known, context: Context) -> bool:
    """Return whether a job is where nothing was measured, and most likely nothing will be."""
    lasted = context.now - _since(job, before)
    return known.count_at(before.power_limit_watts) == 0 and lasted >= LAST_VISITS * context.policy.visit_seconds


def next_due(job: Job, policy: Policy) -> tuple[float, ...]:
    """Return when time alone may call for another choice, seconds since the epoch."""
    point = job.job.status.operating_point
    if point is None or not is_auto(job):
        return ()
    since = _since(job, point)
    return since + policy.visit_seconds, since + LAST_VISITS * policy.visit_seconds


def _chosen(job: Job, known: _Known, gpu: GpuRange, before: ChosenPoint | None, context: Context) -> ChosenPoint | None:
    samples, limits = known.samples(gpu), candidate_limits(gpu)
    # What there is no time for now is asked for again whenever the job is looked at.
    if (gpu, samples) not in context.curves and len(context.curves) >= MOST_CURVES:
        return before
    context.curves.add((gpu, samples))
    curve = curve_of(gpu, samples)
    wishes = _wishes(job, curve, samples, before, context)
    if before is not None and _is_overdue(job, before, known, context):
        wishes = replace(wishes, exploration=None)
    choice = choose(curve, limits, samples, wishes)
    why = _shortened(choice.message)
    here = known.count_at(choice.limit_watts)
    is_same = before is not None and whole(choice.limit_watts) == whole(before.power_limit_watts)
    if before is not None and is_same and not (here and _has_lasted(job, before, here, context)):
        if not choice.measured or not is_reworded(before.why, why):
            why = before.why
        told = {"why": why, "samples": known.count, "observed_generation": job.job.metadata.generation}
        after = before.model_copy(update=told)
        # What they were chosen from differs a little at each look: that alone is not written.
        return after.model_copy(update={"options": choice.told(wishes)}) if after != before else before
    lost = before.lost_seconds if before is not None else 0.0
    if before is not None:
        options = known_limits(curve, limits, pooled(samples), wishes.trust)
        spent = max(context.now - _since(job, before), 0.0)
        lost += lost_seconds(options, {before.power_limit_watts: spent}, wishes)
    return ChosenPoint(
        power_limit_watts=choice.limit_watts,
        since=moment(context.now),
        lost_seconds=round(lost, 3),
        samples=known.count,
        observed_generation=job.job.metadata.generation,
        why=why,
        options=choice.told(wishes),
    )


@lru_cache(maxsize=1024)
def curve_of(gpu: GpuRange, samples: tuple[Sample, ...]) -> Curve:
    """Return a workload's curve; remembered, because jobs of one key share it, and because it takes milliseconds."""
    return _MODEL.curve(gpu, samples)


def _wishes(
    job: Job, curve: Curve, samples: tuple[Sample, ...], before: ChosenPoint | None, context: Context
) -> Wishes:
    status, energy, gpu = job.job.status, job.job.spec.energy, curve.gpu
    runs = status.phase is Phase.RUNNING
    now_watts = before.power_limit_watts if before is not None else gpu.max_limit_watts
    if not whole(gpu.min_limit_watts) <= whole(now_watts) <= whole(gpu.max_limit_watts):
        now_watts = gpu.max_limit_watts
    left = _left_seconds(job, curve, samples, now_watts) if runs else None
    cost = model_cost(job, context) if job.learned is not None else 1.0
    return Wishes(
        objective=energy.objective,
        max_slowdown_percent=slowdown_left_percent(energy.max_slowdown_percent, cost),
        deadline_slowdown_percent=slowdown_left(job, left, context.now),
        ran_seconds=max(context.now - _running_at(job), 0.0) if runs else 0.0,
        left_seconds=left,
        lost_seconds=before.lost_seconds if before is not None else 0.0,
        now_watts=now_watts if runs else None,
        exploration=Exploration(reading_seconds=context.policy.visit_seconds)
        if runs and _can_be_learned(job, context)
        else None,
    )


def _left_seconds(job: Job, curve: Curve, samples: tuple[Sample, ...], now_watts: float) -> float | None:
    """Return how long the job would run on at the found limit; None if nobody knows."""
    left = seconds_left(job)
    if left is None:
        return None
    watts = min(max(now_watts, curve.gpu.min_limit_watts), curve.gpu.max_limit_watts)
    # What was measured there, if it was, may be far from the curve.
    now = known_limits(curve, [watts], pooled(samples), Trust())[0]
    return left / (1 + now.prediction.slowdown_percent / 100)


def _can_be_learned(job: Job, context: Context) -> bool:
    """Return whether its trainer reports steps, by which a limit that is tried out is measured, and it can be kept."""
    if job.learned is not None and job.learned.writing:
        return False
    training = job.telemetry.training if job.telemetry is not None else None
    if training is None or usable(training.step, 0) is None:
        return False
    reported_at = usable(training.reported_at)
    silent_after = max(context.policy.stale_seconds, LONG_VISIT_READINGS * context.policy.reading_seconds)
    return reported_at is not None and context.now - reported_at <= silent_after


def _running_at(job: Job) -> float:
    attempts = job.job.status.attempts
    running_at = attempts[-1].running_at if attempts else None
    return running_at.timestamp() if running_at is not None else 0.0


def _since(job: Job, point: ChosenPoint) -> float:
    """Return since when the job trains at a point that was chosen for it, seconds since the epoch."""
    return max(point.since.timestamp(), _running_at(job))


def is_reworded(before: str, after: str) -> bool:
    """Return whether a reason says something else than the one before, or the same with noticeably other numbers."""
    if NUMBER.sub("#", before) != NUMBER.sub("#", after):
        return True
    return any(
        is_elsewhere(told, now, NEWS_SHARE, NEWS_LEAST)
        for told, now in zip(_numbers(before), _numbers(after), strict=True)
    )


def _numbers(text: str) -> Iterable[float]:
    return [float(each.replace(",", "")) for each in NUMBER.findall(text)]


def _shortened(message: str) -> str:
    return message if len(message) <= MAX_WHY else message[: MAX_WHY - 1] + "…"
