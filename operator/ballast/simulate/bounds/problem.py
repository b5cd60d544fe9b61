"""The problem whose optimum and lower bound are sought: which jobs, which nodes, until when, under which rules.

The optimum and the bound are about one problem and one account of joules, the engine's: all nodes, from the beginning
of the trace to a common horizon, at which every job has ended. What must hold: whatever a job may do is stated here,
once, and is what the engine lets a policy do, so that no run can get below the bound by doing something else.
docs/guide/simulate-bounds.md derives both.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from ballast.errors import UserError
from ballast.simulate.curves import Curve, Curves
from ballast.simulate.engine.options import Options
from ballast.simulate.engine.outcome import fastest_seconds
from ballast.simulate.engine.rules import check_inputs, models_that_hold
from ballast.simulate.job import TraceJob
from ballast.simulate.policy import SimNode


@dataclass(frozen=True, slots=True)
class Point:
    """A job at one power limit on one GPU model.

    Attributes:
        limit_watts: Of each of its GPUs.
        seconds: How long it runs.
        joules: What its GPUs draw above their idle watts in that time, together.
    """

    limit_watts: float
    seconds: float
    joules: float


@dataclass(frozen=True, slots=True)
class Problem:
    """Jobs to end on nodes until a common horizon, with as few joules as can be.

    Attributes:
        horizon: Until when joules count and by when all jobs have ended, seconds since the trace began.
        options: Whether nodes are switched off, and what a boot takes.
        keeps_slowdown: Whether no job may run longer than its ``max_slowdown_percent`` allows.
        keeps_deadlines: Whether every job that has a deadline must meet it.
        limits: By GPU model, the only power limits that are used; None for any within the range of its nodes.
    """

    jobs: tuple[TraceJob, ...]
    nodes: tuple[SimNode, ...]
    curves: Curves
    horizon: float
    options: Options = field(default_factory=Options)
    keeps_slowdown: bool = True
    keeps_deadlines: bool = False
    limits: Mapping[str, tuple[float, ...]] | None = None

    def __post_init__(self) -> None:
        """Refuse what could not be solved, or would be solved wrongly.

        Raises:
            UserError: Jobs, nodes and curves do not fit together, nodes of one GPU model differ, or a job is too long.
        """
        check_inputs(self.jobs, self.nodes, self.curves)
        for name in self.models:
            self._refuse_different(name)
        if not math.isfinite(self.horizon) or self.horizon <= 0:
            raise UserError(f"horizon is {self.horizon}: it must be a positive number of seconds")
        for job in self.jobs:
            self._refuse_job(job)

    @property
    def models(self) -> tuple[str, ...]:
        """The GPU models, in the order of the nodes."""
        return tuple(dict.fromkeys(node.gpu_model for node in self.nodes))

    def nodes_of(self, gpu_model: str) -> tuple[SimNode, ...]:
        """Return the nodes of a GPU model."""
        return tuple(node for node in self.nodes if node.gpu_model == gpu_model)

    def models_for(self, job: TraceJob) -> tuple[str, ...]:
        """Return the GPU models of which there are enough GPUs for the job."""
        return tuple(models_that_hold(job.gpus, self.nodes))

    def points(self, job: TraceJob, gpu_model: str) -> tuple[Point, ...]:
        """Return the job at the limits that matter, ascending: the given ones, or where straight pieces meet."""
        node = self.nodes_of(gpu_model)[0]
        curve = self.curves.of(job.kind, gpu_model)
        found = []
        for limit in self._limits(node, curve):
            seconds = job.reference_seconds / curve.speed(limit)
            above_idle = max(curve.watts(limit) - node.idle_watts, 0.0)  # as the engine has it
            found.append(Point(limit, seconds, above_idle * job.gpus * seconds))
        return tuple(found)

    def longest_seconds(self, job: TraceJob) -> float:
        """Return how long the job may run at most: by its slowdown, and by what is left from its submission on."""
        left = self.due(job) - job.submitted_at
        if not self.keeps_slowdown:
            return left
        return min(left, self.fastest_seconds(job) * (1 + job.max_slowdown_percent / 100))

    def fastest_seconds(self, job: TraceJob) -> float:
        """Return how long the job runs on the fastest GPU model that can hold it, at that model's maximum limit."""
        return fastest_seconds(job, self.nodes, self.curves)

    def due(self, job: TraceJob) -> float:
        """Return by when the job must have ended, seconds since the trace began."""
        if self.keeps_deadlines and job.deadline is not None:
            return min(self.horizon, job.deadline)
        return self.horizon

    def standby_watts(self, node: SimNode) -> float:
        """Return what a node draws that is on and on which nothing runs."""
        return node.base_watts + node.idle_watts * node.gpus

    def _limits(self, node: SimNode, curve: Curve) -> list[float]:
        if self.limits is not None:
            return sorted(set(self.limits[node.gpu_model]))
        inner = {point.limit_watts for point in curve.points}
        ends = {node.min_limit_watts, node.max_limit_watts}
        limits = sorted(ends | {limit for limit in inner if node.min_limit_watts < limit < node.max_limit_watts})
        for low, high in pairwise(tuple(limits)):  # watts above idle have a bend where they become more than none
            below, above = (curve.watts(limit) - node.idle_watts for limit in (low, high))
            if below * above < 0:
                limits.append(low + (high - low) * below / (below - above))
        return sorted(limits)

    def _refuse_different(self, gpu_model: str) -> None:
        first, *others = self.nodes_of(gpu_model)
        for node in others:
            for name in ("min_limit_watts", "max_limit_watts", "idle_watts"):
                if getattr(node, name) != getattr(first, name):
                    raise UserError(
                        f"{name} of node {node.name} is {getattr(node, name)} and that of {first.name} "
                        f"{getattr(first, name)}, though both have {gpu_model}s: give one GPU model the same"
                    )
        if self.limits is None:
            return
        allowed = self.limits.get(gpu_model, ())
        outside = [limit for limit in allowed if not first.min_limit_watts <= limit <= first.max_limit_watts]
        if not allowed or outside:
            raise UserError(
                f"limits of {gpu_model} are {allowed}: give at least one, and each from {first.min_limit_watts} "
                f"to {first.max_limit_watts} W"
            )

    def _refuse_job(self, job: TraceJob) -> None:
        if self.keeps_slowdown and job.max_slowdown_percent < 0:
            raise UserError(f"max_slowdown_percent of job {job.name} is {job.max_slowdown_percent}: give 0 or more")
        shortest = min(point.seconds for name in self.models_for(job) for point in self.points(job, name))
        if shortest > self.longest_seconds(job) * (1 + 1e-9):
            raise UserError(
                f"job {job.name} runs {shortest:g} s at least and may run {self.longest_seconds(job):g} s at most: "
                f"give a later horizon (it is {self.horizon:g}) or deadline, or allow limits that are fast enough"
            )
