"""The linear program of maximum total throughput: which share of their time jobs should spend on each GPU model.

For jobs j and GPU models m with throughput T and share X: maximize the sum of T[j, m] * X[j, m] subject to X >= 0, for
each job the sum of its X at most 1, and for each GPU model the sum of X times the jobs' GPUs at most its GPUs
(Narayanan et al., OSDI 2020). Jobs that are alike share a row here, with the sum of their shares as unknown: any way to
divide it among them is an optimum of the program with a row for each.

What must hold: the shares are feasible, and no feasible shares have more than three ten-thousandths more throughput: so
much is given away to choose among optima.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog  # type: ignore[import-untyped]
from scipy.sparse import coo_array  # type: ignore[import-untyped]

from ballast.simulate.policies.packing import Room
from ballast.simulate.policies.speeds import Speeds

_PREFERENCE = 1e-4
"""Part of its throughput by which a row is preferred for each reason: it is older, or stays where it is. The solver
neglects what is smaller than 1e-7."""

_NOTHING = 1e-6


@dataclass(frozen=True, slots=True, order=True)
class Group:
    """Jobs that are alike.

    Attributes:
        kind: Of the jobs.
        gpus: Of each.
        on: GPU model that they run on; empty while they wait.
        jobs: How many they are.
    """

    kind: str
    gpus: int
    on: str
    jobs: int


def best_shares(groups: Sequence[Group], speeds: Speeds, room: Room) -> Mapping[tuple[Group, str], float]:
    """Return how many of a group's jobs should run on a GPU model, on average; what is not in it is zero.

    Args:
        groups: The oldest first, which is preferred among equals.
        speeds: Of kinds on GPU models.
        room: The whole cluster.
    """
    models = sorted(room.models)
    gpus = {model: sum(n.gpus for n in room.nodes.values() if n.gpu_model == model) for model in models}
    columns = [(row, model) for row, group in enumerate(groups) for model in models if group.gpus <= gpus[model]]
    if not columns:
        return {}
    values, rows, positions = [], [], []
    throughput = np.empty(len(columns))
    for position, (row, model) in enumerate(columns):
        group = groups[row]
        older = 1 - row / len(groups)
        stays = 2 if group.on == model else 0
        throughput[position] = group.gpus * speeds.of(group.kind, model) * (1 + _PREFERENCE * (older + stays))
        rows += [row, len(groups) + models.index(model)]
        positions += [position, position]
        values += [1.0, float(group.gpus)]
    limits = [float(group.jobs) for group in groups] + [float(gpus[model]) for model in models]
    matrix = coo_array((values, (rows, positions)), shape=(len(limits), len(columns)))
    found = linprog(-throughput, A_ub=matrix.tocsr(), b_ub=limits, bounds=(0, None), method="highs")
    if not found.success:
        # All zeros are feasible and every unknown is bounded: only a defect gets here.
        raise RuntimeError(f"the program of {len(groups)} groups was not solved: {found.message}")
    return {
        (groups[row], model): float(amount)
        for (row, model), amount in zip(columns, found.x, strict=True)
        if amount > _NOTHING
    }
