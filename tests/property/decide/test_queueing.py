"""Whatever waits: a cycle promises no more than is free, whole gangs only, and the oldest of equals first."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from ballast.decide.actions import WriteStatus
from ballast.decide.capacity import Capacity
from ballast.decide.cycle import decide
from ballast.decide.placement import place
from ballast.decide.queueing import admit
from ballast.decide.snapshot import Refusal
from tests.builders import JobBuilder, NodeBuilder, snapshot
from tests.property.decide.clusters import clusters, queues


@given(clusters(), queues())
def test_no_node_is_promised_beyond_what_is_free(cluster: list[NodeBuilder], waiting: list[JobBuilder]) -> None:
    seen = snapshot(cluster, waiting)
    gangs = {job.uid: job.gang for job in seen.review}
    promised: dict[str, Counter[str]] = defaultdict(Counter)
    for write in admit(seen, 100).writes:
        gang = gangs[write.job.metadata.uid]
        assert gang is not None
        assert len(write.status.placement) == gang.replicas
        for pod in write.status.placement:
            promised[pod.node].update(dict(gang.per_pod))
    for node in seen.nodes:
        for resource, amount in promised[node.name].items():
            assert amount == 0 or amount <= node.free.get(resource, 0)


@given(clusters(), queues(), st.integers(0, 9))
def test_the_oldest_of_equals_goes_first(cluster: list[NodeBuilder], waiting: list[JobBuilder], limit: int) -> None:
    seen = snapshot(cluster, waiting)
    admitted = {write.job.metadata.uid for write in admit(seen, limit).writes}
    assert len(admitted) <= limit
    for lane in seen.lanes:
        came = [job.uid in admitted for job in lane.jobs]
        assert came == sorted(came, reverse=True)


@given(clusters(), queues())
def test_who_is_left_waiting_would_not_fit(cluster: list[NodeBuilder], waiting: list[JobBuilder]) -> None:
    seen = snapshot(cluster, waiting)
    admissions = admit(seen, 100)
    gangs = {job.uid: job.gang for job in seen.review}
    capacity = Capacity(seen.nodes)
    for write in admissions.writes:
        gang = gangs[write.job.metadata.uid]
        assert gang is not None
        for pod in write.status.placement:
            capacity.reserve(next(node for node in seen.nodes if node.name == pod.node), gang.resources)
    admitted = {write.job.metadata.uid for write in admissions.writes}
    for lane in seen.lanes:
        if not all(job.uid in admitted for job in lane.jobs):
            assert lane.gang in admissions.refused
            assert isinstance(place(lane.gang, capacity), Refusal)
        else:
            assert lane.gang not in admissions.refused


@given(clusters(), queues(), st.integers(0, 12))
def test_a_decision_is_pure_and_bounded(cluster: list[NodeBuilder], waiting: list[JobBuilder], most: int) -> None:
    seen = replace(snapshot(cluster, waiting), max_actions=most)
    decision = decide(seen)
    assert len(decision.actions) <= most
    assert decide(snapshot(cluster, waiting, max_actions=most)) == decision


@given(clusters(), queues())
def test_everybody_is_admitted_or_told_why_not(cluster: list[NodeBuilder], waiting: list[JobBuilder]) -> None:
    decision = decide(snapshot(cluster, waiting))
    told = [action.job.metadata.name for action in decision.actions if isinstance(action, WriteStatus)]
    assert sorted(told) == sorted(job.name for job in waiting)
    assert len(told) == len(decision.actions)
