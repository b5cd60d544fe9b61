"""The problem as a mixed-integer program in continuous time: who runs where, at which limit, and after whom.

A job's GPUs come from the pool of their node or from jobs that have ended; how many go from one job to the next is a
flow (Artigues, Michelon, Reusser: Insertion techniques for static and dynamic resource-constrained project scheduling,
EJOR 149, 2003). So there are no time slots. What must hold: every schedule of the problem is a solution of these rows
and every solution is a schedule; docs/guide/simulate-bounds.md says why.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise, permutations

from ballast.simulate.bounds.problem import Point, Problem
from ballast.simulate.bounds.program import Program
from ballast.simulate.job import TraceJob

TIME_UNITS = 1000.0  # that the horizon has: the solver's tolerances are absolute
COST_UNITS = 10_000.0  # that all jobs cost together at their dearest points

ALMOST = 1 + 1e-9  # times that are the same but for rounding


@dataclass(frozen=True, slots=True)
class Piece:
    """A straight piece of a job's curve, or one point of it, and the two variables that say what is used of it.

    Attributes:
        used: 1 if the job runs on this piece.
        share: Of its work that is done as at the slow end, the rest as at the fast one.
    """

    gpu_model: str
    fast: Point
    slow: Point
    used: int
    share: int


@dataclass(slots=True)
class Formulation:
    """The program, and which variable means what.

    Attributes:
        second: Time units in one second.
        joule: Cost units in one joule.
        start: By job: when, in time units.
        pieces: By job.
        place: By job and node, where it may be: 1 if the job holds GPUs there.
        held: Likewise: how many, as terms of a row.
    """

    problem: Problem
    second: float
    joule: float
    program: Program = field(default_factory=Program)
    start: dict[str, int] = field(default_factory=dict)
    pieces: dict[str, list[Piece]] = field(default_factory=dict)
    place: dict[tuple[str, str], int] = field(default_factory=dict)
    held: dict[tuple[str, str], list[tuple[int, float]]] = field(default_factory=dict)

    def seconds(self, job: TraceJob, gpu_model: str | None = None, times: float = 1.0) -> list[tuple[int, float]]:
        """Return how long the job runs (on a GPU model) as terms of a row, in time units, times a number."""
        terms = []
        for piece in self.pieces[job.name]:
            if gpu_model in (None, piece.gpu_model):
                factor = times * self.second
                terms.append((piece.used, factor * piece.fast.seconds))
                terms.append((piece.share, factor * (piece.slow.seconds - piece.fast.seconds)))
        return terms


def formulate(problem: Problem) -> Formulation:
    """Return the program of a problem, without switching."""
    dearest = sum(
        max(point.joules for name in problem.models_for(job) for point in problem.points(job, name))
        for job in problem.jobs
    )
    form = Formulation(problem, TIME_UNITS / problem.horizon, COST_UNITS / max(dearest, 1.0))
    for job in problem.jobs:
        _add_job(form, job)
    _break_symmetry(form)
    _add_capacity(form)
    _add_order(form)
    return form


def _add_job(form: Formulation, job: TraceJob) -> None:
    """It runs on one piece of one GPU model's curve, on nodes of that model, not too long and not too late."""
    problem, program = form.problem, form.program
    longest, due = problem.longest_seconds(job), problem.due(job)
    form.start[job.name] = program.variable(job.submitted_at * form.second, due * form.second)
    form.pieces[job.name] = []
    for gpu_model in problem.models_for(job):
        used = []
        for fast, slow in _ends(problem, problem.points(job, gpu_model), longest):
            piece = Piece(gpu_model, fast, slow, program.choice(), program.variable(0.0, 1.0))
            program.costs[piece.used] = form.joule * fast.joules
            program.costs[piece.share] = form.joule * (slow.joules - fast.joules)
            program.row([(piece.share, 1.0), (piece.used, -1.0)], high=0.0)
            form.pieces[job.name].append(piece)
            used.append((piece.used, -float(job.gpus)))
        if used:
            program.row([*_add_places(form, job, gpu_model), *used], 0.0, 0.0)
    program.row([(piece.used, 1.0) for piece in form.pieces[job.name]], 1.0, 1.0)
    program.row(form.seconds(job), high=longest * form.second)
    program.row([(form.start[job.name], 1.0), *form.seconds(job)], high=due * form.second)


def _ends(problem: Problem, points: tuple[Point, ...], longest: float) -> list[tuple[Point, Point]]:
    """Return the pieces between points, each by its fast and its slow end; single points where limits are given.

    A piece that is dearer at its slow end is used at its fast end only. One that is too slow throughout is left out,
    and so is one for all of which another has a point that is as fast and as cheap.
    """
    pieces: list[tuple[Point, Point]] = []
    if problem.limits is not None or len(points) == 1:
        pieces = [(point, point) for point in points]
    else:
        for pair in pairwise(points):
            fast, slow = sorted(pair, key=lambda point: (point.seconds, point.joules))
            pieces.append((fast, slow if slow.joules < fast.joules else fast))
    kept: list[tuple[Point, Point]] = []
    for fast, slow in sorted(pieces, key=lambda piece: (piece[0].seconds, piece[1].joules)):
        others = (point for piece in kept for point in piece)
        dominated = any(point.seconds <= fast.seconds and point.joules <= slow.joules for point in others)
        if fast.seconds <= longest * ALMOST and not dominated:
            kept.append((fast, slow))
    return kept


