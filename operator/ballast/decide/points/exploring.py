"""Which power limit to visit next, to learn whether it is better than the best that is known.

The next one down from the best, step by step, until two in a row are clearly too slow or take clearly more joules:
slowdown only grows on the way down, and joules fall and then rise, so that what lies below is no better. Where joules
rise, the one above the best is looked at, too. The energy model says where to begin
(`ballast.decide.points.choosing`), not where to end: it knows least of a workload that is unlike all others, and a
visit costs little. The Zeus paper (NSDI 2023) visits all limits at the start of each job; here most of those that cost
time are left out.

What must hold: what all visits together cost beyond what the job allows stays within a stated share of its time,
whatever the model says; visits end. How slow an unknown limit may be follows from the next higher one that was measured
and `STEEPEST`; and it is the total that is bounded, not what one visit may find, as a visit lasts one reading.

A limit whose measurement leaves open whether it is allowed is measured again, or the found limit is, whose error is in
every slowdown: until nothing is left to learn there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ballast.decide.model.known_limits import Known, whole
from ballast.decide.points.wishes import Exploration, Wishes

STEEPEST = 3.0
"""Work per second falls with no higher power of the limit, from one limit to a lower one. Of all 626 pairs of
neighbouring limits that were measured for the Zeus paper on V100 and A40, the steepest falls with a power of 2.94."""


@dataclass(frozen=True, slots=True)
class Visit:
    """A limit that is worth a visit.

    Attributes:
        known: The limit, and what is known of it.
        lost_seconds: What it costs the job at most beyond the slowdown that it allows.
    """

    known: Known
    lost_seconds: float


def worth_visiting(options: Sequence[Known], best: Known, wishes: Wishes) -> Visit | None:
    """Return the limit to visit next; None if there is nothing left to learn, or no time for it.

    Args:
        options: All limits, ascending; the last is the found one.
        best: Of them, the best that may be chosen; measured.
        wishes: Of the job.
    """
    exploration = wishes.exploration
    if exploration is None:
        return None
    worth = (*_unknown(options, best, wishes, exploration), *_doubtful(options, best, wishes, exploration))
    visits = (visit_of(known, options, wishes) for known in worth)
    return next((visit for visit in visits if visit is not None), None)


def visit_of(known: Known, options: Sequence[Known], wishes: Wishes) -> Visit | None:
    """Return the visit of a limit; None if the job has no time for it, or none to profit from it.

    Args:
        known: The limit.
        options: All limits, ascending; the last is the found one.
        wishes: Of the job.
    """
    exploration = wishes.exploration
    if exploration is None or not wishes.may_explore:
        return None
    if wishes.expected_left_seconds < exploration.least_readings * exploration.reading_seconds:
        return None
    lost = exploration.reading_seconds * _excess_share(_most_slowdown_percent(known, options), wishes)
    return Visit(known, lost) if lost <= wishes.spare_seconds else None


def _unknown(options: Sequence[Known], best: Known, wishes: Wishes, exploration: Exploration) -> Iterator[Known]:
    """Yield the nearest limit below the best that was not measured, and the next above it, where it may be better."""
    place = next(index for index, known in enumerate(options) if known is best)
    worse = 0
    for known in reversed(options[:place]):
        if not known.measured:
            yield known
            break
        worse = worse + 1 if _is_worse(known, best, wishes, exploration) else 0
        if worse == exploration.patience:
            break
    # Joules that rise on the way down may have begun to do so above.
    rising = place == 0 or (options[place - 1].measured and wishes.score(options[place - 1]) > wishes.score(best))
    if rising and best is not options[-1] and not options[place + 1].measured:
        yield options[place + 1]


def _is_worse(known: Known, best: Known, wishes: Wishes, exploration: Exploration) -> bool:
    """Whether a measured limit is clearly too slow, or clearly takes more joules than the best."""
    clearly = exploration.worse_percent
    more = wishes.score(known) - wishes.score(best)
    return known.prediction.slowdown_percent > wishes.most_percent + clearly or more > math.log1p(clearly / 100)


def _doubtful(options: Sequence[Known], best: Known, wishes: Wishes, exploration: Exploration) -> Iterator[Known]:
    """Yield what to measure again for limits that would be better than the best, and may be allowed or not."""
    found = options[-1]
    for known in reversed(options):
        if not known.measured or wishes.allows(known) or not wishes.may_allow(known):
            continue
        where = max((known, found), key=lambda each: _left_to_learn(each, wishes))
        gain = wishes.score(best) - wishes.score(known)
        # It has to pay even if it takes all the readings that settle a limit.
        seconds = wishes.trust.settled_samples * exploration.reading_seconds
        cost = max(wishes.score(where) - wishes.score(best), 0.0) * seconds
        pays = gain * (wishes.expected_left_seconds - seconds) > cost
        if pays and _left_to_learn(where, wishes) > 0 and gain > math.log1p(exploration.margin_percent / 100):
            yield where


def _left_to_learn(known: Known, wishes: Wishes) -> float:
    """Return the error of the limit's own measurement; nothing once it is settled."""
    return 0.0 if known.pool is None or wishes.trust.settled(known.pool) else known.pool.sample.error


def lost_seconds(options: Sequence[Known], seconds_at: Mapping[float, float], wishes: Wishes) -> float:
    """Return how much longer a job has taken, at limits that it does not allow, than if they were just allowed.

    Args:
        options: All limits, ascending, with what is known of them now.
        seconds_at: How long it was at each limit.
        wishes: Of the job.
    """
    seconds = {whole(limit): spent for limit, spent in seconds_at.items()}
    return math.fsum(
        seconds.get(whole(known.limit_watts), 0.0) * _excess_share(_most_slowdown_percent(known, options), wishes)
        for known in options
    )


def _most_slowdown_percent(known: Known, options: Sequence[Known]) -> float:
    """Return the slowdown to reckon with at a limit: as measured, or else by the next higher one that was."""
    if known.measured:
        return known.prediction.slowdown_percent
    higher = next((other for other in options if other.measured and other.limit_watts > known.limit_watts), options[-1])
    steepest = STEEPEST * math.log(higher.limit_watts / known.limit_watts)
    return 100 * math.expm1(higher.prediction.log_slowdown + steepest)


def _excess_share(slowdown_percent: float, wishes: Wishes) -> float:
    """Return which share of the time at such a slowdown is more than the allowed slowdown takes for the same work."""
    return max(0.0, 1 - (100 + max(wishes.most_percent, 0.0)) / (100 + slowdown_percent))
