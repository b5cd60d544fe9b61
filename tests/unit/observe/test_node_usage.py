"""What is free of a node: allocatable less every claim; and when something may have become free."""

from __future__ import annotations

from ballast.observe.node_usage import NodeUsage
from tests.builders import node


def usage(*names: str) -> NodeUsage:
    nodes = NodeUsage()
    for name in names:
        nodes.put_node(node(name).with_gpus("A100", 8).manifest())
    return nodes


def free_gpus(nodes: NodeUsage) -> dict[str, int]:
    return {seen.name: seen.free["nvidia.com/gpu"] for seen in nodes.nodes()}


def gpus(count: int) -> dict[str, int]:
    return {"nvidia.com/gpu": count}


def test_a_node_is_what_decide_reads() -> None:
    built = node("a").with_gpus("A100", 8).labelled(zone="west").tainted("team").cordoned()
    nodes = NodeUsage()
    nodes.put_node(built.manifest())
    assert nodes.nodes() == (built.build(),)


def test_nodes_are_sorted_by_name() -> None:
    assert [seen.name for seen in usage("b", "c", "a").nodes()] == ["a", "b", "c"]


def test_claims_add_up() -> None:
    nodes = usage("a", "b")
    nodes.claim("one", {"a": gpus(2), "b": gpus(1)})
    nodes.claim("two", {"a": gpus(3)})
    assert free_gpus(nodes) == {"a": 3, "b": 7}


def test_a_claim_replaces_the_owners_last_one() -> None:
    nodes = usage("a", "b")
    nodes.claim("one", {"a": gpus(2)})
    nodes.nodes()
    nodes.claim("one", {"b": gpus(4)})
    assert free_gpus(nodes) == {"a": 8, "b": 4}


def test_the_last_claim_that_goes_leaves_nothing_behind() -> None:
    nodes = usage("a")
    nodes.claim("one", {"a": gpus(2)})
    nodes.claim("one", {})
    assert nodes.nodes()[0].free == nodes.nodes()[0].allocatable


def test_a_claim_may_come_before_its_node() -> None:
    nodes = usage()
    nodes.claim("one", {"a": gpus(2)})
    assert nodes.nodes() == ()
    nodes.put_node(node("a").with_gpus("A100", 8).manifest())
    assert free_gpus(nodes) == {"a": 6}


def test_a_node_that_comes_back_is_as_full_as_before() -> None:
    nodes = usage("a")
    nodes.claim("one", {"a": gpus(2)})
    nodes.remove_node("a")
    assert nodes.nodes() == ()
    nodes.put_node(node("a").with_gpus("A100", 4).manifest())
    assert free_gpus(nodes) == {"a": 2}


def test_a_node_that_shrinks_is_overcommitted() -> None:
    nodes = usage("a")
    nodes.claim("one", {"a": gpus(6)})
    nodes.put_node(node("a").with_gpus("A100", 4).manifest())
    assert free_gpus(nodes) == {"a": -2}


def test_a_snapshot_of_the_nodes_does_not_change_afterwards() -> None:
    nodes = usage("a")
    before = nodes.nodes()
    nodes.claim("one", {"a": gpus(2)})
    assert before[0].free["nvidia.com/gpu"] == 8


def test_gains_count_what_may_have_become_free() -> None:
    nodes = usage("a")
    nodes.claim("one", {"a": gpus(2)})
    before = nodes.gains
    nodes.claim("one", {"a": gpus(1)})
    assert nodes.gains == before + 1
    nodes.claim("one", {})
    assert nodes.gains == before + 2


def test_taking_more_is_no_gain() -> None:
    nodes = usage("a", "b")
    nodes.claim("one", {"a": gpus(2)})
    before = nodes.gains
    nodes.claim("one", {"a": gpus(2)})
    nodes.claim("one", {"a": gpus(3), "b": gpus(1)})
    nodes.claim("two", {"a": gpus(1)})
    assert nodes.gains == before


def test_moving_a_claim_is_a_gain() -> None:
    nodes = usage("a", "b")
    nodes.claim("one", {"a": gpus(2)})
    before = nodes.gains
    nodes.claim("one", {"b": gpus(9)})
    assert nodes.gains > before


def test_a_changed_node_is_a_gain_and_a_heartbeat_is_not() -> None:
    nodes = usage("a")
    before = nodes.gains
    nodes.put_node(node("a").with_gpus("A100", 8).at_version(2).manifest())
    assert nodes.gains == before
    nodes.put_node(node("a").with_gpus("A100", 8).cordoned().manifest())
    assert nodes.gains == before + 1


def test_a_node_that_goes_may_change_why_a_gang_waits() -> None:
    nodes = usage("a")
    before = nodes.gains
    nodes.remove_node("a")
    assert nodes.gains == before + 1
