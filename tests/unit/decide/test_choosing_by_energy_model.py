"""The choice with the energy model itself: from one reading on a board, and then learning."""

from __future__ import annotations

import math

import pytest

from ballast.decide.energy_model import HierarchicalModel
from ballast.decide.model.candidate_limits import candidate_limits
from ballast.decide.model.prediction import GpuRange, Sample
from ballast.decide.points.choosing import Choice, Kind, choose
from ballast.decide.points.wishes import Wishes
from tests.curve_builders import A40, V100, fast

WISHES = Wishes(max_slowdown_percent=25.0, ran_seconds=600.0, left_seconds=50_000.0)


def choice(gpu: GpuRange, samples: list[Sample]) -> Choice:
    return choose(HierarchicalModel().curve(gpu, tuple(samples)), candidate_limits(gpu), samples, WISHES)


@pytest.mark.parametrize("gpu", [A40, V100, GpuRange("never seen", 150.0, 450.0, 40.0)])
def test_it_learns_a_limit_that_saves_and_is_allowed_even_of_an_unlikely_workload(gpu: GpuRange) -> None:
    truth = fast(gpu)
    samples: list[Sample] = []
    found = choice(gpu, samples)
    assert (found.limit_watts, found.kind) == (gpu.max_limit_watts, Kind.EXPLORE)
    lost = 0.0
    for _ in range(40):
        found = choice(gpu, samples)
        slowdown = truth.true_slowdown_percent(found.limit_watts)
        lost += 30 * max(1 - (100 + WISHES.max_slowdown_percent) / (100 + slowdown), 0.0)
        samples.append(truth.measured(found.limit_watts, error=0.003))
    assert (found.kind, found.measured) == (Kind.CHOSEN, True)
    # Such a workload is unlike those of the prior.
    limits = candidate_limits(gpu)
    allowed = [limit for limit in limits if truth.true_slowdown_percent(limit) <= WISHES.max_slowdown_percent]
    assert found.limit_watts == min(allowed, key=truth.true_log_joules)
    assert truth.true_log_joules(found.limit_watts) < math.log(0.75)
    assert lost <= WISHES.spare_seconds
