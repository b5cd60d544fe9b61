"""A job that ended is deleted `ttlSecondsAfterFinished` later, and otherwise kept."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ballast.api.jobstatus import Phase
from ballast.decide.actions import Expire
from ballast.decide.life.lifecycle import next_due
from ballast.decide.policy import Policy
from tests.builders import NOW, job, pod
from tests.unit.decide.stepping import steps

POLICY = Policy()
ENDED = [Phase.SUCCEEDED, Phase.FAILED]
SHORT_LIVED = job("one").with_spec(ttlSecondsAfterFinished=60)


@pytest.mark.parametrize("phase", ENDED)
def test_it_is_deleted_when_its_time_is_up(phase: Phase) -> None:
    ended = SHORT_LIVED.ended(phase)  # a second after NOW
    assert steps(ended, after=60.9) == []
    assert next_due(ended.build(), NOW, Policy()) == NOW + 61
    assert steps(ended, after=61) == [Expire(ended.training_job())]


def test_at_once_if_it_says_so() -> None:
    ended = job("one").with_spec(ttlSecondsAfterFinished=0).ended(Phase.FAILED)
    assert steps(ended, after=1) == [Expire(ended.training_job())]


@pytest.mark.parametrize("phase", ENDED)
def test_without_a_time_it_is_kept(phase: Phase) -> None:
    ended = job("one").ended(phase)
    assert steps(ended, after=10**9) == []
    assert next_due(ended.build(), NOW, Policy()) is None


def test_once_is_enough() -> None:
    assert steps(SHORT_LIVED.ended(Phase.FAILED).being_removed("uid-of-one"), after=100) == []


def test_not_before_its_pods_are_in_the_ledger() -> None:
    """It would go with what they used before anybody could read that."""
    ended = SHORT_LIVED.ended(Phase.SUCCEEDED)
    held = pod(0, of=ended).on("a").succeeded().held().ended_at(0)
    waiting = ended.with_pods(held).hearing(metered_nodes=frozenset("a"))
    late = POLICY.lost_reading_seconds - 1
    at_once = ended.with_spec(ttlSecondsAfterFinished=0)
    assert steps(replace(waiting, spec=at_once.spec), after=late) == []
    entered = replace(waiting, spec=at_once.spec).with_status(settling=(held.uid,))
    assert Expire(entered.training_job()) in steps(entered, after=late)


def test_who_has_not_ended_does_not_expire() -> None:
    assert steps(SHORT_LIVED.suspended(), after=10**9) == []
