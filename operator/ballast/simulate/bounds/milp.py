"""The exact optimum of a small instance: the schedule with the fewest joules that there is.

HiGHS solves the mixed-integer program of `ballast.simulate.bounds.formulation`. Then all that is whole stays as found
and the times are solved for once more, so that no schedule rests on a solver's notion of a number that is nearly whole.
What must hold: the schedule that is returned keeps all rules of its problem (it is checked), its joules are integrated
over it, and no other schedule takes fewer than ``bound_joules``.
"""

from __future__ import annotations

from dataclasses import dataclass

from ballast.errors import UserError
from ballast.simulate.bounds.formulation import Formulation, Piece, formulate
from ballast.simulate.bounds.problem import Problem
from ballast.simulate.bounds.program import Solution
from ballast.simulate.bounds.schedule import Placed, Schedule, faults, total_joules
from ballast.simulate.bounds.switching_rows import Stretch, add_switching
from ballast.simulate.job import TraceJob

MAX_JOBS = 8
MAX_JOBS_SWITCHING = 5
MAX_NODES = 8


@dataclass(frozen=True, slots=True)
class Optimum:
    """The best schedule that was found.

    Attributes:
        joules: That it takes, of all nodes, until the horizon.
        bound_joules: No schedule takes fewer: the same as ``joules`` where ``proven``, but for the solver's tolerance.
        proven: Whether the search came to its end.
    """

    schedule: Schedule
    joules: float
    bound_joules: float
    proven: bool

    @property
    def gap(self) -> float:
        """How much of its joules the schedule may be above the optimum, as a share."""
        return max(0.0, 1 - self.bound_joules / self.joules)


def optimum(problem: Problem, seconds: float = 60.0) -> Optimum:
    """Return the schedule with the fewest joules.

    Args:
        problem: At most 8 jobs (5 where nodes are switched off) on 8 nodes.
        seconds: How long to search at most; what was found by then is returned with its gap.

    Raises:
        UserError: The problem is too large, no schedule keeps its rules, or none was found in time.
    """
    _refuse_large(problem)
    form = formulate(problem)
    after = problem.options.switch_off_after_seconds
    stretches = {} if after is None else add_switching(form, after)
    found = form.program.solve(seconds)
    if found is None:
        raise UserError(
            f"no schedule ends {len(problem.jobs)} jobs on {len(problem.nodes)} nodes by the horizon of "
            f"{problem.horizon:g} s within slowdowns and deadlines: give a later horizon, or more nodes"
        )
    whole = {
        number: float(round(found.values[number])) for number, is_whole in enumerate(form.program.whole) if is_whole
    }
    exact = form.program.solve(fixed=whole)
    schedule = None if exact is None else _schedule(form, stretches, exact)
    wrong = ["the order that the solver found has no times"] if schedule is None else faults(problem, schedule)
    if schedule is None or wrong:
        raise UserError(
            f"the solver's schedule holds only within its tolerance ({wrong[0]}): give a horizon that is not so near "
            f"to {problem.horizon:g} s"
        )
    joules = total_joules(problem, schedule)
    bound = found.bound / form.joule + _constant_joules(problem)
    return Optimum(schedule, joules, min(bound, joules), found.proven)


def _refuse_large(problem: Problem) -> None:
    most = MAX_JOBS if problem.options.switch_off_after_seconds is None else MAX_JOBS_SWITCHING
    for what, number, limit in (("jobs", len(problem.jobs), most), ("nodes", len(problem.nodes), MAX_NODES)):
        if number > limit:
            raise UserError(
                f"{what} are {number}: the exact optimum takes {limit} at most"
                f"{' where nodes are switched off' if limit == MAX_JOBS_SWITCHING else ''}; give fewer, or use the "
                "relaxation's bound"
            )


def _constant_joules(problem: Problem) -> float:
    """Return what no schedule changes."""
    if problem.options.switch_off_after_seconds is not None:
        return 0.0
    return problem.horizon * sum(problem.standby_watts(node) for node in problem.nodes)


def _schedule(form: Formulation, stretches: dict[str, list[Stretch]], found: Solution) -> Schedule:
    values = found.values
    placed = tuple(_placed(form, job, values) for job in form.problem.jobs)
    on = {}
    for name, of_node in stretches.items():
        on[name] = tuple(
            (values[each.begin] / form.second, (values[each.begin] + values[each.lasting]) / form.second)
            for each in of_node
            if values[each.used] > 0.5
        )
    return Schedule(placed, on)


def _placed(form: Formulation, job: TraceJob, values: tuple[float, ...]) -> Placed:
    piece = next(each for each in form.pieces[job.name] if values[each.used] > 0.5)
    nodes = {}
    for node in form.problem.nodes:
        gpus = round(sum(count * values[number] for number, count in form.held.get((job.name, node.name), ())))
        if gpus:
            nodes[node.name] = gpus
    limit, seconds = _limit(piece, values[piece.share])
    start = values[form.start[job.name]] / form.second
    return Placed(job.name, nodes, piece.gpu_model, limit, start, start + seconds)


def _limit(piece: Piece, share: float) -> tuple[float, float]:
    """Return the power limit at which the job runs, and how long.

    Speed and watts are linear between the ends of a piece, so that a limit on it is the same as to run at the one end
    for a part of the time and at the other for the rest.
    """
    seconds = piece.fast.seconds + share * (piece.slow.seconds - piece.fast.seconds)
    slow_time = share * piece.slow.seconds / seconds
    return piece.fast.limit_watts + slow_time * (piece.slow.limit_watts - piece.fast.limit_watts), seconds
