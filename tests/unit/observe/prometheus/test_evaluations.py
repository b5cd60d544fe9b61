"""Evaluations: which are new, which are missed, and what a count means that is less than before."""

from __future__ import annotations

import math

import pytest

from ballast.api.exporter import RING
from ballast.api.finalreading import Evaluation
from ballast.observe.prometheus.evaluations import KEEP_SECONDS, LOOKBACK_SECONDS, Decoded, EvaluationDecoder, Slot

NOW = 1000.0


def ring(count: int, offset: float = 0.0) -> dict[int, Slot]:
    """Evaluation n has the value n + offset."""
    return {n % RING: Slot(n + offset, n * 10) for n in range(max(count - RING, 0) + 1, count + 1)}


def take(
    decoder: EvaluationDecoder, count: int, *, offset: float = 0.0, after: float = 0.0, attempt: int = 1
) -> Decoded:
    return decoder.take("job", attempt, "pod", count, ring(count, offset), NOW + after)


def numbers(decoded: Decoded) -> list[int]:
    return [each.number for each in decoded.new]


def test_the_first_ones_are_new() -> None:
    decoded = take(EvaluationDecoder(), 3)
    assert decoded.new == (Evaluation(1, 1.0, 10), Evaluation(2, 2.0, 20), Evaluation(3, 3.0, 30))
    assert (decoded.evaluations, decoded.missed, decoded.newest) == (3, 0, 3.0)


def test_each_is_told_once() -> None:
    decoder = EvaluationDecoder()
    take(decoder, 3)
    assert numbers(take(decoder, 3)) == []
    assert numbers(take(decoder, 5)) == [4, 5]


def test_what_the_ring_has_lost_is_missed() -> None:
    decoder = EvaluationDecoder()
    take(decoder, 3)
    decoded = take(decoder, 3 + RING + 4)
    assert numbers(decoded) == list(range(8, 8 + RING))
    assert decoded.missed == 4
    assert take(decoder, 8 + RING).missed == 4


def test_what_was_before_the_first_sight_is_missed() -> None:
    decoded = take(EvaluationDecoder(), 500)
    assert (len(decoded.new), decoded.missed) == (RING, 500 - RING)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_of_a_training_that_diverges_is_known(value: float) -> None:
    decoded = EvaluationDecoder().take("job", 1, "pod", 2, {1: Slot(0.5), 2: Slot(value, 20, value)}, NOW)
    assert (numbers(decoded), decoded.missed) == ([1, 2], 0)
    told = decoded.new[-1]
    for each in (told.value, told.training_value, decoded.newest):
        assert each == pytest.approx(value, nan_ok=True)
    assert told.step == 20


def test_an_older_sight_of_nan_is_nothing_new() -> None:
    """Each answer of a server is parsed anew: no NaN in it is the same object as before."""
    decoder = EvaluationDecoder()
    decoder.take("job", 1, "pod", 2, {1: Slot(float("nan")), 2: Slot(0.5)}, NOW)
    older = decoder.take("job", 1, "pod", 1, {1: Slot(float("nan"))}, NOW)
    assert (older.new, older.evaluations) == ((), 2)


@pytest.mark.parametrize(("before", "after"), [(math.nan, 0.5), (0.5, math.nan), (math.inf, -math.inf)])
def test_a_lost_count_is_known_by_a_value_that_is_none(before: float, after: float) -> None:
    decoder = EvaluationDecoder()
    decoder.take("job", 1, "pod", 2, {1: Slot(before), 2: Slot(0.5)}, NOW)
    assert numbers(decoder.take("job", 1, "pod", 1, {1: Slot(after)}, NOW)) == [3]


def test_a_slot_that_is_not_there_is_missed() -> None:
    decoded = EvaluationDecoder().take("job", 1, "pod", 2, {2: Slot(0.5)}, NOW)
    assert (numbers(decoded), decoded.missed) == ([2], 1)


