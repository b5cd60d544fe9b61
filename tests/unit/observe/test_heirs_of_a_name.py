"""A node or PriorityClass that was deleted and made anew is the new one, in whatever order that is heard."""

from __future__ import annotations

from ballast.observe.cluster_state import Kind
from tests.builders import job, node
from tests.unit.observe.watched import Watched

OLD = node("a").known_as("old").not_ready()
NEW = node("a").known_as("new").at_version(9)


def is_ready(state: Watched) -> list[bool]:
    return [seen.ready for seen in state.snapshot().nodes]


def test_the_last_words_of_the_old_node_come_late() -> None:
    # A list tells of the new one before the watch tells how the old one went.
    state = Watched().sees(OLD, NEW, OLD.at_version(8))
    assert is_ready(state) == [True]
    state.state.forget(Kind.NODE, "old")
    assert is_ready(state) == [True]
    state.state.forget(Kind.NODE, "new")
    assert is_ready(state) == []


def test_in_order_it_is_the_same() -> None:
    state = Watched().sees(OLD)
    state.state.forget(Kind.NODE, "old")
    assert is_ready(state) == []
    assert is_ready(state.sees(NEW)) == [True]


def sees_class(state: Watched, uid: str, value: int, version: int, name: str = "high") -> None:
    metadata = {"name": name, "uid": uid, "resourceVersion": str(version)}
    state.state.observe(Kind.PRIORITY_CLASS, {"metadata": metadata, "value": value})


def test_a_priority_class_too() -> None:
    state = Watched().sees(job("train").with_pod_spec(priorityClassName="high"))
    sees_class(state, "old", 10, 1)
    sees_class(state, "new", 10, 9)
    state.state.forget(Kind.PRIORITY_CLASS, "old")
    assert state.waiting() == {"train"}
    state.state.forget(Kind.PRIORITY_CLASS, "new")
    assert state.waiting() == set()


def test_a_node_and_a_class_of_the_same_name_are_nothing_to_each_other() -> None:
    state = Watched().sees(node("a"))
    sees_class(state, "class", 10, 1, name="a")
    state.state.forget(Kind.NODE, "uid-of-node-a")
    assert is_ready(state) == []
