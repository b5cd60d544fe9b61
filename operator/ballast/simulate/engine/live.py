"""What the engine knows of a run at this moment, and the live views of it that policies get.

A view is not a copy: it looks into the engine's own state, so that asking a policy costs the same with ten waiting jobs
as with ten thousand. What must hold: policies cannot change what they see, and need not look at it. A view is true only
during the call of `Policy.decide` that it is given to; whoever wants to remember something copies it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import overload

from ballast.simulate.job import TraceJob
from ballast.simulate.policy import Reading, RunningJob


class WaitingJobs(Sequence[TraceJob]):
    """A read-only view of jobs that hold nothing, by submission."""

    def __init__(self, jobs: list[TraceJob]) -> None:
        self._jobs = jobs

    def __len__(self) -> int:
        return len(self._jobs)

    def __iter__(self) -> Iterator[TraceJob]:
        return iter(self._jobs)

    @overload
    def __getitem__(self, index: int) -> TraceJob: ...

    @overload
    def __getitem__(self, index: slice) -> list[TraceJob]: ...

    def __getitem__(self, index: int | slice) -> TraceJob | list[TraceJob]:
        return self._jobs[index]


class Queue:
    """Jobs that hold nothing, by rank.

    Adding and removing moves pointers in two arrays, which takes a microsecond with thousands of jobs.
    """

    def __init__(self) -> None:
        self._ranks: list[int] = []
        self._jobs: list[TraceJob] = []
        self.view = WaitingJobs(self._jobs)

    def add(self, rank: int, job: TraceJob) -> None:
        """Let a job wait in its place."""
        where = bisect_left(self._ranks, rank)
        self._ranks.insert(where, rank)
        self._jobs.insert(where, job)

    def remove(self, rank: int) -> None:
        """Take the job of this rank out; it must be there."""
        where = bisect_left(self._ranks, rank)
        del self._ranks[where], self._jobs[where]


@dataclass(slots=True)
class JobState:
    """A job's life so far.

    Attributes:
        rank: Its place in the order of submission, ties broken by the seed.
        work: What it has to do: seconds of reference work of all its GPUs together.
        noise: Of its readings: each job has its own, so that arms read the same job with the same errors.
        submitted: Whether it is there yet.
        nodes: GPUs that it holds by node, read-only; empty while it waits.
        begins_at: When it works, or will: later than now while its nodes boot or it restarts.
        works: Whether it does.
        work_per_second: Of all its GPUs together.
        watts: Likewise, above their idle power.
        settled_at: Until when ``done`` and ``dynamic_joules`` are added up.
        reading: The last at this operating point.
        read_at: Since when the next one watches.
        attempts: How often it got GPUs.
        version: Counts changes, so that what was planned before one can be told to be stale.
        seen: What a policy was last shown, and when.
    """

    job: TraceJob
    rank: int
    work: float
    noise: Random
    submitted: bool = False
    ended: bool = False
    nodes: Mapping[str, int] = field(default_factory=dict)
    gpu_model: str = ""
    limit_watts: float = 0.0
    begins_at: float = 0.0
    works: bool = False
    work_per_second: float = 0.0
    watts: float = 0.0
    settled_at: float = 0.0
    done: float = 0.0
    dynamic_joules: float = 0.0
    reading: Reading | None = None
    read_at: float = 0.0
    attempts: int = 0
    version: int = 0
    seen: tuple[float, RunningJob] | None = None

    def settle(self, now: float) -> None:
        """Add up work and joules until now."""
        if self.works:
            lasted = now - self.settled_at
            self.done += self.work_per_second * lasted
            self.dynamic_joules += self.watts * lasted
        self.settled_at = now

    def read(self, now: float, speed: float, watts: float, noise: float) -> None:
        """Make a reading of what it did since the last one.

        Args:
            now: Seconds since the trace began.
            speed: The truth: work per second of one GPU.
            watts: Likewise: mean power of one GPU.
            noise: Standard deviation of the readings, as a share of the truth.
        """
        # Beyond 3.9 deviations only luck speaks, and no reading may be below zero.
        factors = [1 + noise * min(max(self.noise.gauss(0.0, 1.0), -3.9), 3.9) for _ in range(2)]
        self.reading = Reading(
            at=now,
            gpu_model=self.gpu_model,
            limit_watts=self.limit_watts,
            gpus=self.job.gpus,
            work_per_second=self.job.gpus * speed * factors[0],
            watts_per_gpu=watts * factors[1],
            seconds=now - self.read_at,
        )
        self.read_at = now
        self.seen = None

    def rest(self, now: float) -> None:
        """Stop working, with what is done kept."""
        self.settle(now)
        self.works = False
        self.work_per_second = self.watts = 0.0
        self.reading = None
        self.changed()

    def changed(self) -> None:
        """Forget what was planned and shown."""
        self.version += 1
        self.seen = None

    def shown(self, now: float) -> RunningJob:
        """What a policy sees of it while it holds GPUs."""
        if self.seen is None or self.seen[0] != now:
            done = self.done + self.work_per_second * (now - self.settled_at)
            running = RunningJob(
                job=self.job,
                started_at=self.begins_at,
                nodes=self.nodes,
                gpu_model=self.gpu_model,
                limit_watts=self.limit_watts,
                reading=self.reading,
                done=min(done / self.work, 1.0),
            )
            self.seen = now, running
        return self.seen[1]


class RunningJobs(Mapping[str, RunningJob]):
    """A read-only view of jobs that hold GPUs, in the order in which they got them; each is made when it is looked at.

    ``started_at`` of a job whose nodes still boot lies in the future: it is when it will begin to work.
    """

    def __init__(self, states: Mapping[str, JobState], clock: Callable[[], float]) -> None:
        self._states = states
        self._clock = clock

    def __len__(self) -> int:
        return len(self._states)

    def __iter__(self) -> Iterator[str]:
        return iter(self._states)

    def __contains__(self, name: object) -> bool:
        return name in self._states

    def __getitem__(self, name: str) -> RunningJob:
        return self._states[name].shown(self._clock())
