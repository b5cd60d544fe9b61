"""Marks of empty nodes and gangs: off before a promise, no pod let go before that, and woken last."""

from __future__ import annotations

from ballast.decide.actions import Action, MarkNode, Transition, Ungate, WriteStatus
from ballast.decide.cycle import decide
from ballast.decide.life.lifecycle import advance
from ballast.decide.policy import Policy
from tests.builders import NodeBuilder, context, job, node, pod, snapshot
from tests.unit.decide.placing import placed

POLICY = Policy(mark_empty_nodes=True)
IMPATIENT = -Policy().patience_seconds
GANG = job("gang").replicas(2).placed_on("a", "b")
GATED = GANG.with_job().with_pods(pod(0, of=GANG).gated(), pod(1, of=GANG).gated())


def a100s(name: str, count: int = 8) -> NodeBuilder:
    return node(name).with_gpus("A100", count)


def steps(*nodes: NodeBuilder, policy: Policy = POLICY) -> list[Action]:
    return advance(GATED.build(), context(nodes, policy=policy))


def test_the_mark_goes_before_the_promise() -> None:
    seen = snapshot([a100s("a").marked_empty(-600)], [job("train").with_gpus(1)], policy=POLICY)
    unmark, admission = decide(seen).actions
    assert isinstance(unmark, MarkNode)
    assert (unmark.node, unmark.empty) == ("a", False)
    assert isinstance(admission, WriteStatus)
    assert admission.transition is Transition.ADMIT


def test_a_node_that_is_held_for_the_head_of_the_queue_is_promised_too() -> None:
    big = job("big").with_gpus(8).replicas(2).waiting_since(IMPATIENT)
    decision = decide(snapshot([a100s("a").marked_empty(-600), a100s("b").using(gpus=1)], [big], policy=POLICY))
    assert decision.held == {"a", "b"}
    assert [(each.node, each.empty) for each in decision.actions if isinstance(each, MarkNode)] == [("a", False)]


def test_no_pod_is_let_go_while_a_node_of_its_gang_is_marked() -> None:
    assert steps(a100s("a"), a100s("b").marked_empty(-600)) == []


def test_then_the_whole_gang_is() -> None:
    assert [type(step) for step in steps(a100s("a"), a100s("b").marked_in_use())] == [Ungate, Ungate]


def test_where_nodes_are_not_marked_nobody_waits_for_that() -> None:
    assert [type(step) for step in steps(a100s("a"), a100s("b").marked_empty(-600), policy=Policy())] == [Ungate] * 2


def test_a_marked_node_is_woken_last() -> None:
    one = job("one").with_gpus(1)
    # It fits more tightly, and comes first by name.
    assert placed(one, a100s("a", 1).marked_empty(-600), a100s("b", 8)).nodes == ("b",)
    assert placed(one, a100s("a", 1).marked_empty(-600), a100s("b", 8), a100s("c", 8).using(gpus=1)).nodes == ("c",)
    assert placed(one, a100s("a", 1).marked_empty(-600)).nodes == ("a",)
