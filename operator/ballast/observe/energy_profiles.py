"""What is known of EnergyProfiles, by the jobs that they are of use to, and which of them are being written.

A namespace's jobs read what was learned in that namespace, and what an admin shares from the operator's; nobody reads
another namespace's (G7). What must hold: a change that matters reaches the jobs of its key and GPU model and no others;
while a profile is being written, or rests because that failed, nobody is told that it may be written.
"""

from __future__ import annotations

import logging
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from ballast.api.energyprofile import EnergyProfile, InvalidEnergyProfile, MeasuredPoint
from ballast.decide.actions import WriteProfile
from ballast.decide.learning.profile_keys import profile_name
from ballast.decide.measurement import Learned
from ballast.observe.boards import Boards
from ballast.observe.timers import Timers, retry_delay

logger = logging.getLogger(__name__)

NEWS_SHARE: Final = 0.005
"""A mean that moves by less is no news to other jobs: half of what a reading tells apart."""


class Workload(NamedTuple):
    """What a profile is of: the key of one namespace's jobs, on one GPU model."""

    namespace: str
    profile_key: str
    gpu_model: str


class EnergyProfiles:
    """Profiles by workload; see the module's docstring.

    Args:
        shared_namespace: the operator's, where admins put profiles for all; empty: nobody shares any.
    """

    def __init__(self, shared_namespace: str = "") -> None:
        self._shared_namespace = shared_namespace
        self._profiles: dict[Workload, dict[str, EnergyProfile]] = {}  # by UID
        self._workload_of: dict[str, Workload] = {}  # of a profile, by UID
        self._models: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)  # by namespace and key
        self._wanted: dict[str, Workload] = {}  # of a job, by UID
        self._jobs: dict[Workload, dict[str, None]] = defaultdict(dict)
        self._jobs_anywhere: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)  # key, GPU model
        self._under_way: set[Workload] = set()
        self._failures: dict[Workload, int] = {}
        self.changes = 0
        """Counts what could change where a job of some workload is placed."""
        self._rests = Timers()
        self._resting: dict[str, Workload] = {}  # by its name among the timers

    # -- what happened

    def put(self, obj: Mapping[str, Any]) -> tuple[str, ...]:
        """Take in a profile; return the jobs to which that is news."""
        uid = obj["metadata"]["uid"]
        try:
            profile = EnergyProfile.parse(obj)
        except InvalidEnergyProfile as error:  # somebody wrote past the schema: it tells nothing
            logger.warning(
                "an EnergyProfile cannot be read and is ignored: correct or delete it", extra={"error": str(error)}
            )
            return self.remove(uid)
        workload = Workload(profile.metadata.namespace, profile.spec.profile_key, profile.spec.gpu_model)
        news = self.remove(uid) if self._workload_of.get(uid, workload) != workload else ()
        profiles = self._profiles.setdefault(workload, {})
        before = profiles.get(uid)
        self._workload_of[uid] = workload
        profiles[uid] = profile
        self._models[workload[:2]][workload.gpu_model] = None
        matters = before is None or tells_more(before.spec.points, profile.spec.points)
        self.changes += matters
        return (*news, *(self._readers(workload) if matters else ()))

    def remove(self, uid: str) -> tuple[str, ...]:
        """Take in that a profile is gone; return the jobs to which that is news."""
        workload = self._workload_of.pop(uid, None)
        if workload is None:
            return ()
        del self._profiles[workload][uid]
        if not self._profiles[workload]:
            del self._profiles[workload]
            _discard(self._models, workload[:2], workload.gpu_model)
        self.changes += 1
        return self._readers(workload)

    def want(self, job: str, workload: Workload | None) -> None:
        """Set what a job runs, and on what; None forgets it."""
        before = self._wanted.get(job)
        if before == workload:
            return
        if before is not None:
            _discard(self._jobs, before, job)
            if before not in self._jobs:
                self._failures.pop(before, None)
            _discard(self._jobs_anywhere, before[1:], job)
            del self._wanted[job]
        if workload is not None:
            self._wanted[job] = workload
            self._jobs[workload][job] = None
            self._jobs_anywhere[workload[1:]][job] = None

    # -- what the operator does

    def assume(self, action: WriteProfile) -> None:
        """Count a write as under way."""
        self._under_way.add(_written(action))

    def settle(self, action: WriteProfile) -> tuple[str, ...]:
        """Take in that a write is done; return the jobs that may have waited for that."""
        workload = _written(action)
        self._under_way.discard(workload)
        self._failures.pop(workload, None)
        return tuple(self._jobs.get(workload, ()))

    def reject(self, action: WriteProfile, now: float) -> None:
        """Take in that a write failed; its profile rests for a while, longer each time."""
        workload = _written(action)
        self._under_way.discard(workload)
        if workload not in self._jobs:
            return  # nobody is left to learn it from
        failures = self._failures.get(workload, 0)
        self._failures[workload] = failures + 1
        name = _name(workload)
        self._resting[name] = workload
        self._rests.set(name, now + retry_delay(failures))

    # -- what others read

    def learned(self, workload: Workload, boards: Boards) -> Learned:
        """Return what profiles say of a job.

        Args:
            workload: the job's.
            boards: what its boards have in common.
        """
        is_admins = workload.namespace == self._shared_namespace
        return Learned(
            workload.profile_key,
            workload.gpu_model,
            boards.range,
            boards.max_hertz,
            own=None if is_admins else self._profile(workload),
            shared=self._profile(workload._replace(namespace=self._shared_namespace)),
            of_key=self.of_key(workload.namespace, workload.profile_key),
            # Where an admin writes the operator never does.
            writing=is_admins or workload in self._under_way or _name(workload) in self._resting,
            is_admins=is_admins,
        )

    def of_key(self, namespace: str, profile_key: str) -> tuple[EnergyProfile, ...]:
        """Return the profiles of a key on all GPU models: the namespace's own, or else those that an admin shares."""
        own = self._of_key(namespace, profile_key)
        models = {profile.spec.gpu_model for profile in own}
        shared = self._of_key(self._shared_namespace, profile_key)
        return (*own, *(profile for profile in shared if profile.spec.gpu_model not in models))

    def _of_key(self, namespace: str, profile_key: str) -> tuple[EnergyProfile, ...]:
        models = self._models.get((namespace, profile_key), ())
        found = (self._profile(Workload(namespace, profile_key, model)) for model in sorted(models))
        return tuple(profile for profile in found if profile is not None)

    def rested(self, now: float) -> list[str]:
        """Return the jobs whose profile has rested enough."""
        workloads = [self._resting.pop(name) for name in self._rests.pop_due(now)]
        return [job for workload in workloads for job in self._jobs.get(workload, ())]

    def next_due(self) -> float | None:
        """Return when a profile has rested enough, in seconds since the epoch; None if none rests."""
        return self._rests.next()

    def _profile(self, workload: Workload) -> EnergyProfile | None:
        """Return a workload's profile: of several the one that the operator would make, or else the first by name."""
        profiles = self._profiles.get(workload)
        if not profiles:
            return None
        own_name = profile_name(workload.profile_key, workload.gpu_model) if len(profiles) > 1 else ""
        return min(profiles.values(), key=lambda each: (each.metadata.name != own_name, each.metadata.name))

    def _readers(self, workload: Workload) -> tuple[str, ...]:
        if workload.namespace == self._shared_namespace:
            return tuple(self._jobs_anywhere.get(workload[1:], ()))
        return tuple(self._jobs.get(workload, ()))


def tells_more(before: Iterable[MeasuredPoint], after: Iterable[MeasuredPoint]) -> bool:
    """Return whether points say something else than before that could change a decision.

    That is another point, a mean that moved, or twice as many samples behind one: what a measurement adds to thousands
    concerns the job alone that it is of.
    """
    known, now = ({point.operating_point: point for point in points} for points in (before, after))
    return known.keys() != now.keys() or any(_is_news(known[each], now[each]) for each in known)


def _is_news(before: MeasuredPoint, after: MeasuredPoint) -> bool:
    pairs = (before.steps_per_second, after.steps_per_second), (before.watts_per_gpu, after.watts_per_gpu)
    moved = any(abs(math.log(now / then)) > NEWS_SHARE for then, now in pairs)
    return moved or before.samples.bit_length() != after.samples.bit_length()


def _written(action: WriteProfile) -> Workload:
    return Workload(action.namespace, action.spec.profile_key, action.spec.gpu_model)


def _name(workload: Workload) -> str:
    return "/".join(workload)  # a slash may only be in the last part


def _discard(jobs: dict[Any, dict[str, None]], key: Any, job: str) -> None:
    jobs[key].pop(job, None)
    if not jobs[key]:
        del jobs[key]
