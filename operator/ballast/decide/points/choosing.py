"""Which power limit a running job's GPUs should have, where the user leaves that to Ballast.

The least energy among the limits whose slowdown is allowed, which is not the lowest of them: below some limit a GPU
slows down by more than its power falls. What must hold: the limit that was found is always allowed; any other is chosen
only if its slowdown is allowed with stated confidence; slowdown is counted from a measurement at the found limit, and
until there is one, that limit stays. What is tried out to learn more is `ballast.decide.points.exploring`'s.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from ballast.api.decision import LimitOption
from ballast.api.quantities import DURATION, POWER
from ballast.decide.model.known_limits import Known, known_limits, pooled, whole
from ballast.decide.model.prediction import Curve, Prediction, Sample
from ballast.decide.points.considered import considered, goal, number
from ballast.decide.points.exploring import Visit, visit_of, worth_visiting
from ballast.decide.points.wishes import Wishes

NOTICED_SECONDS = 0.05
"""Less time than this is told as none."""


class Kind(StrEnum):
    """Why a limit was chosen."""

    FOUND = "found"
    """No other limit that is allowed is better."""
    EXPLORE = "explore"
    """To learn: a measurement there is missing, or worth its price."""
    CHOSEN = "chosen"
    """It is the best that is allowed."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The power limit that each of a job's GPUs should have.

    Attributes:
        limit_watts: Of each GPU.
        kind: Why.
        prediction: What to expect at it, by measurement or by the curve.
        measured: Whether it was measured, and so can be told to users as what is saved.
        message: Why, in numbers.
        options: What was known of all limits, ascending; the last is the found one.
        best: Of them, the best that is allowed: another one than the chosen while that is tried out.
    """

    limit_watts: float
    kind: Kind
    prediction: Prediction
    measured: bool
    message: str
    options: tuple[Known, ...] = ()
    best: Known | None = None

    def told(self, wishes: Wishes) -> tuple[LimitOption, ...]:
        """Return the limits as the job's status tells them, with what speaks against each."""
        chosen = next((known for known in self.options if known.limit_watts == self.limit_watts), None)
        if chosen is None:
            return ()
        return considered(self.options, chosen, self.best or chosen, wishes)


def choose(curve: Curve, limits: Sequence[float], samples: Sequence[Sample], wishes: Wishes) -> Choice:
    """Choose the power limit of a job's GPUs.

    Args:
        curve: Of the job's workload on the GPU model that it runs on, after ``samples``.
        limits: To choose from, within the board's range, in any order; the found limit is always one of them.
        samples: What was measured of the workload on this GPU model.
        wishes: Of the job.

    Raises:
        ValueError: A limit lies outside the board's range.
    """
    options = known_limits(curve, limits, pooled(samples), wishes.trust)
    found = options[-1]
    if not wishes.trust.well_measured(found.pool):
        return _choice(found, Kind.EXPLORE, _not_yet(found), options, found)
    best = _best(options, wishes)
    if not best.measured and not wishes.allows(best):
        visit = visit_of(best, options, wishes)
    else:
        # Before another is tried out, the best must be known to be as good as it looks.
        visit = worth_visiting(options, best, wishes) if best.measured else None
    if visit is not None:
        return _choice(visit.known, Kind.EXPLORE, _to_learn(visit, best, found, wishes), options, best)
    if best is found:
        return _choice(found, Kind.FOUND, _as_found(options, wishes), options, best)
    return _choice(best, Kind.CHOSEN, _as_chosen(best, found, wishes), options, best)


def _choice(known: Known, kind: Kind, message: str, options: tuple[Known, ...], best: Known) -> Choice:
    return Choice(known.limit_watts, kind, known.prediction, known.measured, message, options, best)


def _best(options: Sequence[Known], wishes: Wishes) -> Known:
    """Return the best that is allowed; the present one, if it is as good but for noise."""
    found = options[-1]
    allowed = [known for known in options if known is found or wishes.allows(known) or _may_try(known, options, wishes)]
    # Of equals the highest: it is the least intervention.
    best = min(allowed, key=lambda known: (wishes.score(known), -known.limit_watts))
    now = next((known for known in allowed if _is_now(known, wishes)), best)
    keeps = wishes.score(now) - wishes.score(best) <= math.log1p(wishes.caution.keep_percent / 100)
    return now if keeps else best


