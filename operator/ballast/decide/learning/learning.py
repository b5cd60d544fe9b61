"""What is learned from running jobs: their measurements are entered into the energy profiles of their namespaces.

Pure. All measurements of a cycle that belong to one profile make one write; jobs of the same cycle are decided on by
the profile as it will be. What must hold: a profile is learned from jobs of its own namespace only (G7), and nothing is
written into one that an admin shares; while a write of a profile is under way nothing else is learned into it, and a
write that fails loses one measurement, which the next replaces.

Robust in three ways. A measurement that contradicts a well-known point is not entered: it is put aside, and one that
agrees again clears it away. Where `CHANGED_AFTER` in a row contradict, and agree with one another, the workload is
another than before: its profile is begun anew with what they say. And a point that is known well enough is written
again once an hour only, however many jobs measure it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from ballast.api.conditions import Condition, find_condition, set_condition
from ballast.api.energyprofile import (
    MAX_POINTS,
    EnergyProfile,
    EnergyProfileSpec,
    EnergyProfileStatus,
    MeasuredPoint,
    ProfileCondition,
)
from ballast.api.jobstatus import Phase
from ballast.api.kinds import ObjectMeta
from ballast.api.quantities import POWER
from ballast.decide.actions import WriteProfile
from ballast.decide.learning.profile_keys import profile_name
from ballast.decide.learning.profile_points import (
    contradicts,
    is_believed,
    joules_per_step,
    merged,
    point_of,
    same_point,
    samples_of,
)
from ballast.decide.measurement import Learned
from ballast.decide.model.known_limits import stale, whole
from ballast.decide.model.prediction import GpuRange
from ballast.decide.snapshot import Job
from ballast.decide.telling import moment

CHANGED_AFTER: Final = 3
"""So many measurements in a row that contradict a point, and agree with one another, are a change of the workload."""

ENOUGH_SAMPLES: Final = 32
"""A point of so many measurements is known well enough to be written less often."""

SELDOM_SECONDS: Final = 3600.0

_Key: TypeAlias = tuple[str, str, str]
"""Namespace, profile key and GPU model."""


@dataclass(frozen=True, slots=True)
class Lessons:
    """What a cycle learned.

    Attributes:
        writes: One for each profile that changed.
        profiles: Those profiles as they will be.
        begun_anew: Why, by profile, where what was known before was dropped.
    """

    writes: tuple[WriteProfile, ...] = ()
    profiles: Mapping[_Key, EnergyProfile] = field(default_factory=dict)
    begun_anew: Mapping[_Key, str] = field(default_factory=dict)

    def taught(self, job: Job) -> Job:
        """Return a job with its profile as it will be."""
        key = _key_of(job)
        if job.learned is None or key not in self.profiles:
            return job
        return replace(job, learned=replace(job.learned, own=self.profiles[key]))

    def news_of(self, job: Job) -> str | None:
        """Return why what was known of a job's workload was dropped; None if it was not."""
        return self.begun_anew.get(_key_of(job)) if job.measurement is not None else None


def learn(jobs: Iterable[Job], now: float) -> Lessons:
    """Enter the measurements of jobs into their profiles.

    Args:
        jobs: Those about which something changed.
        now: Seconds since the epoch.
    """
    taught: dict[_Key, tuple[Learned, list[MeasuredPoint]]] = {}
    for job in jobs:
        point = _measured(job, now)
        if point is not None and job.learned is not None and not job.learned.writing:
            taught.setdefault(_key_of(job), (job.learned, []))[1].append(point)
    writes, profiles, begun_anew = [], {}, {}
    for key, (learned, points) in taught.items():
        before = learned.own
        draft = _Draft.of(before)
        for point in sorted(points, key=lambda point: point.measured_at or moment(0)):
            draft.enter(point)
        if not draft.is_news:
            continue
        profile = _profile(key, learned, draft, now)
        version = before.metadata.resource_version if before is not None else None
        writes.append(WriteProfile(key[0], profile.name, version, profile.spec, profile.status))
        profiles[key] = profile
        if draft.dropped is not None:
            begun_anew[key] = draft.dropped
    return Lessons(tuple(writes), profiles, begun_anew)


def _key_of(job: Job) -> _Key:
    learned = job.learned
    return job.namespace, learned.profile_key if learned else "", learned.gpu_model if learned else ""


def _measured(job: Job, now: float) -> MeasuredPoint | None:
    """Return what was measured of a job that runs, unless it is of another attempt."""
    measurement = job.measurement
    if measurement is None or job.learned is None or measurement.attempt != job.attempt:
        return None
    point = point_of(measurement) if job.job.status.phase is Phase.RUNNING else None
    if point is None or measurement.ended_at <= now:
        return point
    # A node's clock may be ahead by any time: what comes later is not to be older than that.
    return point.model_copy(update={"measured_at": moment(now)})


