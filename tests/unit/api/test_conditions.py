"""Setting conditions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ballast.api.conditions import (
    MAX_MESSAGE_LENGTH,
    Condition,
    ConditionStatus,
    ConditionType,
    Reason,
    find_condition,
    is_true,
    set_condition,
)

_START = datetime(2026, 1, 1, tzinfo=UTC)
_LATER = _START + timedelta(minutes=5)


def _admitted(
    conditions: tuple[Condition, ...], status: bool | None, reason: Reason, now: datetime, message: str = ""
) -> tuple[Condition, ...]:
    return set_condition(conditions, ConditionType.ADMITTED, status, reason, message, generation=1, now=now)


def test_first_condition_starts_now() -> None:
    (condition,) = _admitted((), False, Reason.WAITING_FOR_CAPACITY, _START, "needs 8 GPUs, 4 are free")
    assert condition.status is ConditionStatus.FALSE
    assert condition.last_transition_time == _START
    assert condition.message == "needs 8 GPUs, 4 are free"


def test_transition_time_stays_while_only_the_reason_changes() -> None:
    before = _admitted((), False, Reason.WAITING_FOR_CAPACITY, _START)
    (after,) = _admitted(before, False, Reason.NO_ELIGIBLE_NODE, _LATER)
    assert (after.reason, after.last_transition_time) == (Reason.NO_ELIGIBLE_NODE, _START)


def test_transition_time_moves_with_the_status() -> None:
    before = _admitted((), False, Reason.WAITING_FOR_CAPACITY, _START)
    (after,) = _admitted(before, True, Reason.RESERVED, _LATER)
    assert after.last_transition_time == _LATER


def test_setting_the_same_again_changes_nothing() -> None:
    before = _admitted((), True, Reason.RESERVED, _START)
    assert _admitted(before, True, Reason.RESERVED, _LATER) == before


def test_others_and_their_order_stay() -> None:
    conditions = _admitted((), True, Reason.RESERVED, _START)
    conditions = set_condition(conditions, ConditionType.PLACED, True, Reason.PODS_BOUND, "", generation=1, now=_START)
    after = _admitted(conditions, False, Reason.FINISHED, _LATER)
    assert [condition.type for condition in after] == ["Admitted", "Placed"]
    assert after[1] == conditions[1]


def test_input_is_left_alone() -> None:
    before = _admitted((), False, Reason.WAITING_FOR_CAPACITY, _START)
    _admitted(before, True, Reason.RESERVED, _LATER)
    assert not before[0].is_true


def test_long_message_is_cut_to_what_the_api_takes() -> None:
    (condition,) = _admitted((), False, Reason.WAITING_FOR_CAPACITY, _START, "x" * 5000)
    assert len(condition.message) == MAX_MESSAGE_LENGTH
    assert condition.message.endswith("…")


def test_unknown_is_not_true() -> None:
    conditions = _admitted((), None, Reason.WAITING_FOR_CAPACITY, _START)
    assert not is_true(conditions, ConditionType.ADMITTED)
    assert not is_true(conditions, ConditionType.FAILED)
    assert find_condition(conditions, ConditionType.FAILED) is None
