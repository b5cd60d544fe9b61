"""The limits that a choice was made from, as the job's status tells them: what each saves, costs, and has against it.

Pure. What must hold: the numbers are those that were compared; only against the chosen limit nothing speaks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ballast.api.decision import MAX_OPTIONS, LimitOption
from ballast.api.jobenergy import Objective
from ballast.api.quantities import POWER
from ballast.decide.model.known_limits import Known
from ballast.decide.points.wishes import Wishes


def considered(options: Sequence[Known], chosen: Known, best: Known, wishes: Wishes) -> tuple[LimitOption, ...]:
    """Return what is told of the limits: of many the found one and those nearest to the choice.

    Args:
        options: All limits, ascending; the last is the found one.
        chosen: Of them, the one that the GPUs are to have.
        best: Of them, the best that is allowed: another one than `chosen` while that is tried out.
        wishes: Of the job.
    """
    at = options.index(chosen)
    nearest = sorted(range(len(options) - 1), key=lambda index: abs(index - at))[: MAX_OPTIONS - 1]
    shown = [options[index] for index in sorted(nearest)] + [options[-1]]
    found = options[-1]
    return tuple(
        LimitOption(
            power_limit_watts=known.limit_watts,
            joules_percent=_rounded(-known.prediction.saved_percent),
            slowdown_percent=_rounded(known.prediction.slowdown_percent),
            measured=known.measured,
            against="" if known is chosen else _against(known, chosen, best, found, wishes),
        )
        for known in shown
    )


def _against(known: Known, chosen: Known, best: Known, found: Known, wishes: Wishes) -> str:
    if not wishes.trust.well_measured(found.pool):
        return f"not tried out yet: {POWER.human(found.limit_watts)} is measured first"
    if known is not found and not wishes.allows(known):
        return _too_slow(known, wishes)
    if known is best:
        return f"the best so far: {POWER.human(chosen.limit_watts)} is tried out"
    more = 100 * math.expm1(wishes.score(known) - wishes.score(best))
    text = number(abs(more))
    if text == "0":
        return f"as many {goal(wishes)}"
    if more > 0:
        return f"{text} % more {goal(wishes)}"
    return f"{text} % fewer {goal(wishes)}: not worth a change"


def _too_slow(known: Known, wishes: Wishes) -> str:
    if wishes.most_percent < 0:
        return "too slow: the allowed slowdown is spent already"
    most, expected = number(wishes.most_percent), known.prediction.slowdown_percent
    if expected > wishes.most_percent:
        return f"too slow: {number(expected)} % > {most} %"
    bound = number(wishes.bound_percent(known))
    if known.measured:
        return f"may be too slow: up to {bound} % > {most} %, as measured so far"
    return f"not tried out yet: may be too slow, up to {bound} % > {most} %"


def goal(wishes: Wishes) -> str:
    """Return what is made small, in words."""
    return "joules times seconds" if wishes.objective is Objective.BALANCED else "joules"


def number(value: float) -> str:
    """Return a number of percent as people read it: whole from ten on, below with one digit that is not 0."""
    text = f"{value:.0f}" if abs(value) >= 9.95 else f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


def _rounded(percent: float) -> float:
    return round(percent, 1) + 0.0  # never -0.0
