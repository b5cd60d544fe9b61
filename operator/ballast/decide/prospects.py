"""What a waiting gang would do on each GPU model that it could have: how fast, at which power limit, at which watts.

Pure. Where energy profiles know the workload on a GPU model, that is what counts; where they know it on another one,
the ratio of both in the table of GPU models (`ballast.decide.gpu_models`) is added, with what that may be wrong by;
where they know nothing, the table alone speaks. What must hold: a GPU model is too slow for a gang only where that is
sure, so that one table never keeps a workload from the hardware that suits it; and what was measured outweighs any
table.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from ballast.api.energyprofile import EnergyProfile, MeasuredPoint
from ballast.decide.energy_model import HierarchicalModel
from ballast.decide.gpu_models import GpuModel, gpu_model
from ballast.decide.learning.profile_points import comparable, samples_of
from ballast.decide.model.candidate_limits import candidate_limits
from ballast.decide.model.gpu_scaling import scaling
from ballast.decide.model.known_limits import pooled, whole
from ballast.decide.model.prediction import Curve, GpuRange, Sample
from ballast.decide.model.prior import PRIOR, Prior

LEAST_LIMIT_SHARE: Final = 0.4
"""The least power limit of a board that tells none, as a share of its default: V100, A40 and A100 have 0.33 to 0.4."""

QUARTILE_DEVIATIONS: Final = 0.6745
"""Half the distance of quartiles of a normal distribution, in standard deviations."""

OTHER_SIZE_ERROR: Final = 0.15
"""Relative error of a throughput that was measured with another number of GPUs: quartiles of `model.gpu_scaling`."""

SURE_DEVIATIONS: Final = 1.0
"""So many standard deviations better than expected, a GPU model would still have to be too slow, to be left out."""

CURIOSITY_DEVIATIONS: Final = 0.5
"""A GPU model on which the workload was never measured counts as so much better than expected: it is worth a try."""


@dataclass(frozen=True, slots=True)
class Prospect:
    """What a gang would do on one GPU model.

    Attributes:
        gpu_model: Which.
        limit_watts: The power limit of each GPU that is counted with.
        slowdown: Time at that limit over that on the fastest GPU model of those compared, at the limit found there.
        model_slowdown: Likewise, at the limit that is found on this one.
        log_sd: Standard deviation of the logarithm of both: what may be wrong with them.
        watts: Power of one GPU at that limit.
        idle_watts: Of one that does nothing.
        measured: Whether the workload was measured on this GPU model.
        is_worth_a_try: Whether it was not, but on another one: then more jobs of its kind are likely to come, of which
            each gains by what one learns.
    """

    gpu_model: GpuModel
    limit_watts: float
    slowdown: float
    model_slowdown: float
    log_sd: float
    watts: float
    idle_watts: float
    measured: bool
    is_worth_a_try: bool

    def is_too_slow(self, max_slowdown_percent: float) -> bool:
        """Whether the GPU model is slower than a job allows, even at the limit that is found on it, and surely so."""
        best = self.model_slowdown * math.exp(-SURE_DEVIATIONS * self.log_sd)
        return best > (1 + max_slowdown_percent / 100) * (1 + 1e-9)

    @property
    def joules_per_work(self) -> float:
        """Joules of one GPU, above what it draws without load, for a second of work on the fastest GPU model."""
        return max(self.watts - self.idle_watts, 0.0) * self.slowdown

    @property
    def curiosity(self) -> float:
        """By what joules are multiplied to compare: below 1 for a GPU model that is worth a try."""
        return math.exp(-CURIOSITY_DEVIATIONS * self.log_sd) if self.is_worth_a_try else 1.0


@dataclass(frozen=True, slots=True)
class _Speed:
    """Logarithm of a throughput, up to what is the same on all GPU models; and its standard deviation."""

    log: float
    sd: float


def prospects(
    boards: Mapping[GpuModel, GpuRange | None],
    gpus: int,
    max_slowdown_percent: float,
    profiles: Iterable[EnergyProfile] = (),
    prior: Prior = PRIOR,
    fixed_limit_watts: float | None = None,
    *,
    is_tuned: bool = True,
) -> tuple[Prospect, ...]:
    """Return what a gang would do on each of some GPU models, in their order.

    Args:
        boards: The GPU models, and what is known of their boards.
        gpus: Of the gang.
        max_slowdown_percent: What its user allows.
        profiles: Of its workload.
        prior: What the energy model assumes of it.
        fixed_limit_watts: The power limit that its user set; None if nobody did.
        is_tuned: Whether Ballast chooses the power limit.
    """
    ranges = {model: board or _assumed(model) for model, board in boards.items()}
    points = _points_by_model(profiles)
    curves: dict[GpuModel, Curve] = {}
    measured: dict[GpuModel, _Speed] = {}
    for model, board in ranges.items():
        curves[model], speed = _learned(prior, board, gpus, tuple(points.get(model.name, ())))
        if speed is not None:
            measured[model] = speed
    speeds = {model: measured.get(model) or _by_table(model, measured) for model in ranges}
    fastest = max(speeds, key=lambda model: (speeds[model].log, model.name))
    found = []
    for model, board in ranges.items():
        slower = math.exp(speeds[fastest].log - speeds[model].log)
        spare = math.log(max((1 + max_slowdown_percent / 100) / slower, 1.0))
        limit = _limit(curves[model], board, spare, fixed_limit_watts, is_tuned=is_tuned)
        prediction = curves[model].at(limit)
        found.append(
            Prospect(
                gpu_model=model,
                limit_watts=limit,
                slowdown=slower * math.exp(prediction.log_slowdown),
                model_slowdown=slower,
                log_sd=_ratio_sd(speeds[model], speeds[fastest], together=bool(measured)) if model != fastest else 0.0,
                watts=max(prediction.watts, board.idle_watts),
                idle_watts=board.idle_watts,
                measured=model in measured,
                is_worth_a_try=bool(measured) and model not in measured,
            )
        )
    return tuple(found)


def _assumed(model: GpuModel) -> GpuRange:
    return GpuRange(model.name, round(LEAST_LIMIT_SHARE * model.max_watts), model.max_watts, model.idle_watts)


def _points_by_model(profiles: Iterable[EnergyProfile]) -> dict[str, list[MeasuredPoint]]:
    points: dict[str, list[MeasuredPoint]] = {}
    for profile in profiles:
        points.setdefault(gpu_model(profile.spec.gpu_model).name, []).extend(profile.spec.points)
    return points


@lru_cache(maxsize=2048)
def _learned(
    prior: Prior, board: GpuRange, gpus: int, points: tuple[MeasuredPoint, ...]
) -> tuple[Curve, _Speed | None]:
    """Return the workload's curve on a GPU model, and its throughput at the found limit if it was measured at all."""
    own = samples_of(comparable(points, gpus, None), board)
    samples, error = own, 0.0
    if not own:
        samples, error = _of_other_sizes(points, board, gpus), OTHER_SIZE_ERROR
    curve = HierarchicalModel(prior).curve(board, samples)
    pools = pooled(samples)
    if not pools:
        return curve, None
    top = whole(board.max_limit_watts)
    pool = pools.get(top) or min(pools.values(), key=lambda each: (each.sample.error, -each.sample.limit_watts))
    at = curve.at(min(max(pool.sample.limit_watts, board.min_limit_watts), board.max_limit_watts))
    log = math.log(pool.sample.work_per_second) + at.log_slowdown
    return curve, _Speed(log, math.hypot(pool.sample.error, at.log_slowdown_sd, error))