@dataclass(slots=True)
class _Draft:
    """A profile's contents while measurements are entered.

    Attributes:
        contradicting: See `EnergyProfileStatus`.
        is_news: Whether anything is worth a write.
        dropped: Why all that was known before was dropped; None if it was not.
    """

    points: list[MeasuredPoint]
    contradicting: MeasuredPoint | None
    is_news: bool = False
    dropped: str | None = None

    @classmethod
    def of(cls, profile: EnergyProfile | None) -> _Draft:
        if profile is None:
            return cls([], None)
        contradicting = profile.status.contradicting
        return cls(
            [point for point in profile.spec.points if is_believed(point)],
            contradicting if contradicting is not None and is_believed(contradicting) else None,
        )

    def enter(self, new: MeasuredPoint) -> None:
        """Enter one measurement."""
        place = next((index for index, known in enumerate(self.points) if same_point(known, new)), None)
        if place is None:
            self._add(new)
            return
        known = self.points[place]
        if contradicts(known, new):
            self._put_aside(known, new)
            return
        cleared = self.contradicting is not None and same_point(self.contradicting, new)
        if cleared:
            self.contradicting = None
        if cleared or _is_worth_writing(known, new):
            self.points[place] = merged(known, new)
            self.is_news = True

    def _add(self, new: MeasuredPoint) -> None:
        while len(self.points) >= MAX_POINTS:
            self.points.remove(_least_valuable(self.points))
        self.points.append(new)
        self.is_news = True

    def _put_aside(self, known: MeasuredPoint, new: MeasuredPoint) -> None:
        self.is_news = True
        before = self.contradicting
        goes_on = before is not None and same_point(before, new) and not _differs(before, new)
        self.contradicting = merged(before, new) if before is not None and goes_on else new
        if self.contradicting.samples < CHANGED_AFTER or not _differs(known, self.contradicting):
            return
        at = POWER.human(new.power_limit_watts)
        self.dropped = (
            f"the workload has changed: {CHANGED_AFTER} measurements in a row at {at} say"
            f" {_in_words(self.contradicting)} and not {_in_words(known)}; what was known of it is learned anew"
        )
        self.points, self.contradicting = [self.contradicting], None


def _differs(one: MeasuredPoint, other: MeasuredPoint) -> bool:
    """Return whether two points of one operating point cannot be of the same workload."""
    limit = one.power_limit_watts
    board = GpuRange("", limit - 1, limit + 1, 0.0)
    return stale(samples_of((one,), board), samples_of((other,), board))


def _is_worth_writing(known: MeasuredPoint, new: MeasuredPoint) -> bool:
    if known.samples < ENOUGH_SAMPLES or known.measured_at is None or new.measured_at is None:
        return True
    return (new.measured_at - known.measured_at).total_seconds() >= SELDOM_SECONDS


def _least_valuable(points: Iterable[MeasuredPoint]) -> MeasuredPoint:
    """Return the point that was not measured for longest; the highest limits, from which slowdown counts, go last."""
    points = tuple(points)
    highest = {
        (each.gpus, each.max_clock_hertz): max(
            whole(other.power_limit_watts)
            for other in points
            if (other.gpus, other.max_clock_hertz) == (each.gpus, each.max_clock_hertz)
        )
        for each in points
    }
    return min(
        points,
        key=lambda each: (
            whole(each.power_limit_watts) == highest[each.gpus, each.max_clock_hertz],
            each.measured_at or moment(0),
            each.samples,
            each.operating_point,
        ),
    )


def _in_words(point: MeasuredPoint) -> str:
    return f"{point.steps_per_second:.3g} steps/s at {POWER.human(point.watts_per_gpu)} a GPU"


def _profile(key: _Key, learned: Learned, draft: _Draft, now: float) -> EnergyProfile:
    """Return the profile as it will be."""
    namespace, profile_key, gpu_model = key
    before = learned.own
    conditions: tuple[Condition, ...] = ()
    points = tuple(sorted(draft.points, key=lambda point: point.operating_point))
    if before is None:
        name = profile_name(profile_key, gpu_model)
        spec = EnergyProfileSpec(profile_key=profile_key, gpu_model=gpu_model, points=points)
        metadata = ObjectMeta(name=name, namespace=namespace)
        generation = 1
    else:
        spec = before.spec.model_copy(update={"points": points})
        metadata = before.metadata
        generation = metadata.generation + (spec != before.spec)
        conditions = before.status.conditions
    status = _status(points, draft.contradicting, conditions, learned.gpu, generation, now)
    return EnergyProfile(kind="EnergyProfile", metadata=metadata, spec=spec, status=status)


def _status(
    points: tuple[MeasuredPoint, ...],
    contradicting: MeasuredPoint | None,
    conditions: tuple[Condition, ...],
    gpu: GpuRange | None,
    generation: int,
    now: float,
) -> EnergyProfileStatus:
    best = min(points, key=joules_per_step)
    holds, reason, message = _usable(points, contradicting, gpu)
    before = find_condition(conditions, ProfileCondition.USABLE)
    if before is None or (before.reason, before.is_true) != (reason, holds is True) or before.message != message:
        conditions = set_condition(
            conditions, ProfileCondition.USABLE, holds, reason, message, generation=generation, now=moment(now)
        )
    return EnergyProfileStatus(
        observed_generation=generation,
        points=len(points),
        samples=sum(point.samples for point in points),
        best_power_limit_watts=best.power_limit_watts,
        best_joules_per_step=joules_per_step(best),
        contradicting=contradicting,
        conditions=conditions,
    )


def _usable(
    points: tuple[MeasuredPoint, ...], contradicting: MeasuredPoint | None, gpu: GpuRange | None
) -> tuple[bool | None, str, str]:
    if contradicting is not None:
        at, many = POWER.human(contradicting.power_limit_watts), contradicting.samples > 1
        newest = f"newest {contradicting.samples} measurements at {at} say" if many else f"newest one at {at} says"
        message = f"the {newest} {_in_words(contradicting)}: {CHANGED_AFTER} in a row would be a change of the workload"
        return None, "Contradicted", message
    limits = sorted({whole(point.power_limit_watts) for point in points})
    found = whole(gpu.max_limit_watts) if gpu is not None else limits[-1]
    if found not in limits:
        message = f"nothing was measured at {POWER.human(found)}, as found, from where slowdown is counted"
        return False, "FoundLimitMissing", message
    return True, "Measured", f"measured at {len(limits)} power limit{'s' * (len(limits) != 1)}"
