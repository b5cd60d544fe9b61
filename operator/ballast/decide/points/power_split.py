"""How the watts of a shared power limit are split over jobs, so that together they lose the least time.

Minimizes the sum, weighted by priority, of the logarithms of the jobs' slowdowns, each a convex function of its power
limit: at the optimum one watt more would speed up each job by the same, weighted. What must hold: the limits, times
GPUs and the boards' overshoot, never exceed the watts, unless even the least limits do, and then the result says by how
much; more watts lower nobody's limit, and more weight never lowers the job's own.

Changes of a split happen lower-first (G1): `transitions` says which of them may be asked for now.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ballast.api.quantities import POWER
from ballast.decide.model.prediction import Curve

STEP_WATTS = 5
"""At this distance curves are sampled; between two samples they are taken as straight."""

ROUNDING_WATTS = 1e-6
"""By which a sum of many limits may exceed the watts, as binary fractions do not add up exactly."""

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Claim:
    """What one job has of a shared power limit.

    Attributes:
        key: Who it is.
        curve: Its slowdown by power limit, on the GPU model that it runs on.
        gpus: How many it has under the shared limit.
        min_limit_watts: Least limit of each of its GPUs: the board's, or more where a deadline needs it.
        max_limit_watts: Highest that it is to get: that which would be chosen if watts were not scarce.
        weight: How much its slowdown counts.
        margin: How much its boards draw at most, over their limit: a power limit is no hard ceiling.
    """

    key: str
    curve: Curve
    gpus: int
    min_limit_watts: float
    max_limit_watts: float
    weight: float = 1.0
    margin: float = 1.0

    @property
    def watts_per_watt(self) -> float:
        """What a watt more of its limit takes of the shared one."""
        return self.gpus * self.margin


@dataclass(frozen=True, slots=True)
class Split:
    """The power limits of all claims.

    Attributes:
        limits: Of each GPU, by key: whole watts, but for an end of a claim's range that is none.
        watts: What they may draw together.
        left_watts: What nobody gets: as nobody may have more, or because it is less than a watt for each GPU of the job
            whose turn it is.
        missing_watts: By how much the least limits exceed the watts; 0 if they do not.
        message: All that in a sentence.
    """

    limits: Mapping[str, float]
    watts: float
    left_watts: float
    missing_watts: float
    message: str

    @property
    def is_feasible(self) -> bool:
        """Whether the limits keep within the watts."""
        return self.missing_watts == 0


def split(claims: Sequence[Claim], watts: float, *, step_watts: int = STEP_WATTS) -> Split:
    """Split ``watts`` over the claims by equal marginal slowdown.

    Each claim starts at its least limit. Its way up is cut into watts, each of which is worth what it takes off the
    weighted slowdown for what it takes of the shared limit; worth falls along the way, as slowdown is convex (where a
    predicted curve is not, its convex hull stands for it). The watts of all claims are given out by falling worth,
    until the next does not fit. That is the optimum of the continuous problem, but for the part of the last watt that
    limits in whole watts cannot have. Claims that are worth the same take turns.

    Args:
        claims: In any order, which makes no difference.
        watts: For their GPUs together: what everything else under the limit draws is taken off already.
        step_watts: At which distance their curves are sampled.

    Raises:
        ValueError: Two claims have the same key; or one has no GPUs, no weight, a margin below 1 or an empty range; or
            some number is none.
    """
    if math.isnan(watts):
        raise ValueError("the watts to split are not a number")
    claims = sorted(claims, key=lambda claim: claim.key)
    _check(claims)
    edges = [_edges(claim) for claim in claims]
    costs = np.array([claim.watts_per_watt for claim in claims])
    least = math.fsum(cost * float(edge[0]) for cost, edge in zip(costs, edges, strict=True))
    if not claims or least > watts + ROUNDING_WATTS:
        return _result(claims, [float(edge[0]) for edge in edges], watts)
    taken = _give_out(claims, edges, costs, watts - least, step_watts)
    return _result(claims, [float(edge[count]) for edge, count in zip(edges, taken, strict=True)], watts)


def _check(claims: Sequence[Claim]) -> None:
    for first, second in itertools.pairwise(claims):
        if first.key == second.key:
            raise ValueError(f"two claims have the key {first.key!r}")
    for claim in claims:
        if claim.gpus < 1 or not 0 < claim.weight < math.inf or not 1 <= claim.margin < math.inf:
            raise ValueError(f"{claim.key}: GPUs and weight must be positive and the margin at least 1, not {claim}")
        if not -math.inf < claim.min_limit_watts <= claim.max_limit_watts < math.inf:
            raise ValueError(
                f"{claim.key}: its limits range from {claim.min_limit_watts:g} to {claim.max_limit_watts:g} W"
            )


def _edges(claim: Claim) -> Array:
    """Return the limits that a claim may have: its least, whole watts, its highest."""
    low, high = claim.min_limit_watts, claim.max_limit_watts
    between = np.arange(math.floor(low) + 1, math.ceil(high))
    return np.unique(np.concatenate([[low], between, [high]]))


def _give_out(
    claims: Sequence[Claim], edges: Sequence[Array], costs: Array, watts: float, step_watts: int
) -> NDArray[np.int64]:
    """Return how many of its steps up each claim takes."""
    steps = [np.diff(edge) for edge in edges]
    gains: dict[tuple[int, float, float], Array] = {}  # jobs of one kind share their curve
    owner = np.repeat(np.arange(len(claims)), [step.size for step in steps])
    turn = np.concatenate([np.arange(step.size) for step in steps])
    for claim, edge in zip(claims, edges, strict=True):
        if _gain_key(claim) not in gains:
            gains[_gain_key(claim)] = _gain_per_watt(claim, edge, step_watts)
    worth = np.concatenate(
        [claim.weight / cost * gains[_gain_key(claim)] for claim, cost in zip(claims, costs, strict=True)]
    )
    order = np.lexsort((owner, turn, -worth))  # the last is compared first
    price = (np.concatenate(steps) * costs[owner])[order]
    fits = int(np.searchsorted(np.cumsum(price), watts + ROUNDING_WATTS, side="right"))
    while fits and math.fsum(price[:fits]) > watts + ROUNDING_WATTS:  # a running sum of millions is not exact
        fits -= 1
    return np.bincount(owner[order[:fits]], minlength=len(claims))


def _gain_key(claim: Claim) -> tuple[int, float, float]:
    return id(claim.curve), claim.min_limit_watts, claim.max_limit_watts


def _gain_per_watt(claim: Claim, edges: Array, step_watts: int) -> Array:
    """Return what each step up takes off the logarithm of the slowdown, per watt; never rising, never negative."""
    if edges.size == 1:
        return np.zeros(0)
    limits = np.unique(np.append(edges[::step_watts], edges[-1]))
    slowdowns = np.array([claim.curve.at(float(limit)).log_slowdown for limit in limits])
    corners = _lower_hull(limits, slowdowns)
    gains = -np.diff(slowdowns[corners]) / np.diff(limits[corners])
    segment = np.searchsorted(limits[corners], edges[:-1], side="right") - 1
    # Within a segment all steps are worth the same to the last digit, so that equal claims take turns.
    falling: Array = np.minimum.accumulate(np.maximum(gains, 0.0))[segment]
    return falling


def _lower_hull(xs: Array, ys: Array) -> list[int]:
    """Return the indices of the corners of the convex hull from below (Andrew's monotone chain)."""
    corners: list[int] = []
    for index in range(xs.size):
        while len(corners) >= 2:
            first, last = corners[-2], corners[-1]
            turns = (xs[last] - xs[first]) * (ys[index] - ys[first]) - (ys[last] - ys[first]) * (xs[index] - xs[first])
            if turns > 0:
                break
            corners.pop()
        corners.append(index)
    return corners


def _result(claims: Sequence[Claim], limits: Sequence[float], watts: float) -> Split:
    drawn = math.fsum(claim.watts_per_watt * limit for claim, limit in zip(claims, limits, strict=True))
    gpus = sum(claim.gpus for claim in claims)
    of = f"{gpus} GPU{'s' * (gpus != 1)} of {len(claims)} job{'s' * (len(claims) != 1)}"
    missing = drawn - watts if drawn > watts + ROUNDING_WATTS else 0.0
    if missing:
        message = (
            f"{of} may draw {POWER.human(drawn)} even at their least power limits: {POWER.human(missing)} more than the"
            f" {POWER.human(max(watts, 0.0))} that there are"
        )
    else:
        message = f"{of} may draw {POWER.human(drawn)} of {POWER.human(max(watts, 0.0))}"
    return Split(
        limits={claim.key: limit for claim, limit in zip(claims, limits, strict=True)},
        watts=drawn,
        left_watts=max(watts - drawn, 0.0),
        missing_watts=missing,
        message=message,
    )


@dataclass(frozen=True, slots=True)
class Held:
    """The power limit that a job's GPUs have, and what was asked for since.

    Attributes:
        gpus: How many it has under the shared limit.
        confirmed_watts: The limit of each that its agent confirmed last.
        asked_watts: The limits asked for since then, in their order: each may be the one that they have now.
        margin: As in `Claim`.
    """

    gpus: int
    confirmed_watts: float
    asked_watts: tuple[float, ...] = ()
    margin: float = 1.0

    @property
    def bound_watts(self) -> float:
        """What its GPUs may draw together, whichever of the limits they have."""
        return self.gpus * self.margin * max((self.confirmed_watts, *self.asked_watts))

    @property
    def wanted_watts(self) -> float:
        """The limit that they will have, once all is confirmed."""
        return self.asked_watts[-1] if self.asked_watts else self.confirmed_watts

    def asking(self, limit_watts: float) -> Held:
        """Return it with one more ask.

        An earlier ask for the same is dropped: what its GPUs may have is the same, and so the asks of an agent that
        never answers stay few.
        """
        asked = (*(watts for watts in self.asked_watts if watts != limit_watts), limit_watts)
        return Held(self.gpus, self.confirmed_watts, asked, self.margin)


@dataclass(frozen=True, slots=True)
class Change:
    """A change of a job's power limit.

    Attributes:
        key: Whose.
        limit_watts: Of each of its GPUs.
        is_due: Whether it may be asked for now; else it has to wait until lower limits are confirmed.
    """

    key: str
    limit_watts: float
    is_due: bool


def transitions(held: Mapping[str, Held], after: Mapping[str, float], watts: float) -> tuple[Change, ...]:
    """Return the changes that are left to ask for, lower ones first.

    To be asked again, with what was confirmed meanwhile, until nothing is left. Lowering never adds to what the GPUs
    may draw, so it is always due. Raising is due as far as it fits beside the largest limit that each of the others may
    still have; one that does not fit lets smaller ones pass, as all fit in the end. If an agent never confirms, its
    share stays taken: the split is then to be made anew, with that job's range narrowed to what it may have.

    Args:
        held: All GPUs under the shared limit, also those of jobs that are about to start or have just ended: GPUs draw
            by the limit that they have, whoever holds them.
        after: The limits that there should be, by key; who is missing keeps what it has.
        watts: For all of them together.

    Raises:
        ValueError: A key of ``after`` is not among those held.
    """
    unknown = sorted(after.keys() - held.keys())
    if unknown:
        raise ValueError(f"nothing is known of the GPUs of {', '.join(unknown)}")
    moves = sorted((key, limit) for key, limit in after.items() if limit != held[key].wanted_watts)
    lower = [(key, limit) for key, limit in moves if limit < held[key].wanted_watts]
    higher = [(key, limit) for key, limit in moves if limit > held[key].wanted_watts]
    changes = [Change(key, limit, is_due=True) for key, limit in lower]
    bound = math.fsum(each.bound_watts for each in held.values())
    for key, limit in higher:
        added = held[key].asking(limit).bound_watts - held[key].bound_watts
        # Back to a limit that it may have anyway adds nothing: it is due even where the sum is too high by others.
        fits = added <= 0 or bound + added <= watts + ROUNDING_WATTS
        bound += added if fits else 0.0
        changes.append(Change(key, limit, is_due=fits))
    return tuple(changes)
