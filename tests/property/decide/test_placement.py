"""A placement covers the gang, stays within what is free, on eligible nodes of one GPU model; or there is none."""

from __future__ import annotations

from collections import Counter

from hypothesis import given

from ballast.api.conditions import Reason
from ballast.decide.capacity import Capacity
from ballast.decide.eligibility import ineligible_because
from ballast.decide.gang_request import GangRequest
from ballast.decide.node import Node
from ballast.decide.outlook import Outlook
from ballast.decide.placement import Placement, place
from ballast.decide.resources import copies_that_fit
from tests.builders import JobBuilder, NodeBuilder
from tests.property.decide.clusters import clusters, jobs


def room_by_model(gang: GangRequest, nodes: list[Node], *, when_empty: bool) -> Counter[str]:
    """Return how many pods of the gang the eligible nodes of each GPU model hold; by rules of its own."""
    room: Counter[str] = Counter()
    for node in nodes:
        if ineligible_because(gang, node) is None:
            model = node.gpu_model.name if node.gpu_model is not None and gang.gpus_per_pod else "cpu"
            room[model] += copies_that_fit(gang.resources, node.allocatable if when_empty else node.free)
    return room


@given(clusters(), jobs("gang"))
def test_a_placement_is_whole_eligible_and_fits(cluster: list[NodeBuilder], asking: JobBuilder) -> None:
    gang, nodes = asking.gang(), {builder.name: builder.build() for builder in cluster}
    outcome = place(gang, Capacity(nodes.values()))
    if not isinstance(outcome, Placement):
        return
    assert len(outcome.nodes) == gang.replicas
    for name, pods in Counter(outcome.nodes).items():
        assert ineligible_because(gang, nodes[name]) is None
        for resource, amount in gang.per_pod:
            assert amount * pods <= nodes[name].free.get(resource, 0)
    if gang.gpus_per_pod:
        assert {nodes[name].gpu_model for name in outcome.nodes} == {outcome.gpu_model}


@given(clusters(), jobs("gang"))
def test_nothing_is_refused_that_would_fit(cluster: list[NodeBuilder], asking: JobBuilder) -> None:
    gang, nodes = asking.gang(), [builder.build() for builder in cluster]
    outcome = place(gang, Capacity(nodes))
    if isinstance(outcome, Placement):
        return
    free, empty = room_by_model(gang, nodes, when_empty=False), room_by_model(gang, nodes, when_empty=True)
    usable = {model for model, pods in empty.items() if pods >= gang.replicas}
    if gang.gpus_per_pod and usable:
        models = {node.gpu_model for node in nodes if node.gpu_model is not None and node.gpu_model.name in usable}
        seen = Outlook().prospects(gang, dict.fromkeys(sorted(models, key=lambda model: model.name)))
        usable = {each.gpu_model.name for each in seen if not each.is_too_slow(gang.max_slowdown_percent)}
    assert all(free[model] < gang.replicas for model in usable)
    expected = Reason.WAITING_FOR_CAPACITY if usable else Reason.CLUSTER_TOO_SMALL if empty else Reason.NO_ELIGIBLE_NODE
    assert outcome.reason is expected
    assert outcome.message


@given(clusters(empty=True), jobs("gang"))
def test_an_empty_cluster_never_makes_anybody_wait(cluster: list[NodeBuilder], asking: JobBuilder) -> None:
    outcome = place(asking.gang(), Capacity(builder.build() for builder in cluster))
    assert isinstance(outcome, Placement) or outcome.reason is not Reason.WAITING_FOR_CAPACITY


@given(clusters(), jobs("gang"))
def test_the_order_in_which_nodes_are_known_does_not_matter(cluster: list[NodeBuilder], asking: JobBuilder) -> None:
    nodes = [builder.build() for builder in cluster]
    assert place(asking.gang(), Capacity(nodes)) == place(asking.gang(), Capacity(reversed(nodes)))
