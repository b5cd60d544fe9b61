"""Empty nodes are marked after a while, nodes that gangs have or get never, and a right mark is left alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ballast.decide.actions import MarkNode
from ballast.decide.empty_nodes import Marks, mark
from ballast.decide.policy import Policy
from ballast.decide.vacancies import NO_MARK, Mark, Vacancy
from tests.builders import NOW, node, snapshot

POLICY = Policy(mark_empty_nodes=True, empty_node_seconds=60)
MARKED = Mark(labelled=True, empty=True, since=NOW - 60)


def vacancy(since: float | None, has: Mark = NO_MARK, *, gpus: int = 8, measured: bool = True) -> Vacancy:
    """The node a, empty since so many seconds after `NOW`, or in use."""
    return Vacancy("a", "uid", has, None if since is None else NOW + since, gpus, gpus * 50.0, measured)


def marks(
    *views: Vacancy, promised: tuple[str, ...] = (), policy: Policy = POLICY, marking: tuple[str, ...] = ()
) -> Marks:
    a = node("a").with_gpus("A100", 8).marked_empty(-60)
    seen = replace(snapshot([a], policy=policy), vacancies=views, marking=frozenset(marking))
    return mark(seen, {each.name: each for each in seen.nodes}, promised)


def test_an_empty_node_is_marked_with_since_when_and_what_it_draws() -> None:
    [action] = marks(vacancy(-60)).put_on
    assert (action.node, action.node_uid, action.empty) == ("a", "uid", True)
    assert (action.since, action.told_at, action.reason) == (NOW - 60, NOW, "Unused")
    assert action.message == (
        "no gang is on the node or is promised it, and no other pod asks for its GPUs, since 2027-01-15T07:59:00Z; "
        "8 idle GPUs draw about 400 W, as its agent has measured"
    )


def test_what_nobody_has_measured_is_called_assumed() -> None:
    [action] = marks(vacancy(-60, gpus=1, measured=False)).put_on
    assert action.message.endswith("1 idle GPU draws about 50 W, as is assumed of its GPU model")


def test_not_between_two_jobs() -> None:
    assert marks(vacancy(-59)) == Marks((), ())


def test_a_right_mark_is_left_alone() -> None:
    assert marks(vacancy(-60, MARKED)) == Marks((), ())
    assert marks(vacancy(None, Mark(labelled=False, empty=False, since=NOW - 5))) == Marks((), ())
    assert marks(vacancy(None)) == Marks((), ())


@pytest.mark.parametrize("has", [MARKED, Mark(labelled=True), Mark(empty=True, since=NOW - 60)], ids=str)
def test_a_node_in_use_loses_its_mark_whatever_is_left_of_it(has: Mark) -> None:
    [action] = marks(vacancy(None, has)).taken_off
    assert (action.empty, action.since, action.reason) == (False, NOW, "InUse")


def test_a_mark_that_somebody_made_too_early_goes() -> None:
    [action] = marks(vacancy(-10, Mark(labelled=True))).taken_off
    assert action.empty is False


@pytest.mark.parametrize("has", [Mark(labelled=True), Mark(empty=True, since=NOW - 60), Mark(True, True, NOW - 70)])
def test_half_a_mark_is_put_right(has: Mark) -> None:
    [action] = marks(vacancy(-60, has)).put_on
    assert (action.empty, action.since) == (True, NOW - 60)


def test_a_node_that_this_cycle_promises_loses_its_mark_and_gets_none() -> None:
    found = marks(vacancy(-60, NO_MARK), promised=("a",))
    assert [(action.node, action.node_uid, action.empty) for action in found.taken_off] == [
        ("a", "uid-of-node-a", False)
    ]
    assert found.put_on == ()


def test_while_it_is_being_written_nothing_more_is_decided() -> None:
    assert marks(promised=("a",), marking=("a",)) == Marks((), ())


def test_switched_off_nothing_is_left() -> None:
    off = Policy(mark_empty_nodes=False)
    assert marks(vacancy(None, MARKED), policy=off) == Marks((MarkNode("a", "uid"),), ())
    assert marks(vacancy(None, Mark(empty=False, since=NOW)), policy=off).taken_off == (MarkNode("a", "uid"),)
    assert marks(vacancy(None), policy=off) == Marks((), ())
