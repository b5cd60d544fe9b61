"""The last word on what a search found: its best designs again, at full length, with seeds that it has not seen.

A search takes the best of many noisy scores, so its own scores flatter what it chose. What must hold: which designs are
judged, and in which order, is fixed by the search alone, before any of the final figures exist. The winner is the first
in that order, cheapest first, that keeps its accuracy; among the final figures nothing is picked for being best.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from frugal.bench.comparison import Comparison, Interval
from frugal.bench.plan import Case, Plan, settings_of
from frugal.bench.records import Phase
from frugal.config import TrainConfig
from frugal.search.objective import PLAIN
from frugal.search.space import specs
from frugal.search.study import Score, Tried, solutions


@dataclass(frozen=True, kw_only=True)
class Winner:
    """What the final figures say of a design.

    Attributes:
        tried: The design, with the search's own score.
        saving: Of joules, in percent; None where neither counters nor a model tell them.
        measured: Whether the saving is from counters, else it is estimated.
        by: Which counters, or the model.
        accuracy_change_points: Against the baseline.
        holds: Whether its accuracy is kept, on average over the seeds.
    """

    tried: Tried
    saving: Interval | None
    measured: bool
    by: str | None
    accuracy_change_points: Interval | None
    holds: bool


def finalists(tried: Sequence[Tried], baseline: Score, least_accuracy: float, most: int) -> list[Tried]:
    """The ``most`` cheapest designs that seem to be as accurate as demanded and cost less than plain training."""
    cheaper = [one for one in tried if one.score is not None and one.score.joules < baseline.joules]
    return solutions(cheaper, least_accuracy)[:most]


def final_plan(chosen: Sequence[Tried], config: TrainConfig, phase: Phase, seeds: int) -> Plan:
    """Plain training and the finalists, judged in ``phase``; the seeds are those after the search's own."""
    phases = (phase,)
    return Plan(
        name="finals of a search",
        cases=(
            Case(name=PLAIN, config=config, phases=phases),
            *(
                Case(
                    name=name_of(one),
                    config=config,
                    techniques=specs(one.design, config.epochs),
                    baseline=PLAIN,
                    phases=phases,
                )
                for one in chosen
            ),
        ),
        seeds=tuple(config.seed + 1 + number for number in range(seeds)),
    )


def folder_of(plan: Plan, out: Path) -> Path:
    """Where the plan's trials go: other finalists or settings have a folder of their own."""
    content = [[case.name, case.techniques, settings_of(case.config), case.phases] for case in plan.cases]
    return out / f"final-{hashlib.sha256(json.dumps(content).encode()).hexdigest()[:8]}"


def name_of(tried: Tried) -> str:
    """A design in tables, by its number."""
    return f"#{tried.number}"


def judge(chosen: Sequence[Tried], comparisons: Sequence[Comparison], most_points_lost: float) -> list[Winner]:
    """What the final figures say of each finalist, in the search's order."""
    by_case: Mapping[str, Comparison] = {comparison.case: comparison for comparison in comparisons}
    judged = []
    for one in chosen:
        found = by_case.get(name_of(one))
        if found is None:
            continue
        measured = found.measured_saving is not None
        change = found.accuracy_change_points
        judged.append(
            Winner(
                tried=one,
                saving=found.measured_saving if measured else found.estimated_saving,
                measured=measured,
                by=found.measured_by if measured else found.estimated_by,
                accuracy_change_points=change,
                holds=change is not None and change.mean >= -most_points_lost,
            )
        )
    return judged


def winner(judged: Sequence[Winner]) -> Winner | None:
    """The first that keeps its accuracy and saves anything."""
    return next((one for one in judged if one.holds and one.saving is not None and one.saving.mean > 0), None)