def test_what_came_since_the_slots_were_chosen_is_left_for_the_next_time() -> None:
    decoder = EvaluationDecoder()
    decoded = decoder.take("job", 1, "pod", 4, {2: Slot(2.0), 3: Slot(3.0), 1: Slot(1.0)}, NOW, asked=3)
    assert (numbers(decoded), decoded.evaluations, decoded.missed) == ([1, 2, 3], 3, 0)
    assert numbers(take(decoder, 4)) == [4]


def test_what_was_overwritten_since_the_slots_were_chosen_is_missed() -> None:
    decoded = EvaluationDecoder().take("job", 1, "pod", RING + 2, ring(RING + 2), NOW, asked=3)
    assert (numbers(decoded), decoded.missed) == ([3], 2)


def test_an_older_sight_of_the_same_is_nothing_new() -> None:
    decoder = EvaluationDecoder()
    take(decoder, 5)
    assert [numbers(take(decoder, 4)), numbers(take(decoder, 4)), numbers(take(decoder, 4))] == [[], [], []]
    assert numbers(take(decoder, 6)) == [6]


def test_an_exporter_that_has_lost_its_count_is_known_by_its_values() -> None:
    decoder = EvaluationDecoder()
    take(decoder, 4)
    decoded = take(decoder, 2, offset=0.5)
    assert decoded.new == (Evaluation(5, 1.5, 10), Evaluation(6, 2.5, 20))
    assert (decoded.evaluations, decoded.missed) == (6, 0)
    assert numbers(take(decoder, 3, offset=0.5)) == [7]


def test_one_whose_values_cannot_be_compared_is_believed_once_it_can_be_no_old_sight() -> None:
    decoder = EvaluationDecoder()
    take(decoder, 50)
    assert numbers(take(decoder, 2)) == []
    assert numbers(take(decoder, 3, after=LOOKBACK_SECONDS)) == []
    assert numbers(take(decoder, 3, after=LOOKBACK_SECONDS + 1)) == [51, 52, 53]


def test_a_doubt_does_not_outlive_a_right_count() -> None:
    decoder = EvaluationDecoder()
    take(decoder, 50)
    take(decoder, 2)
    take(decoder, 51)
    assert numbers(take(decoder, 3, after=LOOKBACK_SECONDS + 1)) == []


def test_the_next_attempt_begins_anew_and_the_last_is_forgotten() -> None:
    decoder = EvaluationDecoder()
    take(decoder, 5)
    assert numbers(take(decoder, 2, attempt=2)) == [1, 2]
    assert take(decoder, 9, attempt=1) == Decoded()
    assert len(decoder) == 1


def test_a_count_that_cannot_be_is_none() -> None:
    decoder = EvaluationDecoder()
    take(decoder, 5)
    assert take(decoder, 10**15).evaluations == 5
    assert decoder.wanted("job", 1, 10**15) == frozenset()


def test_which_slots_are_wanted() -> None:
    decoder = EvaluationDecoder()
    assert decoder.wanted("job", 1, 0) == frozenset()
    assert decoder.wanted("job", 1, 2) == {1, 2}
    take(decoder, 7)
    assert decoder.wanted("job", 1, 7) == frozenset()
    assert decoder.wanted("job", 1, 9) == {8 % RING, 9 % RING}
    assert decoder.wanted("job", 1, 100) == set(range(RING))
    assert decoder.wanted("job", 1, 6) == set(range(RING)), "to be compared"
    assert decoder.wanted("job", 2, 1) == {1}


def test_jobs_that_nothing_is_heard_of_are_forgotten() -> None:
    decoder = EvaluationDecoder()
    take(decoder, 5)
    decoder.known("job", 1, NOW + KEEP_SECONDS)
    decoder.forget_silent(NOW + KEEP_SECONDS + 1)
    assert len(decoder) == 1
    decoder.forget_silent(NOW + 2 * KEEP_SECONDS + 1)
    assert len(decoder) == 0
