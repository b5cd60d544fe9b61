"""The ring keeps the newest evaluations, and what it saves it can read."""

from __future__ import annotations

import math

import pytest

from ballast.api.exporter import RING
from ballast.exporter.ring import Ring


def test_the_oldest_goes() -> None:
    ring = Ring()
    for number in range(1, RING + 3):
        ring.add(float(number), number * 10, None)
    assert ring.count == RING + 2
    assert [each.number for each in ring.newest] == list(range(3, RING + 3))
    assert [each.value for each in ring.newest] == [float(number) for number in range(3, RING + 3)]


def test_what_is_missed_pushes_out_what_was_there() -> None:
    ring = Ring()
    ring.add(1.0, None, None)
    ring.miss(RING - 1)
    assert [each.number for each in ring.newest] == [1]
    ring.miss(1)
    assert (ring.count, ring.newest) == (RING + 1, ())


def test_numbers_that_json_does_not_have_are_saved() -> None:
    ring = Ring()
    ring.add(math.nan, None, math.inf)
    saved = ring.to_json()
    assert saved == {"count": 1, "newest": [[1, "NaN", None, "Infinity"]]}
    assert math.isnan(Ring.from_json(saved).newest[0].value)
    assert Ring.from_json(saved).newest[0].training_value == math.inf


@pytest.mark.parametrize(
    "newest",
    [
        [[0, 1.0, None, None]],
        [[11, 1.0, None, None]],
        [[2, 1.0, None, None]],
        [[5, 1.0, None, None], [5, 1.0, None, None]],
        [[6, 1.0, None, None], [5, 1.0, None, None]],
        [[5, "low", None, None]],
        [[5, 1.0]],
    ],
)
def test_numbers_that_cannot_be_are_refused(newest: list[list[object]]) -> None:
    with pytest.raises((ValueError, TypeError)):
        Ring.from_json({"count": 10, "newest": newest})
