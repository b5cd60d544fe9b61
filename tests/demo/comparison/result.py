"""What the two arms came to, side by side, and what must hold of them.

Pure. Invariants: as in `checks`, what is missing counts against it; idle joules are counted for the same time in both
arms, the longer of the two, so that neither looks better by having been looked at for a shorter time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from tests.demo.comparison.trainer import Trained
from tests.demo.comparison.workloads import ComparedJob


@dataclass(frozen=True, kw_only=True)
class Ran:
    """One job of an arm.

    Attributes:
        submitted: in seconds since the epoch.
        trained: what its trainer says; None if it did not come to its end.
        problem: why it did not end well; empty if it did.
    """

    job: ComparedJob
    submitted: float
    trained: Trained | None = None
    problem: str = ""

    @property
    def completion_seconds(self) -> float:
        """From its submission to its last step."""
        return self.trained.ended - self.submitted if self.trained is not None else float("nan")


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One run of all jobs.

    Attributes:
        name: for people.
        jobs: in the order in which they came.
        active_joules: what the boards counted above idle.
        least_joules: what the boards on which the jobs ran take at least for that work.
        limits_before: power limit of each board before the jobs, in watts, by UUID.
        limits_after: the same after them.
    """

    name: str
    jobs: Sequence[Ran]
    active_joules: float
    least_joules: float
    limits_before: Mapping[str, float]
    limits_after: Mapping[str, float]

    @property
    def makespan_seconds(self) -> float:
        """From the first submission to the last job's last step."""
        return max(job.submitted + job.completion_seconds for job in self.jobs) - self.jobs[0].submitted

    @property
    def mean_completion_seconds(self) -> float:
        """Of all jobs, from each one's submission."""
        return fmean(job.completion_seconds for job in self.jobs)

    @property
    def steps(self) -> int:
        """That all trainers made together."""
        return sum(job.trained.steps for job in self.jobs if job.trained is not None)

    @property
    def is_fair(self) -> bool:
        """Whether the boards have seen all the work: a machine that is too busy does not let their simulator look."""
        return self.active_joules >= self.least_joules

    def models(self, workload: str) -> dict[str, int]:
        """How many jobs of a workload ran on each GPU model."""
        found: dict[str, int] = {}
        for job in self.jobs:
            if job.job.workload.name == workload and job.trained is not None:
                found[job.trained.model] = found.get(job.trained.model, 0) + 1
        return dict(sorted(found.items()))


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Both arms.

    Attributes:
        plain: under kube-scheduler alone.
        ballast: under Ballast.
        idle_watts: what all boards draw together while nobody uses them.
    """

    plain: Arm
    ballast: Arm
    idle_watts: float

    @property
    def idle_joules(self) -> float:
        """What the boards would have drawn in the longer arm if nobody had used them."""
        return self.idle_watts * max(self.plain.makespan_seconds, self.ballast.makespan_seconds)

    def total_joules(self, arm: Arm) -> float:
        """What an arm came to over the longer arm's time, idle boards included."""
        return arm.active_joules + self.idle_joules

    @property
    def is_fair(self) -> bool:
        """Whether both arms can be compared."""
        return self.plain.is_fair and self.ballast.is_fair

    @property
    def saved_percent(self) -> float:
        """How much fewer joules above idle Ballast took."""
        return 100 * (1 - self.ballast.active_joules / self.plain.active_joules)


def problems(comparison: Comparison) -> list[str]:
    """A sentence for everything that is not as it should be."""
    found = [f"{arm.name}: {text}" for arm in (comparison.plain, comparison.ballast) for text in _wrong_with(arm)]
    if not found and comparison.saved_percent <= 0:
        found.append(f"Ballast took {-comparison.saved_percent:.1f} % more joules above idle than kube-scheduler alone")
    return found


def _wrong_with(arm: Arm) -> Iterable[str]:
    for ran in arm.jobs:
        if ran.trained is None:
            yield f"{ran.job.name} {ran.problem or 'does not say what it did'}"
        elif ran.trained.steps != ran.job.workload.steps:
            yield f"{ran.job.name} made {ran.trained.steps} steps of {ran.job.workload.steps}"
    for uuid, watts in arm.limits_before.items():
        if (after := arm.limits_after.get(uuid)) != watts:
            yield f"{uuid} had a power limit of {watts:.0f} W, and has {after or 0:.0f} W"
