"""Only nodes about which something changed are looked at, one write at a time, and failures rest."""

from __future__ import annotations

from ballast.api.nodepower import NodePowerSpec, PodOperatingPoint
from ballast.decide.actions import WriteNodePower
from ballast.decide.gpu_asks import NodeView
from ballast.observe.node_powers import NodePowers
from ballast.observe.timers import FIRST_RETRY_SECONDS
from tests.builders import node
from tests.power_builders import ask, gpu, manifest, point

WRITE = WriteNodePower("a", "uid-of-a", NodePowerSpec())


def known(*names: str) -> NodePowers:
    powers = NodePowers()
    for name in names:
        powers.put_node(node(name).manifest())
    return powers


def looked_at(powers: NodePowers, now: float = 0) -> list[str]:
    return [view.name for view in powers.views(now)]


def only(powers: NodePowers) -> NodeView:
    [view] = powers.views(0)
    return view


def test_a_new_node_is_looked_at_once() -> None:
    powers = known("a", "b")
    assert looked_at(powers) == ["a", "b"]
    assert looked_at(powers) == []


def test_a_heartbeat_is_no_change() -> None:
    powers = known("a")
    looked_at(powers)
    powers.put_node(node("a").at_version(2).manifest())
    assert looked_at(powers) == []


def test_a_wish_marks_its_nodes_only() -> None:
    powers = known("a", "b", "c")
    looked_at(powers)
    powers.ask("job", (ask("uid-0", "a"), ask("uid-1", "b")))
    assert looked_at(powers) == ["a", "b"]
    powers.ask("job", (ask("uid-0", "a"),))
    assert "b" in looked_at(powers)


def test_a_wish_is_seen_with_its_node_and_gone_with_its_job() -> None:
    powers = known("a")
    powers.ask("job", (ask("uid-0", "a"),))
    assert only(powers).asks == (ask("uid-0", "a"),)
    powers.ask("job", ())
    assert only(powers).asks == ()


def test_a_wish_may_come_before_its_node() -> None:
    powers = known()
    powers.ask("job", (ask("uid-0", "a"),))
    assert looked_at(powers) == []
    powers.put_node(node("a").manifest())
    assert only(powers).asks == (ask("uid-0", "a"),)


def test_nothing_is_decided_while_a_write_is_under_way() -> None:
    powers = known("a")
    looked_at(powers)
    powers.assume(WRITE)
    powers.put(manifest("a", gpu()))
    assert looked_at(powers) == []
    powers.settle(WRITE)
    assert looked_at(powers) == ["a"]


def test_a_write_that_failed_is_tried_again_after_a_pause_that_grows() -> None:
    powers = known("a")
    looked_at(powers)
    due = []
    now = 0.0
    for _ in range(3):
        powers.assume(WRITE)
        powers.reject(WRITE, now)
        assert looked_at(powers, now) == []
        at = powers.next_due()
        assert at is not None
        due.append(at - now)
        now = at
        assert looked_at(powers, now) == ["a"]
    assert due == [FIRST_RETRY_SECONDS, 2 * FIRST_RETRY_SECONDS, 4 * FIRST_RETRY_SECONDS]


def test_what_cannot_be_read_is_as_good_as_absent() -> None:
    powers = known("a")
    powers.put({**manifest("a"), "spec": {"freeGpus": "Melt"}})
    assert only(powers).power is None


def test_the_gpus_of_a_pod_are_those_that_its_agent_names() -> None:
    powers = known("a")
    news = powers.put(manifest("a", gpu("GPU-0", holders=["uid-0", "uid-1"], enforced=point(150)), gpu("GPU-1")))
    assert news.of_node
    [held] = powers.held("a", "uid-0")
    assert (held.uuid, held.enforced, held.found_watts, held.shared) == ("GPU-0", point(150), 300, True)
    assert powers.held("a", "another") == ()


def test_a_status_that_says_the_same_of_pods_concerns_nobody() -> None:
    powers = known("a")
    powers.put(manifest("a", gpu(holders=["uid-0"])))
    assert not powers.put(manifest("a", gpu(holders=["uid-0"]), version=2)).of_node


def test_reserved_is_the_larger_of_old_and_new_until_it_is_confirmed() -> None:
    powers = known("a")
    powers.put(manifest("a", gpu("GPU-0", holders=["uid-0"]), gpu("GPU-1")))
    assert powers.reserved_watts() == 600
    powers.ask("job", (ask("uid-0", "a", watts=150),))
    assert powers.reserved_watts() == 600
    powers.put(manifest("a", gpu("GPU-0", holders=["uid-0"], enforced=point(150)), gpu("GPU-1")))
    assert powers.reserved_watts() == 450
    powers.ask("job", ())
    assert powers.reserved_watts() == 600


def test_what_an_agent_was_told_is_reserved_although_the_wish_is_lower_again() -> None:
    powers = known("a")
    powers.ask("job", (ask("uid-0", "a", watts=150),))
    board = gpu("GPU-0", holders=["uid-0"], enforced=point(150))
    told = PodOperatingPoint(uid="uid-0", namespace="team", name="pod-0", operating_point=point(250))
    powers.put(manifest("a", board, pods=[told]))
    assert powers.reserved_watts() == 250
    powers.put(manifest("a", board, version=2, pods=[told.model_copy(update={"operating_point": point(150)})]))
    assert powers.reserved_watts() == 150


def test_without_agents_nothing_is_looked_at() -> None:
    powers = NodePowers(kept=False)
    powers.put_node(node("a").manifest())
    assert looked_at(powers) == []
