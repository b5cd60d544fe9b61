"""An admitted job: its objects are created, its gang is ungated whole, then it runs. Derived from what exists."""

from __future__ import annotations

from ballast.api.conditions import ConditionType, Reason
from ballast.api.jobstatus import Outcome, Phase
from ballast.decide.actions import Action, CreateObjects, Transition, Ungate, WriteStatus
from ballast.decide.life.lifecycle import advance
from tests.builders import NOW, JobBuilder, at, context, job, pod

PLACED = job("gang").replicas(2).placed_on("a", "b")
FIRST, SECOND = pod(0, of=PLACED).gated(), pod(1, of=PLACED).gated()


def steps(of: JobBuilder, now: float = NOW) -> list[Action]:
    return advance(of.build(), context(now=now))


def test_first_its_objects_are_created() -> None:
    assert steps(PLACED) == [CreateObjects(PLACED.training_job(), attempt=1)]


def test_but_not_while_that_is_under_way() -> None:
    assert steps(PLACED.being_created()) == []


def test_objects_that_the_api_server_will_never_take_end_the_job() -> None:
    [write] = steps(PLACED.refused_by_the_api_server("422 Invalid: image is required"))
    assert isinstance(write, WriteStatus)
    assert (write.transition, write.status.reason) == (Transition.FAIL, Reason.INVALID_SPEC)
    assert write.note is not None
    assert write.note.message == "the API server refused its objects: 422 Invalid: image is required"


def test_no_pod_is_ungated_before_the_last_one_exists() -> None:
    assert steps(PLACED.with_job()) == []
    assert steps(PLACED.with_job().with_pods(FIRST)) == []
    assert steps(PLACED.with_job().with_pods(SECOND)) == []


def test_then_every_pod_is_bound_to_its_node() -> None:
    job_ = PLACED.training_job()
    assert steps(PLACED.with_job().with_pods(SECOND, FIRST)) == [
        Ungate(job_, "gang-1-0", FIRST.uid, "a", 0, None),
        Ungate(job_, "gang-1-1", SECOND.uid, "b", 0, None),
    ]


def test_the_gate_is_taken_off_where_it_stands_and_affinity_is_kept() -> None:
    one = job("one").placed_on("a")
    held = pod(0, of=one).gated("example.com/licence").requiring({"podAffinity": {}})
    [ungate] = steps(one.with_job().with_pods(held))
    assert isinstance(ungate, Ungate)
    assert ungate.gate_position == 1
    assert ungate.affinity == {"podAffinity": {}}


def test_a_patch_in_flight_is_not_repeated() -> None:
    [ungate] = steps(PLACED.with_job().with_pods(FIRST, SECOND).being_ungated(FIRST.uid))
    assert isinstance(ungate, Ungate)
    assert ungate.pod_name == "gang-1-1"


def test_after_a_restart_midway_only_the_rest_is_ungated() -> None:
    bound = pod(0, of=PLACED).running_on("a")
    [ungate] = steps(PLACED.with_job().with_pods(bound, SECOND))
    assert isinstance(ungate, Ungate)
    assert (ungate.pod_name, ungate.node) == ("gang-1-1", "b")


def test_a_gang_that_loses_a_pod_while_it_is_placed_is_stopped_though_another_pod_takes_its_place() -> None:
    # Pods of the gang may run already and wait for the one that goes.
    for replacement in ([], [pod(0, of=PLACED).gated()]):
        [write] = steps(PLACED.with_job().with_pods(FIRST.being_deleted(), *replacement, SECOND))
        assert isinstance(write, WriteStatus)
        assert (write.transition, write.status.reason) == (Transition.STOP, Reason.POD_DISRUPTED)


def test_pods_of_another_attempt_do_not_count() -> None:
    assert steps(PLACED.with_job().with_pods(FIRST.of_attempt(2), SECOND)) == []


def test_it_does_not_run_before_every_pod_does() -> None:
    running, pending = pod(0, of=PLACED).running_on("a"), pod(1, of=PLACED).on("b")
    assert steps(PLACED.with_job().with_pods(running, pending)) == []


def test_nor_while_a_pod_waits_for_somebody_elses_gate() -> None:
    held = pod(0, of=job("one").placed_on("a"))
    assert steps(job("one").placed_on("a").with_job().with_pods(held)) == []


def running_write() -> WriteStatus:
    both = (pod(0, of=PLACED).running_on("a"), pod(1, of=PLACED).running_on("b"))
    [write] = steps(PLACED.waiting_since(-30).with_job().with_pods(*both), NOW + 12)
    assert isinstance(write, WriteStatus)
    return write


def test_it_runs_when_every_pod_does() -> None:
    write = running_write()
    assert write.transition is Transition.RUN
    assert write.status.phase is Phase.RUNNING
    assert write.status.started_at == at(12)
    [attempt] = write.status.attempts
    assert attempt.placed_at == attempt.running_at == at(12)


def test_running_is_told_in_numbers() -> None:
    write = running_write()
    true = {condition.type: condition.reason for condition in write.status.conditions if condition.is_true}
    assert true == {
        ConditionType.ADMITTED: Reason.RESERVED,
        ConditionType.PLACED: Reason.PODS_BOUND,
        ConditionType.RUNNING: Reason.PODS_RUNNING,
    }
    assert write.note is not None
    assert write.note.message == "2 pods running on a,b after 42 s in the queue and start-up"


def test_a_pod_that_has_finished_already_does_not_hold_it_up() -> None:
    done, running = pod(0, of=PLACED).on("a").succeeded(), pod(1, of=PLACED).running_on("b")
    [write] = steps(PLACED.with_job().with_pods(done, running))
    assert isinstance(write, WriteStatus)
    assert write.transition is Transition.RUN


def test_a_job_of_an_instant_succeeds_though_it_was_never_seen_running() -> None:
    [write] = steps(PLACED.with_job(complete=True))
    assert isinstance(write, WriteStatus)
    assert write.transition is Transition.SUCCEED


def test_pods_whose_job_is_gone_are_waited_for_before_there_are_new_ones() -> None:
    [write] = steps(PLACED.with_pods(FIRST, SECOND))
    assert isinstance(write, WriteStatus)
    assert (write.transition, write.status.attempts[-1].outcome) == (Transition.STOP, Outcome.DISRUPTED)


def test_while_its_job_is_being_created_pods_may_be_seen_first() -> None:
    assert steps(PLACED.with_pods(FIRST).being_created()) == []
