"""Running jobs are shown to a cycle once a waiting one outranks them; a claim holds until its job waits no more."""

from __future__ import annotations

from ballast.api.jobstatus import Phase, PreemptionStatus, Victim
from ballast.observe.contenders import Contenders
from tests.builders import JobBuilder, at, job

RUNNING = job("running").keeping_checkpoints().running_on("a")
HIGH = job("high").valued(1000)
CLAIM = PreemptionStatus(until=at(600), nodes=("a",), victims=(Victim(uid="uid-of-running", attempt=1),))
CLAIMANT = HIGH.with_status(phase=Phase.QUEUED, preemption=CLAIM)


def seen(*jobs: JobBuilder, untouchable: frozenset[str] = frozenset()) -> Contenders:
    contenders = Contenders()
    for each in jobs:
        contenders.put(each.build(), untouchable=each.name in untouchable)
    return contenders


def names(contenders: Contenders) -> list[str]:
    return [each.name for each in contenders.running()]


def test_nobody_is_shown_while_all_are_equal() -> None:
    assert names(seen(RUNNING, job("other"))) == []


def test_those_below_the_highest_that_waits_are_shown() -> None:
    assert names(seen(RUNNING, job("equal").valued(1000).running_on("a"), HIGH)) == ["running"]


def test_not_one_that_is_being_written_or_deleted_or_placed() -> None:
    assert names(seen(RUNNING, HIGH, untouchable=frozenset({"running"}))) == []
    assert names(seen(RUNNING.being_deleted(), HIGH)) == []
    assert names(seen(job("placing").placed_on("a"), HIGH)) == []


def test_nor_for_one_that_waits_for_nothing() -> None:
    assert names(seen(RUNNING, HIGH.suspended_by_its_owner())) == []
    contenders = seen(RUNNING, HIGH)
    contenders.drop("uid-of-high")
    assert names(contenders) == []


def test_a_claim_has_those_attempts_that_still_hold_something() -> None:
    [claim] = seen(RUNNING, CLAIMANT).claims()
    assert claim.is_settled
    assert [each.name for each in claim.victims] == ["running"]
    again = job("running").placed_on("b", attempt=2)
    assert seen(again, CLAIMANT).claims()[0].victims == ()


def test_it_holds_while_it_is_being_written_too() -> None:
    [claim] = seen(CLAIMANT, untouchable=frozenset({"high"})).claims()
    assert not claim.is_settled


def test_it_is_told_when_nodes_are_held_or_free_again() -> None:
    contenders = Contenders()
    assert not contenders.put(HIGH.build(), untouchable=False)
    assert contenders.put(CLAIMANT.build(), untouchable=True)
    assert not contenders.put(CLAIMANT.build(), untouchable=False)
    assert contenders.put(HIGH.placed_on("a").build(), untouchable=True)
    assert not contenders.drop("uid-of-high")
    assert contenders.put(CLAIMANT.build(), untouchable=False)
    assert contenders.drop("uid-of-high")
    assert contenders.claims() == ()
