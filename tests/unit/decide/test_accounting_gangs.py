"""The pods of a gang enter together: one write for all that end at about the same time."""

from __future__ import annotations

from ballast.api.jobstatus import Phase
from ballast.decide.life.lifecycle import next_due
from ballast.decide.policy import Policy
from tests.builders import NOW, PodBuilder, job, pod
from tests.unit.decide.ledger import SETTLE, ledger, settled, used, words

PAIR = job("pair").replicas(2).ended(Phase.SUCCEEDED).with_job(complete=True)


def ended(index: int, at: float, said: str | None = None) -> PodBuilder:
    return pod(index, of=PAIR).on("ab"[index]).succeeded().held().ended_at(at, said)


FIRST, SECOND = ended(0, 0, words(1)), ended(1, 2, words(2))
BOTH = PAIR.with_pods(FIRST, SECOND).hearing(metered_nodes=frozenset("ab"))


def test_when_all_have_spoken_they_enter_at_once() -> None:
    spoken = BOTH.hearing(agents_words={FIRST.uid: used(1), SECOND.uid: used(2)})
    assert ledger(settled(spoken, after=2)).pods == 2


def test_the_first_waits_for_the_others_but_not_for_long() -> None:
    spoken = BOTH.hearing(agents_words={FIRST.uid: used(1)})
    assert settled(spoken, after=SETTLE - 1) is None
    assert next_due(spoken.build(), NOW + 3, Policy()) == NOW + SETTLE
    assert ledger(settled(spoken, after=SETTLE)).pods == 1
    assert ledger(settled(spoken, after=SETTLE + 2)).pods == 2


def test_one_that_goes_on_for_long_is_not_waited_for() -> None:
    half = PAIR.with_pods(FIRST, pod(1, of=PAIR).running_on("b").held())
    assert settled(half, after=SETTLE - 1) is None
    assert ledger(settled(half, after=SETTLE)).pods == 1


def test_nothing_is_cleared_while_more_is_to_come() -> None:
    entered = PAIR.with_pods(SECOND).with_status(settling=(FIRST.uid,)).hearing(metered_nodes=frozenset("b"))
    assert settled(entered, after=3) is None
    status = settled(entered, after=2 + SETTLE)
    assert status is not None
    assert status.settling == (SECOND.uid,)
