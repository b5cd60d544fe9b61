"""Values of a training metric that JSON has no numbers for go through the last words as words."""

from __future__ import annotations

import json
import math

import pytest

from ballast.api.finalreading import Evaluation, FinalReading, Training, from_plain, parse, to_plain


def test_a_diverged_training_is_told() -> None:
    ring = (Evaluation(7, math.nan, 70, math.inf), Evaluation(8, -math.inf), Evaluation(9, 0.5, 90, 0.25))
    text = FinalReading(at=5.0, training=Training(step=90, evaluations=9, ring=ring)).encode()

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    json.loads(text, parse_constant=refuse)
    reading = parse(text)
    assert reading is not None
    assert reading.training is not None
    read = reading.training.ring
    assert math.isnan(read[0].value)
    assert (read[0].training_value, read[1].value, read[2]) == (math.inf, -math.inf, ring[2])


@pytest.mark.parametrize("value", [0.0, -1.5, 1e300, 5e-324, math.inf, -math.inf, math.nan])
def test_any_value_comes_back(value: float) -> None:
    assert repr(from_plain(json.loads(json.dumps(to_plain(value), allow_nan=False)))) == repr(value)


def test_none_stays_none() -> None:
    assert to_plain(None) is None


@pytest.mark.parametrize("value", ["nan", "inf", "", "0.5", None, True, [1], 10**400, math.nan, math.inf])
def test_what_is_no_value_is_refused(value: object) -> None:
    with pytest.raises((TypeError, ValueError, OverflowError)):
        from_plain(value)


def test_words_stand_for_no_other_numbers() -> None:
    text = '{"v": 1, "at": 5, "joules": {}, "training": {"step": "NaN"}}'
    assert parse(text) is None