def _add_places(form: Formulation, job: TraceJob, gpu_model: str) -> list[tuple[int, float]]:
    """Add where the job may be, and return how many GPUs it holds there in all, as terms of a row.

    It is on one node that holds it, or takes whole nodes, but for one, that are each too small for it.
    """
    program = form.program
    small = [node for node in form.problem.nodes_of(gpu_model) if node.gpus < job.gpus]
    if sum(node.gpus for node in small) < job.gpus:
        small = []
    parts = []
    for node in form.problem.nodes_of(gpu_model):
        key = job.name, node.name
        if node.gpus >= job.gpus:
            form.place[key] = program.choice()
            form.held[key] = [(form.place[key], float(job.gpus))]
        elif small:
            whole, part, some = program.choice(), program.choice(), program.variable(0.0, node.gpus - 1.0)
            form.place[key] = program.choice()
            form.held[key] = [(whole, float(node.gpus)), (some, 1.0)]
            program.row([(whole, 1.0), (part, 1.0), (form.place[key], -1.0)], 0.0, 0.0)
            program.row([(some, 1.0), (part, 1.0 - node.gpus)], high=0.0)
            program.row([(some, 1.0), (part, -1.0)], low=0.0)
            parts.append((part, 1.0))
    program.row(parts, high=1.0)
    return [term for node in form.problem.nodes_of(gpu_model) for term in form.held.get((job.name, node.name), ())]


def _break_symmetry(form: Formulation) -> None:
    """Of nodes that are alike, the next is used by a job only if the one before is used by it or a job before it."""
    for gpu_model in form.problem.models:
        alike: dict[tuple[int, float], list[str]] = {}
        for node in form.problem.nodes_of(gpu_model):
            alike.setdefault((node.gpus, node.base_watts), []).append(node.name)
        for before, name in (pair for names in alike.values() for pair in pairwise(names)):
            earlier: list[tuple[int, float]] = []
            for job in form.problem.jobs:
                if (job.name, name) in form.place:
                    earlier.append((form.place[job.name, before], -1.0))
                    form.program.row([(form.place[job.name, name], 1.0), *earlier], high=0.0)


def _add_capacity(form: Formulation) -> None:
    """From each submission on, the jobs that come then must fit into what their GPU model has left (a valid cut)."""
    problem = form.problem
    for gpu_model in problem.models:
        gpus = sum(node.gpus for node in problem.nodes_of(gpu_model))
        for begin in sorted({job.submitted_at for job in problem.jobs}):
            late = [job for job in problem.jobs if job.submitted_at >= begin]
            terms = [term for job in late for term in form.seconds(job, gpu_model, job.gpus)]
            form.program.row(terms, high=gpus * (problem.horizon - begin) * form.second)


def _add_order(form: Formulation) -> None:
    """GPUs go from job to job: who gets some from another starts when that one has ended."""
    problem, program = form.problem, form.program
    came: dict[tuple[str, str], list[tuple[int, float]]] = {key: [] for key in form.place}
    left: dict[tuple[str, str], list[tuple[int, float]]] = {key: [] for key in form.place}
    precedes: dict[tuple[str, str], int] = {}
    for job, after in permutations(problem.jobs, 2):
        shortest = min(piece.fast.seconds for piece in form.pieces[job.name])
        common = [
            node
            for node in problem.nodes
            if (job.name, node.name) in form.place and (after.name, node.name) in form.place
        ]
        if not common or job.submitted_at + shortest > problem.due(after) * ALMOST:
            continue
        order = precedes[job.name, after.name] = program.choice()
        for node in common:
            most = min(job.gpus, after.gpus, node.gpus)
            flow = (program.variable(0.0, most), 1.0)
            program.row([flow, (order, -float(most))], high=0.0)
            left[job.name, node.name].append(flow)
            came[after.name, node.name].append(flow)
        latest = max(0.0, (problem.due(job) - after.submitted_at) * form.second)
        starts = [(form.start[job.name], 1.0), (form.start[after.name], -1.0)]
        program.row([*starts, *form.seconds(job), (order, latest)], high=latest)
    for (first, second), order in precedes.items():
        if first < second and (second, first) in precedes:
            program.row([(order, 1.0), (precedes[second, first], 1.0)], high=1.0)
    for node in problem.nodes:
        pool = []
        for job in problem.jobs:
            key = job.name, node.name
            if key in form.place:
                held = [(number, -count) for number, count in form.held[key]]
                pool.append((program.variable(0.0, min(job.gpus, node.gpus)), 1.0))
                program.row([pool[-1], *came[key], *held], 0.0, 0.0)
                program.row([*left[key], *held], high=0.0)
        program.row(pool, high=float(node.gpus))
