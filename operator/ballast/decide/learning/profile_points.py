"""One operating point of an energy profile: how measurements become one, and what it is worth as a sample.

Pure. A point's means weigh each measurement by how long it took (West 1979, the weighted form of Welford's method); its
deviations are those of single measurements, so that they say what the next one may be. What must hold: a point says no
more than was measured: of one measurement its error is that of half a minute of steady training, of many it falls with
their number, of a few that agree by luck it does not vanish. People write profiles, too, and may write anything that
the schema takes: what no board can have done counts for nothing, so that nobody's numbers break a calculation.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from ballast.api.energyprofile import MeasuredPoint
from ballast.api.operatingpoint import MAX_GPU_HERTZ, MAX_GPU_WATTS
from ballast.decide.measurement import Measurement
from ballast.decide.model.known_limits import Trust, stale, whole
from ballast.decide.model.prediction import GpuRange, Sample
from ballast.decide.telling import moment
from ballast.decide.training_progress import MAX_TIME

ONE_ERROR = 0.01
"""Relative error of one measurement: what half a minute of steady training scatters by, phases left out."""

EXPECTED_SAMPLES = 3
"""By how many samples the error of one is taken to be known, before any."""

LEAST_ERROR = 0.001
"""However many measurements: temperature and boards differ by as much from one week to the next."""

MAX_WEIGHT_SECONDS = 7200.0
"""What was measured before counts as no more than this beside a new measurement, so that slow change is followed."""

LARGE_DEVIATIONS = 4.0
LARGE_SHARE = 0.05
"""By so many deviations, and by so much of itself, a measurement differs that contradicts a point."""

AGREED_SAMPLES = 4
"""With fewer measurements nothing contradicts a point: what is strange then makes its deviation large."""

STEPS_PER_SECOND = (1e-9, 1e9)
LEAST_WATTS = 1e-3
MOST_DEVIATION = 10.0
"""What is believed: throughput and power within these, and a deviation of so many times the mean."""

POOLED_SAMPLES = max(Trust().enough_samples, Trust().settled_samples)
"""As how many samples one point counts at most: as many as settle a limit however they scatter."""


def point_of(measurement: Measurement) -> MeasuredPoint | None:
    """Return a measurement as a point of one sample; None if it says nothing that a profile can hold."""
    seconds, gpus = measurement.seconds, measurement.gpus
    if not (seconds > 0 and gpus >= 1 and math.isfinite(seconds)):
        return None
    speed, watts = measurement.steps / seconds, measurement.gpu_joules / seconds / gpus
    limit, clock = measurement.limit_watts, measurement.max_clock_hertz
    if not (
        _is_believed(speed, watts)
        and 0 < limit <= MAX_GPU_WATTS
        and 0 < clock <= MAX_GPU_HERTZ
        and 1 <= measurement.ended_at <= MAX_TIME
    ):
        return None
    return MeasuredPoint(
        gpus=gpus,
        power_limit_watts=limit,
        max_clock_hertz=clock,
        steps_per_second=speed,
        watts_per_gpu=watts,
        samples=1,
        measured_seconds=seconds,
        measured_at=moment(measurement.ended_at),
    )


def is_believed(point: MeasuredPoint) -> bool:
    """Return whether a point says something that a board can have done."""
    return _is_believed(point.steps_per_second, point.watts_per_gpu)


def _is_believed(speed: float, watts: float) -> bool:
    return STEPS_PER_SECOND[0] <= speed <= STEPS_PER_SECOND[1] and LEAST_WATTS <= watts <= MAX_GPU_WATTS


def same_point(one: MeasuredPoint, other: MeasuredPoint) -> bool:
    """Return whether both are of the same operating point; limits are told apart by whole watts."""
    return (one.gpus, whole(one.power_limit_watts), one.max_clock_hertz) == (
        other.gpus,
        whole(other.power_limit_watts),
        other.max_clock_hertz,
    )


def merged(known: MeasuredPoint, new: MeasuredPoint) -> MeasuredPoint:
    """Return a point with one more measurement in it.

    Args:
        known: The point.
        new: A point of one sample.
    """
    weight = min(known.measured_seconds, MAX_WEIGHT_SECONDS)
    speed, speed_deviation = _together(
        known.steps_per_second, known.steps_per_second_deviation, known.samples, weight, new.steps_per_second, new
    )
    watts, watts_deviation = _together(
        known.watts_per_gpu, known.watts_per_gpu_deviation, known.samples, weight, new.watts_per_gpu, new
    )
    times = [each for each in (known.measured_at, new.measured_at) if each is not None]
    return known.model_copy(
        update={
            "steps_per_second": speed,
            "steps_per_second_deviation": speed_deviation,
            "watts_per_gpu": watts,
            "watts_per_gpu_deviation": watts_deviation,
            "samples": known.samples + 1,
            "measured_seconds": known.measured_seconds + new.measured_seconds,
            "measured_at": max(times, default=None),
        }
    )


def _together(
    mean: float, deviation: float | None, samples: int, weight: float, value: float, new: MeasuredPoint
) -> tuple[float, float]:
    """Return mean and deviation of samples with one more."""
    added = new.measured_seconds
    total = weight + added
    after = mean + (value - mean) * added / total
    # As shares of the mean and of the time, whose squares no float is too small or too large for.
    spread, share = _relative(mean, deviation), added / total
    scatter = spread * spread * (samples - 1) / samples * (1 - share)
    scatter += share * (value / mean - 1) * (value - after) / mean
    return after, mean * math.sqrt(max(scatter * ((samples + 1) / samples), 0.0))


def _relative(mean: float, deviation: float | None) -> float:
    return min((deviation or 0.0) / mean, MOST_DEVIATION)


def contradicts(known: MeasuredPoint, new: MeasuredPoint) -> bool:
    """Return whether a measurement is nothing that the point, of the same operating point, lets one expect."""
    if known.samples < AGREED_SAMPLES:
        return False
    return _is_strange(known.steps_per_second, known.steps_per_second_deviation, new.steps_per_second) or _is_strange(
        known.watts_per_gpu, known.watts_per_gpu_deviation, new.watts_per_gpu
    )


def _is_strange(mean: float, deviation: float | None, value: float) -> bool:
    scatter = math.hypot(max(_relative(mean, deviation), ONE_ERROR), ONE_ERROR)
    return abs(value / mean - 1) > max(LARGE_DEVIATIONS * scatter, LARGE_SHARE)


def standard_error(mean: float, deviation: float | None, samples: int) -> float:
    """Return the relative standard error of a point's mean.

    The variance of a few samples is itself a guess: `ONE_ERROR` weighs in as `EXPECTED_SAMPLES` more of them would.
    """
    own = _relative(mean, deviation) ** 2
    variance = ((samples - 1) * own + EXPECTED_SAMPLES * ONE_ERROR**2) / (samples - 1 + EXPECTED_SAMPLES)
    return max(math.sqrt(variance / samples), LEAST_ERROR)


def speed_error(point: MeasuredPoint) -> float:
    """Return the relative standard error of a point's throughput."""
    return standard_error(point.steps_per_second, point.steps_per_second_deviation, point.samples)


