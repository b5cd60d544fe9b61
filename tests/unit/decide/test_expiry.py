"""A job that ended is deleted `ttlSecondsAfterFinished` later, and otherwise kept."""

from __future__ import annotations

import pytest

from ballast.api.jobstatus import Phase
from ballast.decide.actions import Expire
from ballast.decide.lifecycle import next_due
from ballast.decide.policy import Policy
from tests.builders import NOW, job
from tests.unit.decide.stepping import steps

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


def test_who_has_not_ended_does_not_expire() -> None:
    assert steps(SHORT_LIVED.suspended(), after=10**9) == []
