"""A power limit for each job, found by measuring while it runs, as Zeus does it.

Zeus' just-in-time profiler goes through the board's limits from the maximum downwards in steps of 25 W while the job
trains, measures each for a short time, and then keeps the one with the least cost, `eta * joules + (1 - eta) * maximum
power * time` for the same work; a job that comes again reuses the profile. Here joules alone count (eta = 1) among the
limits at which the job is within its maximum slowdown, and jobs of one kind share a profile for each GPU model.
The profiler stops at the first limit that is too slow: those below it are slower still, so that the choice is the same
and the profiling is cheaper, which favours it.

What must hold: it learns only by readings, at the limits that jobs really ran at; time and joules of the profiling are
those of the jobs. A job that ends before its profile is complete has run at the limits that it was measured at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ballast.errors import UserError
from ballast.simulate.job import TraceJob
from ballast.simulate.policies.fifo import Fifo
from ballast.simulate.policies.packing import Packer, Tiers, any_model
from ballast.simulate.policy import Reading, SetLimit, SimNode, Step, View

STEP_WATTS = 25.0
"""Between the limits that Zeus' profiler measures."""

REFERENCE = (
    "Zeus (You, Chung, Chowdhury: Understanding and Optimizing GPU Energy Consumption of DNN Training, NSDI 2023), "
    "just-in-time profiling of power limits"
)


@dataclass
class Profile:
    """What one kind of job does on one GPU model, at the limits at which it was measured.

    Attributes:
        limits: What is to be measured, in watts, descending from the maximum.
        margin_percent: Limits below the maximum count as so much slower than they were read.
        readings: By limit.
    """

    limits: tuple[float, ...]
    margin_percent: float = 0.0
    readings: dict[float, Reading] = field(default_factory=dict)

    def next_limit(self, max_slowdown_percent: float) -> float | None:
        """Return what to measure next; None when it is known which limits are within the slowdown."""
        for limit in self.limits:
            if limit not in self.readings:
                return limit
            if not self._fast_enough(limit, max_slowdown_percent):
                return None
        return None

    def best(self, max_slowdown_percent: float, eta: float) -> float:
        """Return the limit of least cost for the same work among those measured that are within the slowdown."""
        within = [limit for limit in self.readings if self._fast_enough(limit, max_slowdown_percent)]
        return min(within, key=lambda limit: self._cost(limit, eta))

    def _fast_enough(self, limit: float, max_slowdown_percent: float) -> bool:
        highest = self.limits[0]
        margin = 1 + self.margin_percent / 100 if limit != highest else 1.0
        return self._seconds(limit) * margin <= self._seconds(highest) * (1 + max_slowdown_percent / 100)

    def _seconds(self, limit: float) -> float:
        # For a second of reference work on one GPU: the jobs that were measured may have different numbers of them.
        reading = self.readings[limit]
        return reading.gpus / reading.work_per_second

    def _cost(self, limit: float, eta: float) -> float:
        seconds = self._seconds(limit)
        joules = self.readings[limit].watts_per_gpu * seconds
        return eta * joules + (1 - eta) * self.limits[0] * seconds


class Profiler:
    """Measures kinds of jobs on GPU models while they run, and says at which limits they should run."""

    def __init__(self, step_watts: float = STEP_WATTS, eta: float = 1.0, margin_percent: float = 0.0) -> None:
        """Make one that knows nothing.

        Args:
            step_watts: Between the limits to measure.
            eta: Weight of joules against time, 0 to 1.
            margin_percent: See `Profile`.

        Raises:
            UserError: A value is outside its range.
        """
        if step_watts <= 0:
            raise UserError(f"step_watts: {step_watts}: give a step above 0 W, such as {STEP_WATTS:g}")
        if not 0 <= eta <= 1:
            raise UserError(f"eta: {eta}: give a weight from 0 (only time counts) to 1 (only joules count)")
        if margin_percent < 0:
            raise UserError(f"margin_percent: {margin_percent}: give 0, or what readings may be wrong by")
        self._step_watts = step_watts
        self._eta = eta
        self._margin_percent = margin_percent
        self._profiles: dict[tuple[str, str], Profile] = {}
        self._settled: set[str] = set()

    def limit_at_start(self, job: TraceJob, node: SimNode) -> float:
        """Return the limit that is right, or else the first that is to be measured."""
        return self._limit(job, self._profile(job.kind, node))

    def steps(self, view: View) -> list[SetLimit]:
        """Take the readings of a view in, and move the jobs that are done with their limit on to the next one."""
        self._settled.intersection_update(view.running)
        steps: list[SetLimit] = []
        for name, running in view.running.items():
            if name in self._settled:
                continue
            job, reading = running.job, running.reading
            profile = self._profile(job.kind, view.nodes[next(iter(running.nodes))])
            if reading is not None and reading.limit_watts in profile.limits:
                profile.readings.setdefault(reading.limit_watts, reading)
            if profile.next_limit(job.max_slowdown_percent) is None:
                self._settled.add(name)
            limit = self._limit(job, profile)
            if limit != running.limit_watts:
                steps.append(SetLimit(name, limit))
        return steps

    def _limit(self, job: TraceJob, profile: Profile) -> float:
        to_measure = profile.next_limit(job.max_slowdown_percent)
        return profile.best(job.max_slowdown_percent, self._eta) if to_measure is None else to_measure

    def _profile(self, kind: str, node: SimNode) -> Profile:
        profile = self._profiles.get((kind, node.gpu_model))
        if profile is None:
            steps = int((node.max_limit_watts - node.min_limit_watts) / self._step_watts + 1e-9)
            limits = tuple(node.max_limit_watts - step * self._step_watts for step in range(steps + 1))
            profile = self._profiles[kind, node.gpu_model] = Profile(limits, self._margin_percent)
        return profile


class PerJobLimit:
    """Starts jobs as FIFO with bin-packing does, and finds each one's power limit."""

    def __init__(
        self,
        name: str,
        reference: str,
        seed: int,
        *,
        tiers: Tiers = any_model,
        keeps_slowdown: bool = False,
        profiler: Profiler | None = None,
    ) -> None:
        """Make an arm; see `ballast.simulate.policy.Policy` and `start_in_order`."""
        self.name = name
        self.reference = reference
        self.keeps_slowdown = keeps_slowdown
        self._profiler = profiler or Profiler()
        packer = Packer(seed, spread=False)
        self._fifo = Fifo(name, reference, packer, tiers=tiers, limit=self._profiler.limit_at_start)

    def decide(self, view: View) -> Sequence[Step]:
        """Learn, move limits, start what fits."""
        return [*self._profiler.steps(view), *self._fifo.decide(view)]


def per_job_limit(seed: int) -> PerJobLimit:
    """Make the arm. Jobs also land on GPU models that are too slow for them, so that it does not keep the slowdown."""
    return PerJobLimit("per-job-limit", f"{REFERENCE}; FIFO and bin-packing", seed)