def samples_of(points: Iterable[MeasuredPoint], gpu: GpuRange) -> tuple[Sample, ...]:
    """Return points as samples of a curve; those outside the range of limits from which to choose tell nothing of it.

    A point counts as up to `POOLED_SAMPLES` that say the same, each with so much more error that together they have the
    point's own: how many there are says when more of them would not help.

    Args:
        points: Of one gang size and clock.
        gpu: What the job runs on.
    """
    found: list[Sample] = []
    for point in points:
        limit = point.power_limit_watts
        if not (whole(gpu.min_limit_watts) <= whole(limit) <= whole(gpu.max_limit_watts) and is_believed(point)):
            continue
        count = min(point.samples, POOLED_SAMPLES)
        watts_error = standard_error(point.watts_per_gpu, point.watts_per_gpu_deviation, point.samples)
        sample = Sample(
            limit_watts=min(max(limit, gpu.min_limit_watts), gpu.max_limit_watts),
            work_per_second=point.steps_per_second,
            watts=point.watts_per_gpu,
            error=speed_error(point) * math.sqrt(count),
            watts_error=watts_error * math.sqrt(count),
        )
        found += [sample] * count
    return tuple(found)


def agree(mine: Iterable[Sample], others: Iterable[Sample]) -> bool:
    """Return whether what an admin shares can be taken together with what was measured here.

    It may be of other data, of another version, or of steps of another size. Only what was measured here at one of its
    limits can say that it is not; while nothing was, the admin is believed.
    """
    mine, others = tuple(mine), tuple(others)
    if not mine or not others:
        return True
    in_both = {whole(each.limit_watts) for each in mine} & {whole(each.limit_watts) for each in others}
    return bool(in_both) and not stale(others, mine)


def joules_per_step(point: MeasuredPoint) -> float:
    """Return what all GPUs of the gang use for a step."""
    return point.watts_per_gpu * point.gpus / point.steps_per_second


def comparable(points: Iterable[MeasuredPoint], gpus: int, max_clock_hertz: int | None) -> tuple[MeasuredPoint, ...]:
    """Return the points of gangs of one size whose clocks were not locked, which power limits alone tell apart.

    Args:
        points: Of a profile.
        gpus: Of the gang.
        max_clock_hertz: The boards' highest clock; None to take the highest that there is a point of.
    """
    of_size = [point for point in points if point.gpus == gpus]
    clock = max_clock_hertz or max((point.max_clock_hertz for point in of_size), default=0)
    return tuple(point for point in of_size if point.max_clock_hertz == clock)
