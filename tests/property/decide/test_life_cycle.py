"""The life of any job: time wakes whoever it moves, statuses are valid, and nothing is decided from nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ballast.api.conditions import ConditionType, is_true
from ballast.api.jobstatus import Phase
from ballast.decide.actions import CreateObjects, Ungate, WriteStatus
from ballast.decide.life.lifecycle import advance, next_due, wants_place
from ballast.decide.policy import Policy
from tests.builders import NOW, JobBuilder, NodeBuilder, context
from tests.property.decide.life import cluster, jobs_anywhere

LATER = st.one_of(st.integers(0, 1000).map(float), st.floats(0, 1000))


@given(jobs_anywhere(), cluster(), LATER)
def test_what_time_alone_would_change_has_a_due_time(job: JobBuilder, nodes: list[NodeBuilder], later: float) -> None:
    built = job.build()
    now, then = context(nodes), context(nodes, now=NOW + later)
    if advance(built, now) or wants_place(built, NOW):
        return
    if advance(built, then) or wants_place(built, NOW + later):
        due = next_due(built, NOW, Policy())
        assert due is not None
        assert NOW < due <= NOW + later


@given(jobs_anywhere(), cluster())
def test_due_times_lie_in_the_future_and_come_to_an_end(job: JobBuilder, nodes: list[NodeBuilder]) -> None:
    built, time = job.build(), NOW
    for _ in range(10):
        due = next_due(built, time, Policy())
        if due is None:
            return
        assert due > time
        time = due
    raise AssertionError("it is due for ever")


@given(jobs_anywhere(), cluster(), LATER)
def test_every_status_is_one_that_the_api_takes_and_whole(
    job: JobBuilder, nodes: list[NodeBuilder], later: float
) -> None:
    built = job.build()
    for action in advance(built, context(nodes, now=NOW + later)):
        if not isinstance(action, WriteStatus):
            continue
        status = action.status
        written = status.to_manifest()  # to the second
        assert type(status).model_validate(written, by_alias=True).to_manifest() == written
        holds = status.phase in {Phase.PLACING, Phase.RUNNING, Phase.SUSPENDING}
        assert is_true(status.conditions, ConditionType.ADMITTED) == holds
        assert status.placement or not holds
        assert status.phase is not Phase.SUSPENDING or status.attempts[-1].outcome is not None
        assert status.phase.is_final == (status.finished_at is not None)
        assert action.note is None or action.note.message


@given(jobs_anywhere(), cluster(), LATER)
def test_a_job_takes_one_step_at_a_time(job: JobBuilder, nodes: list[NodeBuilder], later: float) -> None:
    actions = advance(job.build(), context(nodes, now=NOW + later))
    kinds = {type(action) for action in actions}
    assert sum(isinstance(action, (WriteStatus, CreateObjects)) for action in actions) <= 1
    assert not (Ungate in kinds and WriteStatus in kinds)


@given(jobs_anywhere(), cluster(), LATER)
def test_the_same_job_takes_the_same_step(job: JobBuilder, nodes: list[NodeBuilder], later: float) -> None:
    seen = context(nodes, now=NOW + later)
    assert advance(job.build(), seen) == advance(job.build(), seen)