def _may_try(known: Known, options: Sequence[Known], wishes: Wishes) -> bool:
    return wishes.likely_allows(known) and visit_of(known, options, wishes) is not None


def _is_now(known: Known, wishes: Wishes) -> bool:
    return wishes.now_watts is not None and whole(wishes.now_watts) == whole(known.limit_watts)


def _not_yet(found: Known) -> str:
    message = f"{POWER.human(found.limit_watts)}, as found: slowdown is counted from there, where there is"
    if found.pool is None:
        return f"{message} no reading yet"
    return f"{message} no better reading yet than within {number(100 * found.pool.sample.error)} %"


def _to_learn(visit: Visit, best: Known, found: Known, wishes: Wishes) -> str:
    known, seconds = visit.known, wishes.exploration.reading_seconds if wishes.exploration is not None else 0.0
    visited = f"{POWER.human(known.limit_watts)}, as found," if known is found else _limits(known, found)
    lost = f"at most {DURATION.human(visit.lost_seconds)}" if visit.lost_seconds >= NOTICED_SECONDS else "no time"
    cost = f"{lost} lost beyond {_most(wishes)}"
    if known is found:
        return f"{visited} for {DURATION.human(seconds)}, to learn better what slowdown is counted from"
    if known.measured:
        slowdown = _time(known.prediction.slowdown_percent)
        return f"{visited} for {DURATION.human(seconds)}, to learn better whether {slowdown} is right; {cost}"
    rival = ", as predicted" if known is best else f" than at {POWER.human(best.limit_watts)}"
    aim = f"whether {goal(wishes)} are fewer{rival}"
    return f"{visited} for {DURATION.human(seconds)}, to learn {aim}; {cost}"


def _as_found(options: Sequence[Known], wishes: Wishes) -> str:
    found = options[-1]
    message = (
        f"{POWER.human(found.limit_watts)}, as found: no lower limit saves {goal(wishes)} worth a change within"
        f" {_most(wishes)}"
    )
    better = [known for known in options[:-1] if wishes.score(known) < 0 and not wishes.allows(known)]
    if not better:
        return message
    nearest = min(better, key=wishes.bound_percent)
    bound = f"would take up to {number(wishes.bound_percent(nearest))} % more"
    return f"{message}; {POWER.human(nearest.limit_watts)} {bound}"


def _as_chosen(best: Known, found: Known, wishes: Wishes) -> str:
    prediction = best.prediction
    message = f"{_limits(best, found)}: {_joules(prediction.saved_percent)} for {_time(prediction.slowdown_percent)}"
    if best.measured:
        return f"{message}, measured"
    return f"{message}, predicted; at most {number(wishes.bound_percent(best))} % within {_most(wishes)}"


def _limits(known: Known, found: Known) -> str:
    return f"{POWER.human(known.limit_watts)} of {POWER.human(found.limit_watts)}"


def _most(wishes: Wishes) -> str:
    """Return how much more time is allowed, and by whom."""
    most = wishes.most_percent
    if most < 0:
        return "the allowed slowdown, which is spent already"
    allowed = f"the {number(most)} % more time that"
    if most == wishes.deadline_slowdown_percent:
        return f"{allowed} the deadline leaves"
    if most < wishes.max_slowdown_percent:
        return f"{allowed} {wishes.objective.value} allows"
    return f"{allowed} is allowed"


def _joules(saved_percent: float) -> str:
    text = number(abs(saved_percent))
    if text == "0":
        return "as many joules"
    return f"{text} % {'fewer' if saved_percent > 0 else 'more'} joules"


def _time(slowdown_percent: float) -> str:
    text = number(abs(slowdown_percent))
    if text == "0":
        return "no more time"
    return f"{text} % {'more' if slowdown_percent > 0 else 'less'} time"
