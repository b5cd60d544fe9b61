"""From the admission to the end every pod of a gang is counted once: as a promise, then as a bound pod."""

from __future__ import annotations

from ballast.api.conditions import Reason
from ballast.api.jobstatus import Outcome
from ballast.decide.actions import CreateObjects
from ballast.decide.life.lifecycle import advance
from ballast.decide.policy import Policy
from ballast.observe.cluster_state import Kind
from tests.builders import NOW, context, foreign_pod, job, node, pod
from tests.unit.observe.watched import Watched

NODES = (node("a").with_gpus("A100", 8), node("b").with_gpus("A100", 8))
WAITING = job("gang").with_gpus(4).replicas(2)
PLACED = WAITING.placed_on("a", "b").at_version(2)
FIRST = pod(0, of=PLACED).asking_for(gpus="4")
SECOND = pod(1, of=PLACED).asking_for(gpus="4")


def test_every_bound_pod_counts_whosever_it_is() -> None:
    state = Watched().sees(*NODES, foreign_pod("web").asking_for(gpus="3", cpu="2").on("a"))
    assert state.free() == {"a": 5, "b": 8}
    assert state.free("cpu") == {"a": 30_000, "b": 32_000}
    assert state.free("pods") == {"a": 109, "b": 110}


def test_a_pod_without_a_node_takes_nothing() -> None:
    assert Watched().sees(*NODES, foreign_pod("web").asking_for(gpus="3")).free() == {"a": 8, "b": 8}


def test_an_ended_pod_takes_nothing_any_more() -> None:
    state = Watched().sees(*NODES, foreign_pod("web").asking_for(gpus="3").running_on("a"))
    state.sees(foreign_pod("web").asking_for(gpus="3").on("a").succeeded().at_version(2))
    assert state.free() == {"a": 8, "b": 8}


def test_a_pod_that_is_being_deleted_still_holds_its_gpus() -> None:
    assert Watched().sees(*NODES, foreign_pod("web").asking_for(gpus="3").on("a").being_deleted()).free()["a"] == 5


def test_a_deleted_pod_takes_nothing_any_more() -> None:
    state = Watched().sees(*NODES, foreign_pod("web").asking_for(gpus="3").on("a"))
    state.state.forget(Kind.POD, "uid-of-web")
    assert state.free() == {"a": 8, "b": 8}


def test_a_waiting_job_takes_nothing() -> None:
    assert Watched().sees(*NODES, WAITING).free() == {"a": 8, "b": 8}


def test_a_gang_is_reserved_while_it_is_placed() -> None:
    assert Watched().sees(*NODES, PLACED).free() == {"a": 4, "b": 4}


def test_an_admission_in_flight_is_reserved_already() -> None:
    state = Watched().sees(*NODES, WAITING)
    state.admits()
    assert state.free() == {"a": 0, "b": 8}


def test_its_answer_changes_nothing_of_that() -> None:
    state = Watched().sees(*NODES, WAITING)
    admission = state.admits()
    state.answers(admission, WAITING.placed_on("a", "a").at_version(2))
    assert state.free() == {"a": 0, "b": 8}


def test_an_admission_that_failed_gives_everything_back() -> None:
    state = Watched().sees(*NODES, WAITING)
    state.state.reject(state.admits())
    assert state.free() == {"a": 8, "b": 8}


def test_a_bound_pod_takes_over_its_part_of_the_promise() -> None:
    state = Watched().sees(*NODES, PLACED, FIRST.gated())
    assert state.free() == {"a": 4, "b": 4}
    state.sees(FIRST.on("a").at_version(2))
    assert state.free() == {"a": 4, "b": 4}
    state.sees(SECOND.on("b"))
    assert state.free() == {"a": 4, "b": 4}


def test_a_pod_seen_before_its_job_is_not_counted_twice() -> None:
    assert Watched().sees(*NODES, FIRST.on("a"), PLACED).free() == {"a": 4, "b": 4}


def test_a_pod_that_really_takes_more_than_its_template_counts_in_full() -> None:
    # For example a sidecar that a webhook injected.
    assert Watched().sees(*NODES, PLACED, FIRST.asking_for(gpus="5").on("a")).free() == {"a": 3, "b": 4}


def test_a_bound_pod_of_another_attempt_does_not_stand_for_the_promise() -> None:
    assert Watched().sees(*NODES, PLACED, FIRST.of_attempt(7).on("a")).free() == {"a": 0, "b": 4}


def test_a_running_job_holds_what_its_pods_hold() -> None:
    running = WAITING.running_on("a", "b").at_version(3)
    state = Watched().sees(*NODES, running, FIRST.running_on("a"), SECOND.running_on("b"))
    assert state.free() == {"a": 4, "b": 4}
    state.sees(FIRST.on("a").succeeded().at_version(2))
    assert state.free() == {"a": 8, "b": 4}


def test_a_deleted_job_gives_its_promise_back() -> None:
    state = Watched().sees(*NODES, PLACED)
    state.state.forget(Kind.TRAINING_JOB, "uid-of-gang")
    assert state.free() == {"a": 8, "b": 8}


def test_but_not_what_its_pods_still_hold() -> None:
    state = Watched().sees(*NODES, PLACED, FIRST.running_on("a"))
    state.state.forget(Kind.TRAINING_JOB, "uid-of-gang")
    assert state.free() == {"a": 4, "b": 8}


def test_nothing_is_left_of_a_job_that_went_while_something_was_in_flight() -> None:
    state = Watched().sees(*NODES, PLACED)
    create = CreateObjects(PLACED.training_job(), 1)
    state.state.assume(create)
    state.state.forget(Kind.TRAINING_JOB, "uid-of-gang")
    state.state.reject(create)
    state.time += 100
    assert state.free() == {"a": 8, "b": 8}
    assert state.waiting() == set()
    assert state.changed() == []
    assert state.state.seconds_to_next_due() is None


def test_a_promise_that_is_being_taken_back_stands_until_that_is_written() -> None:
    # Another operator may have to go by the status that is still there.
    state = Watched().sees(*NODES, PLACED)
    [seen] = state.changed()
    later = context(NODES, now=NOW + Policy().placement_timeout_seconds)
    [stop] = advance(seen, later)
    state.state.assume(stop)
    assert state.free() == {"a": 4, "b": 4}
    stopping = PLACED.stopping(Outcome.ROLLED_BACK, Reason.PLACEMENT_TIMEOUT).at_version(3)
    state.answers(stop, stopping)
    assert state.free() == {"a": 8, "b": 8}


def test_a_gang_that_is_being_stopped_holds_room_for_pods_that_may_still_be_bound() -> None:
    # Also for one that seems to be gated: its patch may have arrived though nobody answered.
    stopping = PLACED.stopping(Outcome.SUSPENDED, Reason.SUSPENDED)
    state = Watched().sees(*NODES, stopping, FIRST.gated(), SECOND)
    assert state.free() == {"a": 4, "b": 4}
    state.state.forget(Kind.POD, FIRST.uid)
    assert state.free() == {"a": 8, "b": 4}


def test_nothing_is_kept_for_pods_that_a_failing_job_will_not_make() -> None:
    state = Watched().sees(*NODES, PLACED, FIRST.on("a").failed(1))
    assert state.free() == {"a": 8, "b": 4}
    state.sees_job_of(PLACED, FailureTarget="")
    assert state.free() == {"a": 8, "b": 8}
