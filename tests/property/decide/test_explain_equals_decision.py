"""What is explained is what was decided (G8): on any cluster, for any queue."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from ballast.api.decision import Decision, DecisionKind
from ballast.decide.actions import Transition, WriteStatus
from ballast.decide.capacity import Capacity
from ballast.decide.cycle import decide
from ballast.decide.explaining import explain
from ballast.decide.model.candidate_limits import candidate_limits
from ballast.decide.options import Weighed
from ballast.decide.placement import place
from ballast.decide.points.choosing import choose
from ballast.decide.points.wishes import Wishes
from ballast.decide.queueing import admit
from tests.builders import JobBuilder, NodeBuilder, at, snapshot
from tests.curve_builders import fast
from tests.property.decide.clusters import clusters, jobs, queues


def told(cluster: list[NodeBuilder], waiting: list[JobBuilder]) -> list[WriteStatus]:
    actions = decide(snapshot(cluster, waiting)).actions
    return [action for action in actions if isinstance(action, WriteStatus)]


def assert_same_numbers(decision: Decision, weighed: Weighed) -> None:
    """Assert that what is told is what was weighed, but for rounding to three digits."""
    assert len(decision.options) == len(weighed.options)
    for said, option in zip(decision.options, weighed.options, strict=True):
        assert (said.gpu_model or "", said.nodes, said.against) == (option.gpu_model, option.nodes, option.against)
        for number, exact in ((said.joules, option.joules), (said.seconds, option.seconds)):
            assert (number is None) == (exact is None)
            assert number is None or exact is None or abs(number - exact) <= 0.005 * exact


@given(clusters(), queues())
def test_the_option_without_against_is_the_placement_that_was_made(
    cluster: list[NodeBuilder], waiting: list[JobBuilder]
) -> None:
    for write in told(cluster, waiting):
        if write.transition is not Transition.ADMIT or not write.job.gpus:
            continue
        decision = write.status.decision
        assert decision is not None
        assert (decision.kind, decision.at) == (DecisionKind.PLACED, at(0))
        taken = [option for option in decision.options if not option.against]
        assert taken == [decision.options[0]]
        assert {pod.gpu_model for pod in write.status.placement} == {taken[0].gpu_model}
        assert len({pod.node for pod in write.status.placement}) == taken[0].nodes


@given(clusters(), queues())
def test_against_every_option_of_a_waiting_job_something_speaks(
    cluster: list[NodeBuilder], waiting: list[JobBuilder]
) -> None:
    for write in told(cluster, waiting):
        decision = write.status.decision
        if write.transition is Transition.QUEUE and decision is not None:
            assert decision.kind is DecisionKind.WAITING
            assert all(option.against for option in decision.options)


@given(clusters(), queues())
def test_what_is_told_to_who_waits_is_what_was_weighed(cluster: list[NodeBuilder], waiting: list[JobBuilder]) -> None:
    seen = snapshot(cluster, waiting)
    admissions = admit(seen, 100)
    gangs = {job.uid: job.gang for job in seen.review}
    for write in explain(seen, admissions):
        gang = gangs[write.job.metadata.uid]
        assert gang is not None
        weighed, decision = admissions.refused[gang].weighed, write.status.decision
        assert (weighed is None) == (decision is None)
        if weighed is not None and decision is not None:
            assert_same_numbers(decision, weighed)


@given(clusters(), jobs("gang"))
def test_what_is_told_to_who_was_placed_is_what_was_weighed(cluster: list[NodeBuilder], asking: JobBuilder) -> None:
    outcome = place(asking.gang(), Capacity(builder.build() for builder in cluster))
    [write] = told(cluster, [asking])
    decision = write.status.decision
    assert (outcome.weighed is None) == (decision is None)
    if outcome.weighed is not None and decision is not None:
        assert_same_numbers(decision, outcome.weighed)


@given(clusters(), queues())
def test_who_was_told_is_not_told_again(cluster: list[NodeBuilder], waiting: list[JobBuilder]) -> None:
    seen = snapshot(cluster, waiting)
    after = {write.job.metadata.name: write.status for write in explain(seen, admit(seen, 100))}
    again = [builder.with_status(**dict(after[builder.name])) for builder in waiting if builder.name in after]
    others = [builder for builder in waiting if builder.name not in after]
    resumed = snapshot(cluster, [*again, *others])
    assert not [
        write.job.metadata.name for write in explain(resumed, admit(resumed, 100)) if write.job.metadata.name in after
    ]


@given(
    st.sets(st.sampled_from(candidate_limits(fast().gpu)), max_size=9),
    st.floats(0, 0.3),
    st.floats(-5, 60),
    st.floats(0.0005, 0.03),
)
def test_of_limits_only_the_chosen_has_nothing_against_it(
    measured: AbstractSet[float], doubt: float, most_percent: float, error: float
) -> None:
    curve = replace(fast(), doubt=doubt)
    samples = [curve.measured(limit, error=error) for limit in sorted(measured)]
    wishes = Wishes(max_slowdown_percent=most_percent, ran_seconds=600.0, left_seconds=20_000.0)
    choice = choose(curve.after(samples), candidate_limits(curve.gpu), samples, wishes)
    options = choice.told(wishes)
    assert [option.power_limit_watts for option in options if not option.against] == [choice.limit_watts]
    [taken] = [option for option in options if not option.against]
    assert abs(taken.slowdown_percent - choice.prediction.slowdown_percent) <= 0.051
    assert taken.measured == choice.measured
