"""What placing a gang costs, by GPU model: joules, and the time until it is done, waiting included.

Pure. One sum is made small: joules above those of free GPUs, what a node draws that is switched on or kept on for the
gang alone, and the worth of the job's time (`Policy.seconds_worth_watts`). So a short job takes what is free, as
waiting would cost it more time than the better GPU saves joules, and a long one waits for the GPU on which it takes
fewer. What must hold: a GPU model that is slower than the user allows is taken only where waiting for any other would
end much later; a job whose deadline can only be kept by starting now starts now; the choice and what is told of it are
one (`ballast.decide.options`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from ballast.api.jobenergy import Objective
from ballast.api.quantities import ENERGY
from ballast.decide.gang_request import GangRequest
from ballast.decide.gpu_models import GpuModel
from ballast.decide.options import Option, Weighed
from ballast.decide.outlook import Outlook
from ballast.decide.prospects import Prospect

MUCH_SOONER: Final = 0.4
"""A GPU model that is too slow is taken where the job is done on it within this share of the time until it would be
done by waiting for any that is fast enough."""

HURRY_WORK_SECONDS: Final = 600.0
"""What a job with a deadline counts as long as nobody said how long it takes: little, so that it does not wait."""

TOLD_SHARE: Final = 0.05
"""By so much of itself joules or time must differ to speak for or against an offer."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A GPU model that has enough GPUs for a gang, now or later.

    Attributes:
        prospect: What the gang would do there.
        nodes: Where it would run now; None while it has to wait.
        node_count: On how many nodes it would be.
        fits_at: When it will fit, seconds since the epoch; infinite if nobody knows. Of no meaning where it fits now.
        node_joules: What nodes draw because they are switched on or kept on for this gang alone.
    """

    prospect: Prospect
    nodes: tuple[str, ...] | None
    node_count: int = 1
    fits_at: float = math.inf
    node_joules: float = 0.0

    @property
    def model(self) -> GpuModel:
        """The GPU model."""
        return self.prospect.gpu_model


@dataclass(frozen=True, slots=True)
class _Costed:
    offer: Offer
    wait_seconds: float
    seconds: float
    joules: float
    cost: float
    cost_at_once: float
    is_too_slow: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of weighing.

    Attributes:
        taken: The best offer; its nodes are None where the gang is to wait for it.
        weighed: All of them.
    """

    taken: Offer
    weighed: Weighed


def work_of(gang: GangRequest, outlook: Outlook) -> tuple[float, bool]:
    """Return how much work a gang counts with, in seconds on its fastest GPU model, and whether that is assumed."""
    if gang.work_seconds is not None:
        return gang.work_seconds, False
    return (HURRY_WORK_SECONDS if gang.has_deadline else outlook.policy.unknown_work_seconds), True


def weigh(gang: GangRequest, offers: Sequence[Offer], outlook: Outlook) -> Verdict:
    """Return the best of some offers, of which there is at least one, and what speaks against the others."""
    work, assumed = work_of(gang, outlook)
    costed = [_costed(gang, offer, work, outlook) for offer in offers]
    soonest = min((each.seconds for each in costed if not each.is_too_slow), default=math.inf)
    # Where nobody knows how long it would wait, nothing is known to be sooner.
    much_sooner = MUCH_SOONER * soonest if math.isfinite(soonest) else 0.0
    may = [each for each in costed if not each.is_too_slow or each.seconds <= much_sooner]
    # Where all are too slow, which only a change of what is known brings about, the fastest is the one to have.
    best = min(may or costed, key=lambda each: (each.cost, each.cost_at_once, each.offer.model.name))
    others = sorted(
        (each for each in costed if each is not best), key=lambda each: (each.joules, each.offer.model.name)
    )
    options = [_option(best, "" if best.offer.nodes is not None else _waits(best))]
    options += (_option(each, _against(each, best, gang, may)) for each in others)
    return Verdict(best.offer, Weighed(tuple(options), work, assumed))


def _costed(gang: GangRequest, offer: Offer, work: float, outlook: Outlook) -> _Costed:
    prospect, gpus = offer.prospect, gang.gpus
    wait = 0.0 if offer.nodes is not None else max(offer.fits_at - outlook.now, 0.0)
    runs = work * prospect.slowdown
    joules = gpus * prospect.joules_per_work * work + offer.node_joules
    seconds = wait + runs
    expected = joules * (1.0 if gang.has_deadline else prospect.curiosity)
    score, worth = _score(gang.objective), gpus * outlook.policy.seconds_worth_watts
    cost, at_once = score(expected, seconds, worth), score(expected, runs, worth)
    return _Costed(offer, wait, seconds, joules, cost, at_once, prospect.is_too_slow(gang.max_slowdown_percent))


def _score(objective: Objective) -> Callable[[float, float, float], float]:
    """Return what an objective makes small, of joules, seconds, and the watts that a second is worth."""
    match objective:
        case Objective.MINIMIZE_TIME:
            return lambda joules, seconds, worth: seconds
        case Objective.BALANCED:
            return lambda joules, seconds, worth: joules * seconds
        case _:
            return lambda joules, seconds, worth: joules + worth * seconds


def _option(each: _Costed, against: str) -> Option:
    return Option(
        gpu_model=each.offer.model.name,
        nodes=each.offer.node_count,
        power_limit_watts=each.offer.prospect.limit_watts,
        joules=each.joules,
        seconds=each.seconds if math.isfinite(each.seconds) else None,
        wait_seconds=each.wait_seconds if math.isfinite(each.wait_seconds) else 0.0,
        against=against,
    )


def _waits(best: _Costed) -> str:
    if not math.isfinite(best.wait_seconds):
        return "no room, and nobody knows for how long"
    return f"no room, for about {best.wait_seconds / 60:.0f} min"


def _against(each: _Costed, best: _Costed, gang: GangRequest, may: Sequence[_Costed]) -> str:
    """Return what speaks against an offer: in the same words as long as the same does, whatever the numbers."""
    prospect = each.offer.prospect
    if each not in may:
        slower = 100 * (prospect.model_slowdown - 1)
        return f"{slower:.0f} % slower than the fastest: more than maxSlowdownPercent {gang.max_slowdown_percent:g}"
    parts = [_waits(each)] if each.offer.nodes is None else []
    more = each.joules - best.joules
    if best.joules > 0 and abs(more) >= TOLD_SHARE * best.joules:
        parts.append(f"{abs(100 * more / best.joules):.0f} % {'more' if more > 0 else 'fewer'} joules")
    elif best.joules <= 0 < more:
        parts.append(f"{ENERGY.human(more)} more")
    later = each.seconds - best.seconds
    if math.isfinite(later) and abs(later) >= TOLD_SHARE * best.seconds:
        parts.append(f"done {abs(later) / 60:.0f} min {'later' if later > 0 else 'sooner'}")
    return ", ".join(parts) or "no better"
