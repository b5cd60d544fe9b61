"""A complete list finds what the watches missed, and never brings back what they saw go."""

from __future__ import annotations

from ballast.observe.cluster_state import Kind
from tests.builders import foreign_pod, job, node
from tests.unit.observe.watched import Watched

A, B = node("a").with_gpus("A100", 8), node("b").with_gpus("A100", 8)


def test_what_the_list_lacks_is_forgotten() -> None:
    state = Watched().sees(A, B, job("kept").at_version(3), job("gone").at_version(4))
    state.state.replace_all(Kind.TRAINING_JOB, [job("kept").at_version(3).manifest()], "5")
    assert state.waiting() == {"kept"}
    state.state.replace_all(Kind.NODE, [B.manifest()], "5")
    assert set(state.free()) == {"b"}


def test_a_vanished_pod_gives_back_what_it_held() -> None:
    state = Watched().sees(A, foreign_pod("web").asking_for(gpus="3").on("a"))
    state.state.replace_all(Kind.POD, [], "5")
    assert state.free() == {"a": 8}


def test_what_appeared_after_the_list_was_taken_is_kept() -> None:
    state = Watched().sees(job("new").at_version(9))
    state.state.replace_all(Kind.TRAINING_JOB, [], "5")
    assert state.waiting() == {"new"}


def test_a_list_on_its_way_does_not_resurrect_what_went() -> None:
    state = Watched().sees(job("gone").at_version(3))
    state.state.forget(Kind.TRAINING_JOB, "uid-of-gone")
    state.state.replace_all(Kind.TRAINING_JOB, [job("gone").at_version(4).manifest()], "4")
    assert state.waiting() == set()


def test_a_kind_that_is_listed_leaves_the_others_alone() -> None:
    state = Watched().sees(A, job("train"))
    state.state.replace_all(Kind.POD, [], "5")
    assert state.waiting() == {"train"}
    assert set(state.free()) == {"a"}


def test_a_new_node_of_the_same_name_outlives_the_old_one() -> None:
    state = Watched().sees(A.known_as("old"))
    state.state.replace_all(Kind.NODE, [A.known_as("new").at_version(5).manifest()], "6")
    assert state.free() == {"a": 8}
