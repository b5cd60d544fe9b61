"""The fewest joules by trying everything, without a solver: what the optimum is held against."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise, permutations, product

from ballast.simulate.bounds.problem import Problem
from ballast.simulate.bounds.schedule import Placed, Schedule
from ballast.simulate.engine.rules import why_not_there
from ballast.simulate.job import TraceJob

ALMOST = 1 + 1e-9


@dataclass(frozen=True)
class Mode:
    """A way to run a job, but for when."""

    job: TraceJob
    nodes: dict[str, int]
    gpu_model: str
    limit_watts: float
    seconds: float
    joules: float


def modes(problem: Problem, job: TraceJob) -> list[Mode]:
    """Return all ways to run the job at the limits at which curves are known."""
    found = []
    for gpu_model in problem.models:
        nodes = {node.name: node.gpus for node in problem.nodes_of(gpu_model)}
        counts = product(*(range(min(gpus, job.gpus) + 1) for gpus in nodes.values()))
        sets = [{name: count for name, count in zip(nodes, each, strict=True) if count} for each in counts]
        by_name = {node.name: node for node in problem.nodes}
        sets = [each for each in sets if why_not_there(job, each, by_name, nodes) is None]
        for each, point in product(sets, problem.points(job, gpu_model) if sets else ()):
            if point.seconds <= problem.longest_seconds(job) * ALMOST:
                found.append(Mode(job, each, gpu_model, point.limit_watts, point.seconds, point.joules))
    return found


def fewest_joules(problem: Problem) -> float | None:
    """Return the fewest joules with all nodes on; None if no schedule keeps the rules."""
    standby = problem.horizon * sum(problem.standby_watts(node) for node in problem.nodes)
    every = product(*(modes(problem, job) for job in problem.jobs))
    for chosen in sorted(every, key=lambda each: sum(mode.joules for mode in each)):
        if any(left_shifted(problem, order) for order in permutations(chosen)):
            return standby + sum(mode.joules for mode in chosen)
    return None


def left_shifted(problem: Problem, order: tuple[Mode, ...]) -> Schedule | None:
    """Place jobs one after the other, each as early as it fits; None if one then ends too late.

    Some order gives a schedule that keeps the rules, if any schedule does: ends can only move forward by it.
    """
    gpus = {node.name: node.gpus for node in problem.nodes}
    placed: list[Placed] = []
    for mode in order:
        starts = sorted({mode.job.submitted_at} | {each.end for each in placed if each.end > mode.job.submitted_at})
        start = next(start for start in starts if _fits(gpus, placed, mode, start))
        if start + mode.seconds > problem.due(mode.job) * ALMOST:
            return None
        placed.append(Placed(mode.job.name, mode.nodes, mode.gpu_model, mode.limit_watts, start, start + mode.seconds))
    return Schedule(tuple(placed))


def _fits(gpus: dict[str, int], placed: list[Placed], mode: Mode, start: float) -> bool:
    end = start + mode.seconds
    moments = [start, *(each.start for each in placed if start < each.start < end)]
    return all(
        count + sum(each.nodes.get(name, 0) for each in placed if each.start <= moment < each.end) <= gpus[name]
        for name, count in mode.nodes.items()
        for moment in moments
    )


def fewest_joules_switching(problem: Problem) -> float | None:
    """Return the fewest joules where nodes are switched off, if all times are whole seconds.

    With whole durations, submissions and ends some optimum starts everything at whole seconds: the times are bound by
    differences alone, so that the corners of what they may be are whole.
    """
    best = None
    for chosen in product(*(modes(problem, job) for job in problem.jobs)):
        for starts in product(*(_whole_starts(problem, mode) for mode in chosen)):
            runs = list(zip(chosen, starts, strict=True))
            if _fits_all(problem, runs):
                joules = sum(mode.joules for mode in chosen) + sum(
                    _on_joules(problem, runs, n.name) for n in problem.nodes
                )
                best = joules if best is None else min(best, joules)
    return best


def _whole_starts(problem: Problem, mode: Mode) -> Iterator[int]:
    return iter(range(round(mode.job.submitted_at), round(problem.due(mode.job) - mode.seconds) + 1))


def _fits_all(problem: Problem, runs: list[tuple[Mode, int]]) -> bool:
    for node in problem.nodes:
        for _, moment in runs:
            held = sum(m.nodes.get(node.name, 0) for m, start in runs if start <= moment < start + m.seconds)
            if held > node.gpus:
                return False
    return True


def _on_joules(problem: Problem, runs: list[tuple[Mode, int]], name: str) -> float:
    """Return what the node takes beside its jobs, each time that it is empty spent in the cheaper way."""
    after, boot_joules = problem.options.switch_off_after_seconds, problem.options.boot_joules
    assert after is not None
    node = next(node for node in problem.nodes if node.name == name)
    busy = sorted((start, start + mode.seconds) for mode, start in runs if name in mode.nodes)
    merged: list[tuple[float, float]] = [(0.0, 0.0)]
    for start, end in busy:
        if start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    watts = problem.standby_watts(node)
    joules = watts * sum(end - start for start, end in merged)
    for (_, emptied), (needed, _) in pairwise(merged):
        stays = watts * (needed - emptied)
        if needed - emptied >= after + problem.options.boot_seconds:
            stays = min(stays, watts * after + boot_joules)
        joules += stays
    return joules + watts * min(after, problem.horizon - merged[-1][1])
