"""When nodes are on, as rows of the mixed-integer program: stretches of time, and which job runs in which.

A node is on from the beginning of the trace, and then in as many further stretches as pay; each further one begins with
a boot. What must hold: a job runs within one stretch of each of its nodes; a stretch lasts at least as long after its
last job as nodes must stay on, unless the horizon comes first.
"""

from __future__ import annotations

from dataclasses import dataclass

from ballast.simulate.bounds.formulation import TIME_UNITS, Formulation
from ballast.simulate.policy import SimNode


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time in which a node is on, and its variables.

    Attributes:
        used: 1 if there is this stretch.
        begin: From when, in time units.
        last: Until when it has jobs.
        lasting: How long it is, with the time after its last job.
    """

    used: int
    begin: int
    last: int
    lasting: int


def add_switching(form: Formulation, after_seconds: float) -> dict[str, list[Stretch]]:
    """Add the stretches of all nodes to the program and return them by node name."""
    stretches = {node.name: _add_node(form, after_seconds, node) for node in form.problem.nodes}
    for gpu_model in form.problem.models:  # a valid cut: GPUs that are held are on
        held = [term for job in form.problem.jobs for term in form.seconds(job, gpu_model, job.gpus)]
        on = [
            (stretch.lasting, -float(node.gpus))
            for node in form.problem.nodes_of(gpu_model)
            for stretch in stretches[node.name]
        ]
        form.program.row([*held, *on], high=0.0)
    return stretches


def _add_node(form: Formulation, after_seconds: float, node: SimNode) -> list[Stretch]:
    program = form.program
    joules_a_unit = form.problem.standby_watts(node) / form.second
    jobs = [job for job in form.problem.jobs if (job.name, node.name) in form.place]
    found: list[Stretch] = []
    for number in range(len(jobs) + 1):
        stretch = Stretch(
            program.choice(cost=form.joule * form.problem.options.boot_joules if number else 0.0),
            program.variable(0.0, TIME_UNITS),
            program.variable(0.0, TIME_UNITS),
            program.variable(0.0, TIME_UNITS, cost=form.joule * joules_a_unit),
        )
        _add_length(form, after_seconds, stretch)
        if number == 0:
            program.row([(stretch.used, 1.0)], 1.0, 1.0)
            program.row([(stretch.begin, 1.0)], 0.0, 0.0)
        else:
            _add_after(form, found[-1], stretch)
        found.append(stretch)
    for job in jobs:
        inside = []
        for stretch in found:
            inside.append((program.choice(), 1.0))
            here = inside[-1][0]
            program.row([(here, 1.0), (stretch.used, -1.0)], high=0.0)
            start = form.start[job.name]
            program.row([(stretch.begin, 1.0), (start, -1.0), (here, TIME_UNITS)], high=TIME_UNITS)
            ends = [(start, 1.0), *form.seconds(job), (stretch.last, -1.0), (here, TIME_UNITS)]
            program.row(ends, high=TIME_UNITS)
        program.row([*inside, (form.place[job.name, node.name], -1.0)], 0.0, 0.0)
    return found


def _add_length(form: Formulation, after_seconds: float, stretch: Stretch) -> None:
    """It lasts from its begin to its last job and a while longer, or to the horizon if that comes first."""
    program = form.program
    longer = min(after_seconds * form.second, TIME_UNITS)
    cut = program.choice()
    program.row([(stretch.last, 1.0), (stretch.begin, -1.0)], low=0.0)
    lasts = [(stretch.lasting, 1.0), (stretch.last, -1.0), (stretch.begin, 1.0)]
    program.row([*lasts, (stretch.used, -longer), (cut, longer)], low=0.0)
    program.row([(stretch.lasting, 1.0), (stretch.begin, 1.0), (cut, -TIME_UNITS)], low=0.0)


def _add_after(form: Formulation, before: Stretch, stretch: Stretch) -> None:
    """It begins a boot after the one before was switched off."""
    program = form.program
    boot = form.problem.options.boot_seconds * form.second
    program.row([(stretch.used, 1.0), (before.used, -1.0)], high=0.0)
    off = [(before.begin, 1.0), (before.lasting, 1.0), (stretch.begin, -1.0)]
    most = 2 * TIME_UNITS + boot
    program.row([*off, (stretch.used, most)], high=most - boot)
