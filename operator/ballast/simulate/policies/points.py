"""The operating points of running jobs, as `decide` chooses them from what was learned: one job at a time.

Whoever calls tells what was read and when a job begins and ends; this asks `decide.points.choosing`. It stands in for
`decide.points.auto_point`, which does the same in a cluster with EnergyProfiles and Prometheus, and has no rule of its
own but one: besides when there is news of its kind, a job is looked at with its first reading at a limit, because only
then is it known what time is left. A job's time is what a cluster tells of it: how long it has run, at which limits,
and which share of its work is done; never how long it will take. A reading counts from when the operator would have
it: its measurements begin later than an engine's, and are told later (`ballast.decide.policy.Policy.visit_seconds`).

What must hold: a job whose deadline leaves no time, or of which nobody knows yet whether it does, stays as found.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field, replace

from ballast.decide.model.candidate_limits import candidate_limits
from ballast.decide.model.known_limits import known_limits, pooled
from ballast.decide.model.prediction import Curve, GpuRange
from ballast.decide.points.auto_point import FEW_SAMPLES, MORE_SHARE
from ballast.decide.points.choosing import choose
from ballast.decide.points.exploring import lost_seconds
from ballast.decide.points.wishes import Exploration, Wishes
from ballast.decide.policy import Policy as Choices
from ballast.simulate.job import TraceJob
from ballast.simulate.policies.profiles import ModelOf, Profiles, Workload
from ballast.simulate.policy import Reading, RunningJob
from ballast.simulate.world.objects import Point


@dataclass(slots=True)
class _Life:
    """What is known of a job since it began.

    Attributes:
        gpu: What it runs on.
        slowdown_percent: Says what it allows there, by what is known by then.
        limit_watts: Of its GPUs now.
        since: When they got it, seconds since the trace began.
        seconds_at: How long it was at which limit before.
        reading: The last that was learned from.
        samples: How many the choice of its limit rests on; None if it is to be chosen anew.
        done_before: Share of its work that was done when it began: it had other GPUs before.
    """

    job: TraceJob
    gpu: GpuRange
    slowdown_percent: Callable[[], float]
    limit_watts: float
    since: float
    seconds_at: dict[float, float] = field(default_factory=lambda: defaultdict(float))
    reading: Reading | None = None
    samples: int | None = None
    done_before: float = 0.0
    workload: Workload = field(init=False)
    """Whose measurements are its own, too."""

    def __post_init__(self) -> None:
        self.workload = Workload(self.job.kind, self.job.gpus, self.gpu.name)


class Points:
    """Chooses power limits; see the module's docstring.

    Args:
        model_of: The energy model of a kind.
        wishes: What all jobs wish, but for what follows from each one's own.
        visit_seconds: So long is a job at a limit before anything measured there is known; None: as in a cluster.
    """

    def __init__(self, model_of: ModelOf, wishes: Wishes | None = None, visit_seconds: float | None = None) -> None:
        self._profiles = Profiles(model_of)
        self._visit_seconds = Choices().visit_seconds if visit_seconds is None else visit_seconds
        self._wishes = wishes or Wishes(exploration=Exploration(reading_seconds=self._visit_seconds))
        self._lives: dict[str, _Life] = {}
        self._news: dict[tuple[str, str], None] = {}
        self._too_early: set[str] = set()  # what was read of them counts later
        self._read: set[str] = set()  # of which there are samples that nobody has looked at
        self._taught: set[Workload] = set()  # of which there are samples that say something new to others

    def begin(
        self, job: TraceJob, gpu: GpuRange, slowdown_percent: Callable[[], float], now: float, done: float
    ) -> float:
        """Return the limit with which a job begins, in watts.

        Args:
            job: The job.
            gpu: What it runs on.
            slowdown_percent: Says what it allows, against the found limit of this GPU model, by what is known by then.
            now: Seconds since the trace began.
            done: Share of its work that was done before, on other GPUs.
        """
        life = _Life(job, gpu, slowdown_percent, gpu.max_limit_watts, now, done_before=done)
        self._lives[job.name] = life
        life.limit_watts = self._choose(life, None, now)
        return life.limit_watts

    def end(self, name: str) -> None:
        """Forget a job that has ended, or lost its GPUs; what was learned from it stays."""
        del self._lives[name]
        self._too_early.discard(name)
        self._read.discard(name)

    def learn(self, running: Mapping[str, RunningJob], now: float, read: Container[str] | None = None) -> float | None:
        """Take in what was read of running jobs; return when there will be more of what was read already.

        Args:
            running: All of them.
            now: Seconds since the trace began.
            read: Those of which there may be a reading since this was called last; None if all may have one.
        """
        due: float | None = None
        for name, life in self._lives.items():
            if read is not None and name not in read and name not in self._too_early:
                continue
            self._too_early.discard(name)
            seen = running[name]
            reading = seen.reading
            if reading is None or reading == life.reading:
                continue
            known_at = _there_since(life, seen) + self._visit_seconds
            if now < known_at:
                due = known_at if due is None else min(due, known_at)
                self._too_early.add(name)
                continue
            if life.reading is None or life.reading.limit_watts != reading.limit_watts:
                life.samples = None
            life.reading = reading
            self._profiles.learn(life.job.kind, reading)
            self._read.add(name)
            # A profile changes with every measurement; to others that is news where there are twice as many of a limit.
            if (count := self._profiles.count_at(life.workload, reading.limit_watts)) & (count - 1) == 0:
                self._news[life.job.kind, reading.gpu_model] = None
                self._taught.add(life.workload)
        return due

    def news(self) -> list[tuple[str, str, tuple[Point, ...]]]:
        """Return what profiles say now that say something new, each with its kind and GPU model; each time once."""
        changed = [(kind, model, self._profiles.points(kind, model)) for kind, model in self._news]
        self._news.clear()
        return changed

    def changes(self, running: Mapping[str, RunningJob], now: float) -> dict[str, float]:
        """Return the limits, in watts, of those running jobs that are to have another one from now on.

        Those are looked at about which there is news: of themselves, or of what their kind does.
        """
        changed: dict[str, float] = {}
        taught, self._taught = self._taught, set()
        read, self._read = self._read, set()
        for name, life in self._lives.items():
            is_news = life.samples is None or name in read or life.workload in taught
            if is_news and self._is_asked_again(life):
                limit = self._choose(life, running[name], now)
                if limit != life.limit_watts:
                    life.seconds_at[life.limit_watts] += _seconds_there(life, running[name], now)
                    life.limit_watts, life.since = limit, now
                    changed[name] = limit
        return changed

    def _is_asked_again(self, life: _Life) -> bool:
        """Whether there is so much new that another limit may be chosen; see `ballast.decide.points.auto_point`."""
        if life.samples is None:
            return True
        more = self._profiles.count(life.workload) - life.samples
        is_known = self._profiles.count_at(life.workload, life.limit_watts) >= FEW_SAMPLES
        return more >= (max(MORE_SHARE * life.samples, 1) if is_known else 1)

    def _choose(self, life: _Life, seen: RunningJob | None, now: float) -> float:
        job = life.job
        life.samples = self._profiles.count(life.workload)
        curve, samples = self._profiles.curve(job.kind, job.gpus, life.gpu), self._profiles.samples(life.workload)
        limits = candidate_limits(life.gpu)
        wishes = self._wishes_of(life, curve, seen, now)
        if life.seconds_at and wishes.exploration is not None:
            options = known_limits(curve, limits, pooled(samples), wishes.trust)
            wishes = replace(wishes, lost_seconds=lost_seconds(options, life.seconds_at, wishes))
        return choose(curve, limits, samples, wishes).limit_watts

    def _wishes_of(self, life: _Life, curve: Curve, seen: RunningJob | None, now: float) -> Wishes:
        """Return what a job wishes now, but for what its visits have cost."""
        left = _seconds_left(life, curve, seen, now)
        deadline = life.job.deadline
        in_time = None
        if deadline is not None:
            # Until somebody knows how long it takes, all the time may be needed.
            in_time = 0.0 if left is None else 100 * ((deadline - now) / left - 1) if left > 0 else None
        return replace(
            self._wishes,
            max_slowdown_percent=life.slowdown_percent(),
            deadline_slowdown_percent=in_time,
            ran_seconds=0.0 if seen is None else max(now - seen.started_at, 0.0),
            left_seconds=left,
            now_watts=None if seen is None else life.limit_watts,
        )


def _seconds_left(life: _Life, curve: Curve, seen: RunningJob | None, now: float) -> float | None:
    """Return how long a job would run on at the found limit; None while it has done nothing yet."""
    if seen is None or seen.done <= life.done_before:
        return None
    spent = dict(life.seconds_at)
    spent[life.limit_watts] = spent.get(life.limit_watts, 0.0) + _seconds_there(life, seen, now)
    at_found = sum(seconds / (1 + curve.at(limit).slowdown_percent / 100) for limit, seconds in spent.items())
    return at_found * (1 - seen.done) / (seen.done - life.done_before)


def _seconds_there(life: _Life, seen: RunningJob, now: float) -> float:
    """Return how long a job has worked at its present limit: while its nodes boot it does nothing."""
    return max(now - _there_since(life, seen), 0.0)


def _there_since(life: _Life, seen: RunningJob) -> float:
    return max(life.since, seen.started_at)
