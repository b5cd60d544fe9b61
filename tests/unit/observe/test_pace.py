"""The queue's pace: GPUs given out per second over the last hour, told only where there is enough to go by."""

from __future__ import annotations

import pytest

from ballast.observe.pace import LEAST_ADMISSIONS, LEAST_SECONDS, SLOT_SECONDS, WINDOW_SECONDS, Pace
from tests.builders import NOW


def pace(*admissions: tuple[float, int]) -> Pace:
    made = Pace()
    for after, gpus in admissions:
        made.count(gpus, NOW + after)
    return made


def test_gpus_per_second_since_the_first_that_counts() -> None:
    assert pace(*[(20.0 * n, 4) for n in range(5)]).gpus_per_second(NOW + 100) == pytest.approx(0.2)


def test_too_few_admissions_are_no_pace() -> None:
    assert pace(*[(0.0, 8)] * (LEAST_ADMISSIONS - 1)).gpus_per_second(NOW + 600) is None
    assert pace().gpus_per_second(NOW) is None


def test_nor_is_a_moment() -> None:
    made = pace(*[(0.0, 1)] * LEAST_ADMISSIONS)
    assert made.gpus_per_second(NOW + LEAST_SECONDS - 1) is None
    assert made.gpus_per_second(NOW + LEAST_SECONDS) is not None


def test_what_is_long_ago_counts_no_more() -> None:
    made = pace(*[(0.0, 1000)] * LEAST_ADMISSIONS, *[(600.0, 1)] * LEAST_ADMISSIONS)
    assert made.gpus_per_second(NOW + WINDOW_SECONDS + 300) == pytest.approx(5 / (WINDOW_SECONDS - 300))
    assert made.gpus_per_second(NOW + 3 * WINDOW_SECONDS) is None


def test_a_flood_of_admissions_is_kept_in_few_slots() -> None:
    made = pace(*[(number / 100, 1) for number in range(2000)])
    assert len(made._slots) <= 2000 / 100 / SLOT_SECONDS + 1
