"""Over any history, `lastTransitionTime` is when the status last changed, and there is one condition of a type."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from ballast.api.conditions import Condition, ConditionType, Reason, find_condition, set_condition

steps = st.lists(
    st.tuples(
        st.sampled_from(list(ConditionType)), st.sampled_from([True, False, None]), st.sampled_from(list(Reason))
    ),
    max_size=30,
)


@given(steps)
def test_transition_time_is_when_the_status_last_changed(
    history: list[tuple[ConditionType, bool | None, Reason]],
) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    conditions: tuple[Condition, ...] = ()
    last_status: dict[ConditionType, bool | None] = {}
    changed_at: dict[ConditionType, datetime] = {}
    for minutes, (type_, status, reason) in enumerate(history):
        now = start + timedelta(minutes=minutes)
        conditions = set_condition(conditions, type_, status, reason, "", generation=1, now=now)
        if type_ not in last_status or last_status[type_] is not status:
            changed_at[type_] = now
        last_status[type_] = status
    assert [condition.type for condition in conditions] == list(last_status)
    for type_, time in changed_at.items():
        condition = find_condition(conditions, type_)
        assert condition is not None
        assert condition.last_transition_time == time
        assert condition.is_true is (last_status[type_] is True)
