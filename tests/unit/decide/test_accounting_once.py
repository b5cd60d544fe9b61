"""A pod enters the ledger once: entered, then let go, then forgotten, in this order, whatever is written beside it."""

from __future__ import annotations

from dataclasses import replace

from ballast.api.conditions import Reason
from ballast.api.jobstatus import MAX_SETTLING, Outcome, Phase
from ballast.decide.actions import ReleasePod, Transition, WriteStatus
from ballast.decide.life.lifecycle import next_due
from ballast.decide.policy import Policy
from tests.builders import NOW, job, pod
from tests.unit.decide.ledger import SETTLE, ledger, released, settled, words
from tests.unit.decide.stepping import steps, write

ONE = job("one").ended(Phase.SUCCEEDED).with_job(complete=True)
POD = pod(0, of=ONE).on("a").succeeded().held().ended_at(0, words(5000.5, 400))
ENDED = ONE.with_pods(POD)


def test_what_a_pod_used_is_entered_and_its_name_with_it() -> None:
    status = settled(ENDED)
    entry = ledger(status)
    assert (entry.joules, entry.gpu_joules, entry.idle_joules, entry.pods) == (5000.5, 5000.5, 400, 1)
    assert entry.pods_without_last_reading == entry.estimated_joules == 0
    assert status is not None
    assert status.settling == (POD.uid,)
    assert status.energy is not None
    assert (status.energy.joules, status.energy.used) == (5000.5, "1.39 Wh")


def test_it_is_kept_until_that_is_written() -> None:
    assert released(ENDED) == []


def test_who_is_entered_is_let_go_and_not_entered_again() -> None:
    entered = ENDED.with_status(settling=(POD.uid,))
    assert steps(entered, after=1000) == [ReleasePod(entered.training_job(), POD.name, POD.uid, 0)]


def test_the_finalizer_is_named_by_its_place() -> None:
    kubernetes_too = ONE.with_pods(POD.held("batch.kubernetes.io/job-tracking")).with_status(settling=(POD.uid,))
    [release] = steps(kubernetes_too)
    assert isinstance(release, ReleasePod)
    assert release.finalizer_position == 1


def test_once_is_enough() -> None:
    assert steps(ENDED.with_status(settling=(POD.uid,)).hearing(releasing=frozenset({POD.uid}))) == []


def test_who_is_gone_is_forgotten() -> None:
    action = write(ONE.with_status(settling=(POD.uid,)))
    assert action.transition is Transition.SETTLE
    assert action.status == ONE.status.model_copy(update={"settling": ()})
    assert steps(ONE.with_pods(replace(POD, finalizers=()))) == []


def test_somebody_elses_finalizer_is_no_reason_to_remember() -> None:
    foreign = ONE.with_pods(replace(POD, finalizers=("example.com/other",))).with_status(settling=(POD.uid,))
    assert write(foreign).status.settling == ()


def test_the_next_write_remembers_those_that_are_still_there() -> None:
    pair = job("one").replicas(2).ended(Phase.SUCCEEDED).with_job(complete=True)
    second = pod(1, of=pair).on("b").succeeded().held().ended_at(0, words(7))
    status = settled(pair.with_pods(POD, second).with_status(settling=("uid-gone", POD.uid)), after=SETTLE)
    assert status is not None
    assert status.settling == (POD.uid, second.uid)
    assert ledger(status).joules == 7


def test_no_more_are_entered_than_can_be_remembered() -> None:
    full = tuple(f"uid-{number}" for number in range(MAX_SETTLING - 1))
    others = [replace(pod(1, of=ONE), name=uid.removeprefix("uid-of-")).held() for uid in full]
    pods = [
        replace(each, name=uid).on("a").succeeded().held().ended_at(0) for each, uid in zip(others, full, strict=True)
    ]
    held = ONE.with_status(settling=tuple(each.uid for each in pods))
    third = replace(POD, name="one-1-9")
    status = settled(held.with_pods(*pods, POD, third), after=SETTLE)
    assert status is not None
    assert len(status.settling) == MAX_SETTLING
    assert ledger(status).pods == 1


def test_the_jobs_own_life_is_written_before() -> None:
    running = job("one").running_on("a").with_job(complete=True).with_pods(POD)
    actions = steps(running)
    assert [type(action) for action in actions] == [WriteStatus]
    assert actions[0].transition is Transition.SUCCEED  # type: ignore[union-attr]


def test_a_pod_that_runs_stays_held() -> None:
    running = job("one").running_on("a").with_job().with_pods(pod(0).running_on("a").held())
    assert steps(running, after=10**6) == []
    assert next_due(running.build(), NOW, Policy()) is None


def test_it_is_accounted_for_in_every_phase() -> None:
    before = job("one").running_on("a").with_pods(POD)
    for waiting in (
        before.with_status(phase=Phase.QUEUED),
        before.suspended(),
        before.stopping(Outcome.SUSPENDED, Reason.SUSPENDED).with_job(),
    ):
        assert ledger(settled(waiting)).joules == 5000.5


def test_a_job_that_is_being_deleted_is_accounted_for_and_nothing_else() -> None:
    """Its pods wait for that, and a foreground deletion for its pods."""
    running = job("one").running_on("a").with_job(complete=True).with_pods(POD).being_deleted()
    assert ledger(settled(running)).joules == 5000.5
    assert steps(running.with_status(settling=(POD.uid,))) == [
        ReleasePod(running.with_status(settling=(POD.uid,)).training_job(), POD.name, POD.uid, 0)
    ]


def test_an_earlier_attempt_gets_its_own_pods() -> None:
    first, second = ONE.status.attempts[0], ONE.status.attempts[0].model_copy(update={"number": 2})
    newer = replace(POD.of_attempt(2), name="one-2-0").ended_at(0, words(9))
    status = settled(ONE.with_status(attempts=(first, second)).with_pods(POD, newer))
    assert (ledger(status, 1).joules, ledger(status, 2).joules) == (5000.5, 9)


def test_what_others_used_of_an_attempt_stays() -> None:
    entered = settled(ENDED)
    assert entered is not None
    later = ONE.with_status(**{name: getattr(entered, name) for name in ("attempts", "energy")})
    again = settled(later.with_pods(replace(POD, name="one-1-1").ended_at(0, words(0.25))))
    assert (ledger(again).joules, ledger(again).pods) == (5000.75, 2)
