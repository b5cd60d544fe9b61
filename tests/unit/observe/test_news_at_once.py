"""Much news taken in at once: at the end the same is known as if each piece had been taken in alone."""

from __future__ import annotations

import pytest

from ballast.observe.cluster_state import Kind
from tests.builders import job, node, pod
from tests.unit.observe.watched import Watched

NODE = node("a").with_gpus("A100", 4)
PLACED = job("train").with_gpus(2).replicas(2).placed_on("a", "a")
NEWS = (NODE, PLACED, pod(0, of=PLACED).gated(), pod(1, of=PLACED).running_on("a"))


def test_the_end_is_the_same_as_of_news_one_by_one() -> None:
    one_by_one, at_once = Watched().sees(*NEWS), Watched()
    with at_once.state.at_once():
        at_once.sees(*NEWS)
    assert at_once.snapshot() == one_by_one.snapshot()
    assert at_once.free() == {"a": 2}  # one pod is bound, for the other its GPUs are reserved


def test_blocks_may_stand_in_each_other() -> None:
    watched = Watched().sees(NODE)
    with watched.state.at_once():
        with watched.state.at_once():
            watched.sees(PLACED)
        watched.sees(pod(0, of=PLACED).gated())
    [seen] = watched.changed()
    assert len(seen.pods) == 1


def test_what_was_taken_in_before_a_failure_counts() -> None:
    watched = Watched().sees(NODE)
    with pytest.raises(KeyError), watched.state.at_once():
        _see_something_unreadable(watched.sees(PLACED))
    assert [seen.name for seen in watched.changed()] == ["train"]


def _see_something_unreadable(watched: Watched) -> None:
    watched.state.observe(Kind.POD, {"metadata": {}})
