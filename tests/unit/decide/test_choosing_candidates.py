"""Which limits are considered on a board: few, whole, the same for all jobs, and always the found one."""

from __future__ import annotations

import pytest

from ballast.decide.model.candidate_limits import candidate_limits
from ballast.decide.model.prediction import GpuRange
from tests.curve_builders import A40, V100


def board(least: float, found: float) -> GpuRange:
    return GpuRange("board", least, found, 10.0)


@pytest.mark.parametrize("gpu", [V100, A40])
def test_on_common_boards_they_are_multiples_of_25_watts(gpu: GpuRange) -> None:
    assert candidate_limits(gpu) == tuple(float(watts) for watts in range(100, int(gpu.max_limit_watts) + 1, 25))


def test_a_found_limit_that_is_no_multiple_is_the_last() -> None:
    assert candidate_limits(board(100, 238.5))[-2:] == (225.0, 238.5)


@pytest.mark.parametrize("found", [249.9, 250.0, 250.4])
def test_a_found_limit_that_differs_by_less_than_a_watt_is_no_second_one(found: float) -> None:
    assert candidate_limits(board(100, found))[-2:] == (225.0, found)


def test_a_least_limit_that_is_no_multiple_is_not_undercut() -> None:
    assert candidate_limits(board(110, 300))[0] == 125.0


def test_a_board_of_narrow_range_gets_shares_of_its_limit() -> None:
    assert candidate_limits(board(60, 100)) == (60.0, 65.0, 70.0, 75.0, 80.0, 85.0, 90.0, 95.0, 100.0)


@pytest.mark.parametrize(("least", "found"), [(5, 8), (60, 70), (75, 75), (0.2, 0.9)])
def test_even_the_smallest_board_has_its_found_limit(least: float, found: float) -> None:
    limits = candidate_limits(board(least, found))
    assert limits[-1] == found
    assert all(least <= limit for limit in limits)
    assert list(limits) == sorted(set(limits))