def _of_other_sizes(points: Sequence[MeasuredPoint], board: GpuRange, gpus: int) -> tuple[Sample, ...]:
    """Return what gangs of the nearest other size did, as a gang of this one is expected to do it."""
    sizes = sorted({point.gpus for point in points}, key=lambda size: (abs(math.log(size / gpus)), size))
    for size in sizes:
        samples = samples_of(comparable(points, size, None), board)
        if samples:
            more = scaling(gpus).speedup / scaling(size).speedup
            return tuple(
                Sample(one.limit_watts, one.work_per_second * more, one.watts, one.error, one.watts_error)
                for one in samples
            )
    return ()


def _by_table(model: GpuModel, measured: Mapping[GpuModel, _Speed]) -> _Speed:
    """Return how fast a GPU model is by the table: beside those that were measured, if there are any."""
    own = _Speed(math.log(model.relative_speed), _table_sd(model))
    if not measured:
        return own
    beside = [
        _Speed(speed.log + own.log - math.log(other.relative_speed), math.hypot(speed.sd, own.sd, _table_sd(other)))
        for other, speed in measured.items()
    ]
    return min(beside, key=lambda speed: speed.sd)


def _ratio_sd(one: _Speed, other: _Speed, *, together: bool) -> float:
    """Return what may be wrong with a ratio of speeds; of two that rest on one measurement, one has all of it."""
    return max(one.sd, other.sd) if together else math.hypot(one.sd, other.sd)


def _table_sd(model: GpuModel) -> float:
    return math.log1p(model.relative_speed_spread) / QUARTILE_DEVIATIONS


def _limit(curve: Curve, board: GpuRange, spare: float, fixed: float | None, *, is_tuned: bool) -> float:
    """Return the power limit to count with: the user's, or that of the fewest joules whose log slowdown is spare."""
    if fixed is not None:
        return min(max(fixed, board.min_limit_watts), board.max_limit_watts)
    if not is_tuned:
        return board.max_limit_watts
    best, least = board.max_limit_watts, math.inf
    for limit in candidate_limits(board):
        at = curve.at(limit)
        joules = max(at.watts - board.idle_watts, 0.0) * math.exp(at.log_slowdown)
        if at.log_slowdown <= spare + 1e-9 and joules <= least:
            best, least = limit, joules
    return best
