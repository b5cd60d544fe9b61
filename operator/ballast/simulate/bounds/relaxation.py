"""A lower bound on the joules of any run of the problem, large or small: a linear program.

Jobs become fluid: a job's work may be done at several limits and on several GPU models, GPUs of a model form one pool,
and only how much of it there is between submissions and ends counts. Jobs that differ in nothing but their size are
one. What must hold: every schedule of the problem, with breaks and changed limits too, is a solution of this program at
no more joules than it takes. docs/guide/simulate-bounds.md derives it.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ballast.errors import UserError
from ballast.simulate.bounds.problem import Problem
from ballast.simulate.bounds.program import Program
from ballast.simulate.job import TraceJob

MAX_MOMENTS = 48  # submissions from which capacity is counted
MAX_WINDOWS = 12  # of each, where it is counted from submissions to ends that differ
LONGER_STEPS = 64  # between no time and the longest
SCALE = 10_000.0  # what the largest sums are in the program: the solver's tolerances are absolute


@dataclass(frozen=True, slots=True)
class Bound:
    """What the jobs take at least.

    Attributes:
        joules: Of all nodes, from 0 to the horizon; no run takes fewer.
        dynamic_joules: The part above the idle watts of GPUs, in the solution that the bound is of.
        gpu_seconds: That this solution holds of each GPU model.
    """

    joules: float
    dynamic_joules: float
    gpu_seconds: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class _Group:
    """Jobs that are one to the program: same curves, same GPU models, same limit on their time, same windows.

    Attributes:
        example: One of them, for its curves.
        longest: Seconds that a second of reference work may take at most; infinite if that binds nothing.
        begin: Number of the moment from which their submissions count.
        end: Number of the moment to which their ends count.
    """

    example: TraceJob
    longest: float
    begin: int
    end: int


def lower_bound(problem: Problem, moments: int | None = None) -> Bound:
    """Return a number of joules below which no run of the problem can be.

    Args:
        problem: Of any size.
        moments: How many submissions to count capacity from, and ends to count it to; more can only raise the bound. By
            default 48 submissions, or 12 of each where deadlines count.

    Raises:
        UserError: Nothing can end all jobs by the horizon.
    """
    if moments is None:
        moments = MAX_WINDOWS if problem.keeps_deadlines else MAX_MOMENTS
    begins = _spread((job.submitted_at for job in problem.jobs), moments)
    ends = _spread((problem.due(job) for job in problem.jobs), moments, from_end=True)
    work = _groups(problem, begins, ends)
    scale = SCALE / max(sum(work.values()), 1e-9)
    program = Program()
    dynamic: list[tuple[int, float]] = []
    held: dict[tuple[str, int, int], list[tuple[int, float]]] = {}
    for group, gpu_seconds in work.items():
        shares, lasts = [], []
        for gpu_model in problem.models_for(group.example):
            for point in problem.points(group.example, gpu_model):
                # of one GPU, for each second of reference work
                seconds = point.seconds / group.example.reference_seconds
                joules = point.joules / group.example.reference_seconds / group.example.gpus
                number = program.variable(cost=joules)
                dynamic.append((number, joules))
                shares.append((number, 1.0))
                lasts.append((number, seconds))
                held.setdefault((gpu_model, group.begin, group.end), []).append((number, seconds))
        program.row(shares, gpu_seconds * scale, gpu_seconds * scale)
        if math.isfinite(group.longest):
            program.row(lasts, high=group.longest * gpu_seconds * scale)
    _add_capacity(problem, program, held, begins, ends, scale)
    constant = _add_standby(problem, program, held, scale)
    found = program.solve()
    if found is None:
        raise UserError(
            f"{len(problem.jobs)} jobs cannot end by the horizon of {problem.horizon:g} s within slowdowns and "
            "deadlines, whatever the schedule: give a later horizon, or more nodes"
        )
    used = {
        name: math.fsum(found.values[n] * s for key, terms in held.items() if key[0] == name for n, s in terms) / scale
        for name in problem.models
    }
    joules = math.fsum(found.values[number] * each for number, each in dynamic) / scale
    return Bound(found.bound / scale + constant, joules, used)


def _groups(problem: Problem, begins: list[float], ends: list[float]) -> dict[_Group, float]:
    """Return the work of each group, in reference seconds of one GPU."""
    examples: dict[tuple[object, ...], TraceJob] = {}
    work: dict[_Group, float] = {}
    for job in problem.jobs:
        example = examples.setdefault((job.kind, problem.models_for(job), job.max_slowdown_percent), job)
        group = _Group(
            example,
            _longest(problem, job, example),
            bisect_right(begins, job.submitted_at) - 1,
            bisect_left(ends, problem.due(job)),
        )
        work[group] = work.get(group, 0.0) + job.gpus * job.reference_seconds
    return work


def _longest(problem: Problem, job: TraceJob, example: TraceJob) -> float:
    """Return how many seconds a second of the job's reference work may take at most; infinite if nothing binds it.

    What its slowdown allows is the same for all that are like the example. What is left of the time until it is due is
    each job's own: it is rounded up to one of few values, so that jobs can be told as one.
    """
    slowest = max(
        point.seconds for gpu_model in problem.models_for(example) for point in problem.points(example, gpu_model)
    )
    slowest /= example.reference_seconds
    longest = math.inf
    if problem.keeps_slowdown:
        factor = 1 + example.max_slowdown_percent / 100
        longest = factor * problem.fastest_seconds(example) / example.reference_seconds
    left = (problem.due(job) - job.submitted_at) / job.reference_seconds
    if left < min(longest, slowest):
        longest = min(longest, slowest * math.ceil(left / slowest * LONGER_STEPS) / LONGER_STEPS)
    return longest if longest < slowest else math.inf


def _spread(values: Iterable[float], most: int, from_end: bool = False) -> list[float]:
    """Return at most so many of the values, evenly by rank, with the first, or the last, among them; ascending."""
    ordered = sorted(set(values), reverse=from_end)
    if len(ordered) > most:
        ordered = [ordered[index * len(ordered) // most] for index in range(most)]
    return sorted(ordered)


def _add_capacity(
    problem: Problem,
    program: Program,
    held: Mapping[tuple[str, int, int], list[tuple[int, float]]],
    begins: list[float],
    ends: list[float],
    scale: float,
) -> None:
    """Between two moments, jobs that are submitted after the one and due before the other must fit."""
    for gpu_model in problem.models:
        gpus = sum(node.gpus for node in problem.nodes_of(gpu_model))
        for begin, since in enumerate(begins):
            for end, until in enumerate(ends):
                inside = [
                    term
                    for (name, first, last), terms in held.items()
                    if name == gpu_model and first >= begin and last <= end
                    for term in terms
                ]
                if inside and until > since:
                    program.row(inside, high=gpus * (until - since) * scale)


def _add_standby(
    problem: Problem, program: Program, held: Mapping[tuple[str, int, int], list[tuple[int, float]]], scale: float
) -> float:
    """Account for nodes that are on: return the joules that nothing changes, or let the program choose how long."""
    after = problem.options.switch_off_after_seconds
    if after is None:
        return problem.horizon * math.fsum(problem.standby_watts(node) for node in problem.nodes)
    least = min(after, problem.horizon)
    for gpu_model in problem.models:
        on = [
            (program.variable(least * scale, problem.horizon * scale, problem.standby_watts(node)), float(node.gpus))
            for node in problem.nodes_of(gpu_model)
        ]
        used = [
            (number, -seconds) for (name, _, _), terms in held.items() if name == gpu_model for number, seconds in terms
        ]
        program.row([*on, *used], low=0.0)
    return 0.0
