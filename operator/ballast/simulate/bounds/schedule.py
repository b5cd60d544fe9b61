"""A schedule, what it breaks, and what it takes: judged by itself, not by what a solver says of it.

What must hold: joules are the integral of all nodes' watts from the beginning of the trace to the horizon, piece by
piece between two moments at which anything changes; a schedule that breaks a rule of its problem has a fault.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from ballast.simulate.bounds.problem import Problem
from ballast.simulate.engine.rules import why_not_so_many_watts, why_not_there
from ballast.simulate.job import TraceJob
from ballast.simulate.policy import SimNode

TOLERANCE = 1e-6  # of the horizon: what solvers take for equal


@dataclass(frozen=True, slots=True)
class Placed:
    """Where, when and how a job runs, from its start to its end without a break.

    Attributes:
        nodes: GPUs by node name.
        limit_watts: Of each of its GPUs.
        start: Seconds since the trace began.
        end: Likewise.
    """

    job: str
    nodes: Mapping[str, int]
    gpu_model: str
    limit_watts: float
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Schedule:
    """All jobs, and when the nodes are on.

    Attributes:
        placed: One for each job.
        on: By node name, from when to when; a node without an entry is on for all the time. What begins after 0 begins
            when a boot has ended.
    """

    placed: tuple[Placed, ...]
    on: Mapping[str, tuple[tuple[float, float], ...]] = field(default_factory=dict)

    def on_node(self, name: str) -> list[Placed]:
        """Return what runs on a node, at whatever time."""
        return [placed for placed in self.placed if placed.nodes.get(name, 0)]


def total_joules(problem: Problem, schedule: Schedule) -> float:
    """Return what all nodes draw from 0 to the horizon, boots included."""
    jobs = {job.name: job for job in problem.jobs}
    total = 0.0
    for node in problem.nodes:
        stretches = schedule.on.get(node.name, ((0.0, problem.horizon),))
        here = schedule.on_node(node.name)
        moments = {0.0, problem.horizon}
        moments.update(moment for placed in here for moment in (placed.start, placed.end))
        moments.update(moment for stretch in stretches for moment in stretch)
        for begin, end in pairwise(sorted(moment for moment in moments if moment <= problem.horizon)):
            middle = (begin + end) / 2
            if any(on <= middle < off for on, off in stretches):
                busy = [placed for placed in here if placed.start <= middle < placed.end]
                total += (end - begin) * _watts(problem, node, busy, jobs)
        total += problem.options.boot_joules * sum(on > 0 for on, _ in stretches)
    return total


def _watts(problem: Problem, node: SimNode, busy: Sequence[Placed], jobs: Mapping[str, TraceJob]) -> float:
    watts, idle = node.base_watts, node.gpus
    for placed in busy:
        gpus = placed.nodes[node.name]
        idle -= gpus
        drawn = problem.curves.of(jobs[placed.job].kind, node.gpu_model).watts(placed.limit_watts)
        watts += gpus * max(drawn, node.idle_watts)  # as the engine has it
    return watts + idle * node.idle_watts


def faults(problem: Problem, schedule: Schedule) -> list[str]:
    """Return which rules of the problem the schedule breaks, a sentence each."""
    slack = TOLERANCE * problem.horizon
    by_name = {placed.job: placed for placed in schedule.placed}
    if sorted(by_name) != sorted(job.name for job in problem.jobs) or len(by_name) != len(schedule.placed):
        return ["not every job is placed once"]
    found = []
    for job in problem.jobs:
        found += _job_faults(problem, job, by_name[job.name], slack)
    for node in problem.nodes:
        found += _held_faults(schedule, node, slack)
        if problem.options.switch_off_after_seconds is not None:
            found += _on_faults(problem, schedule, node, problem.options.switch_off_after_seconds, slack)
        elif node.name in schedule.on:
            found.append(f"{node.name} is switched off, and nodes stay on")
    return found


def _job_faults(problem: Problem, job: TraceJob, placed: Placed, slack: float) -> list[str]:
    nodes = {node.name: node for node in problem.nodes}
    because = why_not_there(job, placed.nodes, nodes, {name: node.gpus for name, node in nodes.items()})
    if because is None:
        because = why_not_so_many_watts(placed.limit_watts, [nodes[name] for name in placed.nodes])
    if because is not None:
        return [f"{job.name} cannot be there: {because}"]
    found = []
    seconds = placed.end - placed.start
    work = job.reference_seconds / problem.curves.of(job.kind, placed.gpu_model).speed(placed.limit_watts)
    if abs(seconds - work) > slack:
        found.append(f"{job.name} runs {seconds:g} s, and its work takes {work:g} s")
    if any(nodes[name].gpu_model != placed.gpu_model for name in placed.nodes):
        found.append(f"{job.name} is on nodes without {placed.gpu_model}s")
    if placed.start < job.submitted_at - slack:
        found.append(f"{job.name} starts at {placed.start:g}, before it is submitted")
    if placed.end > problem.due(job) + slack:
        found.append(f"{job.name} ends at {placed.end:g}, after it is due")
    if seconds > problem.longest_seconds(job) + slack:
        found.append(f"{job.name} runs {seconds:g} s, and may run {problem.longest_seconds(job):g} s")
    return found


def _held_faults(schedule: Schedule, node: SimNode, slack: float) -> list[str]:
    here = schedule.on_node(node.name)
    found = []
    for placed in here:  # the number of GPUs in use is largest at some job's start
        moment = placed.start + slack
        held = sum(each.nodes[node.name] for each in here if each.start <= moment < each.end - slack)
        if held > node.gpus:
            found.append(f"{node.name} has {node.gpus} GPUs, and {held} are held at {placed.start:g}")
    return found


def _on_faults(problem: Problem, schedule: Schedule, node: SimNode, after: float, slack: float) -> list[str]:
    here = schedule.on_node(node.name)
    stretches = schedule.on.get(node.name, ((0.0, problem.horizon),))
    found = [
        f"{placed.job} runs on {node.name} while it is off"
        for placed in here
        if not any(on <= placed.start + slack and placed.end <= off + slack for on, off in stretches)
    ]
    for on, off in stretches:
        ends = [placed.end for placed in here if on - slack <= placed.start and placed.end <= off + slack]
        last = max(ends, default=on)
        if off < min(last + after, problem.horizon) - slack:
            found.append(f"{node.name} is switched off at {off:g}, too early after {last:g}")
    for (_, off), (on, _) in pairwise(stretches):
        if on < off + problem.options.boot_seconds - slack:
            found.append(f"{node.name} is switched off at {off:g} and on at {on:g}: it cannot boot so fast")
    if not stretches or stretches[0][0] != 0:
        found.append(f"{node.name} is not on at the beginning")
    return found
