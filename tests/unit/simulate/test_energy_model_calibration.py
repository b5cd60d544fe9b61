"""Whether the energy model's stated uncertainty is what it is: on workloads that its prior was fitted without.

What is compared is measured once, to about a percent, and so is what slowdown is counted from: that is added to what
the model states. The bounds are those of a normal distribution, with room for how few and how alike the workloads are.
"""

from __future__ import annotations

import math

import pytest

from ballast.decide.energy_model import HierarchicalModel
from ballast.decide.model.prediction import Sample
from ballast.simulate.fitting.prior_fit import Configuration
from tests.unit.simulate.zeus import configurations, needs_zeus, prior_without

MEASURED_TWICE = math.hypot(0.01, 0.01)


def deviations(workload: str, read: tuple[int, ...]) -> list[float]:
    """Return how many stated deviations the truth is off at each limit of at least half of the found one."""
    model = HierarchicalModel(prior_without(workload))
    return [each for one in configurations() if one.workload == workload for each in _deviations(model, one, read)]


def _deviations(model: HierarchicalModel, one: Configuration, read: tuple[int, ...]) -> list[float]:
    samples = tuple(Sample(one.limits[index], 1 / one.seconds[index], one.watts[index]) for index in read)
    curve = model.curve(one.gpu, samples)
    found = []
    for limit, seconds in zip(one.limits[:-1], one.seconds, strict=False):
        if limit >= one.gpu.max_limit_watts / 2 and limit not in [one.limits[index] for index in read]:
            told = curve.at(limit)
            off = math.log(seconds / one.seconds[-1]) - told.log_slowdown
            found.append(off / math.hypot(told.log_slowdown_sd, MEASURED_TWICE))
    return found


def covered(read: tuple[int, ...], bound: float) -> float:
    """Return the share of all left-out measurements within so many deviations."""
    workloads = sorted({one.workload for one in configurations()})
    off = [abs(each) for workload in workloads for each in deviations(workload, read)]
    assert len(off) > 300
    return sum(each < bound for each in off) / len(off)


@needs_zeus
@pytest.mark.parametrize("read", [(-1,), (), (3,), (-1, -3)], ids=["found limit", "nothing", "lower", "two"])
def test_the_truth_lies_in_the_stated_interval_about_as_often_as_it_says(read: tuple[int, ...]) -> None:
    assert covered(read, 1.0) >= 0.6  # 68 % if normal
    assert covered(read, 1.645) >= 0.8  # 90 % if normal


@needs_zeus
def test_after_one_reading_the_interval_is_not_wider_than_it_need_be() -> None:
    # Errors have heavier tails than a normal distribution: deviations that fit its tails are wide in the middle.
    assert covered((-1,), 1.0) <= 0.93
    assert covered((-1,), 0.25) <= 0.6  # 20 % if normal
