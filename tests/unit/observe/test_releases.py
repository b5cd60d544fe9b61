"""When running jobs give their GPUs back."""

from __future__ import annotations

from ballast.decide.node import Release
from ballast.observe.releases import Releases


def test_they_are_told_by_node_the_first_first() -> None:
    made = Releases()
    made.put("b", {"v": 2}, 200.0)
    made.put("a", {"v": 1, "w": 8}, 100.0)
    assert made.views() == {"v": (Release(100.0, 1), Release(200.0, 2)), "w": (Release(100.0, 8),)}


def test_another_estimate_takes_the_place_of_the_first() -> None:
    made = Releases()
    made.put("a", {"v": 1}, 100.0)
    made.put("a", {"w": 1}, 300.0)
    assert made.views() == {"w": (Release(300.0, 1),)}


def test_what_was_told_before_stays_as_it_was() -> None:
    made = Releases()
    made.put("a", {"v": 1}, 100.0)
    before = made.views()
    made.put("b", {"v": 1}, 50.0)
    assert before == {"v": (Release(100.0, 1),)}


def test_of_a_job_that_is_gone_nothing_stays() -> None:
    made = Releases()
    made.put("a", {"v": 1}, 100.0)
    assert made.views()
    made.drop("a")
    made.drop("a")
    assert made.views() == {}
