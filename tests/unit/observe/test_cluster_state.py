"""What a cycle gets to see: waiting jobs in lanes, changed jobs once, and nothing that is in flight or resting."""

from __future__ import annotations

from ballast.api.conditions import Reason
from ballast.api.jobstatus import Phase
from ballast.decide.actions import CreateObjects, Ungate
from ballast.decide.life.lifecycle import advance
from ballast.decide.policy import Policy
from ballast.decide.snapshot import Refusal
from ballast.observe.cluster_state import Kind
from ballast.observe.job_records import VANISHED_JOB_SECONDS
from ballast.observe.timers import FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS
from tests.builders import NOW, context, foreign_pod, job, node, pod
from tests.unit.observe.watched import Watched

WAITING = job("train").with_gpus(1)
PLACED = WAITING.placed_on("a").at_version(2)
NODE = node("a").with_gpus("A100", 1)
CREATE = CreateObjects(PLACED.training_job(), 1)
FULL = Refusal(Reason.WAITING_FOR_CAPACITY, "full")


def test_a_new_job_waits_and_is_reviewed() -> None:
    seen = Watched().sees(WAITING).snapshot()
    assert [lane.jobs for lane in seen.lanes] == [(WAITING.build(),)]
    assert seen.review == (WAITING.at_place(1, 1).build(),)
    assert seen.changed == ()


def test_an_admitted_job_is_changed_once() -> None:
    state = Watched().sees(PLACED)
    assert state.changed() == [PLACED.build()]
    assert state.changed() == []


def test_whatever_happens_to_its_children_is_a_change() -> None:
    state = Watched().sees(PLACED)
    state.changed()
    state.sees_job_of(PLACED)
    [seen] = state.changed()
    assert seen.workload == PLACED.with_job().build().workload
    state.sees(pod(0, of=PLACED).gated())
    [seen] = state.changed()
    assert seen.pods == (pod(0, of=PLACED).gated().build(),)
    state.state.forget(Kind.POD, "uid-of-train-1-0")
    [seen] = state.changed()
    assert seen.pods == ()


def test_a_job_of_an_attempt_that_vanished_is_not_missed_at_once() -> None:
    state = Watched().sees(PLACED).sees_job_of(PLACED)
    state.changed()
    state.state.forget(Kind.JOB, "uid-of-train-1")
    assert state.changed() == [], "most likely its TrainingJob is deleted too, and the watch says so in a moment"
    state.time += VANISHED_JOB_SECONDS
    [seen] = state.changed()
    assert seen.workload is None


def test_children_may_be_seen_first() -> None:
    state = Watched().sees_job_of(PLACED).sees(pod(0, of=PLACED).gated())
    assert state.changed() == []
    state.sees(PLACED)
    assert state.changed() == [PLACED.with_job().with_pods(pod(0, of=PLACED).gated()).build()]


def test_an_older_version_changes_nothing() -> None:
    state = Watched().sees(PLACED, WAITING)
    assert state.waiting() == set()


def test_every_change_wakes_and_stale_news_does_not() -> None:
    state = Watched().sees(WAITING)
    assert state.wakes == 1
    state.sees(WAITING)
    assert state.wakes == 1
    state.state.forget(Kind.TRAINING_JOB, "uid-of-train")
    assert state.wakes == 2


def test_a_deleted_job_is_gone_for_good() -> None:
    state = Watched().sees(WAITING)
    state.state.forget(Kind.TRAINING_JOB, "uid-of-train")
    state.sees(WAITING.at_version(9))
    assert state.waiting() == set()


def test_a_job_that_is_being_deleted_is_left_alone() -> None:
    assert Watched().sees(WAITING.being_deleted()).waiting() == set()
    assert Watched().sees(PLACED.being_deleted()).changed() == []


def test_a_changed_spec_moves_a_job_to_another_lane() -> None:
    state = Watched().sees(WAITING)
    state.sees(WAITING.with_gpus(2).at_version(2))
    [lane] = state.snapshot().lanes
    assert lane.gang.gpus_per_pod == 2


def test_a_job_that_cannot_be_read_is_reported_and_ignored() -> None:
    state = Watched()
    manifest = WAITING.manifest()
    manifest["spec"]["replicas"] = 0
    state.state.observe(Kind.TRAINING_JOB, manifest)
    assert [error.key for error in state.invalid] == [("team", "train")]
    assert state.waiting() == set()
    state.sees(WAITING.at_version(2))
    assert state.waiting() == {"train"}


def test_labels_that_ballast_did_not_write_do_not_stop_it() -> None:
    state = Watched().sees(PLACED)
    state.changed()
    stray = pod(0, of=PLACED).manifest()
    stray["metadata"]["labels"]["ballast.dev/attempt"] = "first"
    state.state.observe(Kind.POD, stray)
    assert state.changed() == []


def test_in_flight_a_job_is_not_decided_on() -> None:
    state = Watched().sees(NODE, WAITING)
    admission = state.admits()
    assert state.waiting() == set()
    assert state.changed() == []
    state.answers(admission, PLACED)
    [seen] = state.changed()
    assert seen.job.status.phase is Phase.PLACING


def test_objects_are_not_created_twice_at_a_time() -> None:
    state = Watched().sees(PLACED)
    state.state.assume(CREATE)
    [seen] = state.changed()
    assert seen.creating
    assert advance(seen, context()) == []
    state.state.settle(CREATE, [(Kind.JOB, PLACED.job_manifest())])
    [seen] = state.changed()
    assert (seen.creating, seen.workload is not None) == (False, True)


def test_a_pod_is_not_ungated_twice_at_a_time() -> None:
    gated = pod(0, of=PLACED).gated()
    state = Watched().sees(PLACED, gated).sees_job_of(PLACED)
    ungate = Ungate(PLACED.training_job(), gated.name, gated.uid, "a", 0)
    state.state.assume(ungate)
    [seen] = state.changed()
    assert seen.ungating == {gated.uid}
    assert advance(seen, context()) == []
    state.answers(ungate, pod(0, of=PLACED).at_version(2))
    [seen] = state.changed()
    assert seen.ungating == frozenset()


def test_after_a_failure_the_job_rests_longer_each_time() -> None:
    state = Watched().sees(PLACED)
    waits = []
    for _ in range(9):
        state.changed()
        state.state.assume(CREATE)
        state.state.reject(CREATE)
        assert state.changed() == []
        wait = state.state.seconds_to_next_due()
        assert wait is not None
        waits.append(wait)
        state.time += wait
    assert waits[:3] == [FIRST_RETRY_SECONDS, 2 * FIRST_RETRY_SECONDS, 4 * FIRST_RETRY_SECONDS]
    assert waits[-1] == LONGEST_RETRY_SECONDS
    assert len(state.changed()) == 1
    left = state.state.seconds_to_next_due()
    assert left == NOW + Policy().placement_timeout_seconds - state.time, "the next is another matter"


def test_a_success_ends_the_memory_of_failures() -> None:
    state = Watched().sees(PLACED)
    for _ in range(3):
        state.state.reject(CREATE)
        state.time += 100
    state.changed()
    state.state.settle(CREATE, [])
    state.state.reject(CREATE)
    assert state.state.seconds_to_next_due() == FIRST_RETRY_SECONDS


def test_a_resting_job_does_not_wait_either() -> None:
    state = Watched().sees(NODE, WAITING)
    state.state.reject(state.admits())
    assert state.waiting() == set()
    state.time += FIRST_RETRY_SECONDS
    assert state.waiting() == {"train"}


def test_objects_that_the_api_server_will_never_take_are_no_reason_to_try_again() -> None:
    state = Watched().sees(PLACED)
    state.state.assume(CREATE)
    state.state.reject(CREATE, "422 Invalid: spec.template: image is required")
    state.time += 100
    [seen] = state.changed()
    assert seen.refused_objects == "422 Invalid: spec.template: image is required"


def test_refusals_hold_until_something_becomes_free() -> None:
    state = Watched().sees(NODE, WAITING, foreign_pod("web").on("a"))
    refused = {WAITING.gang(): FULL}
    state.snapshot()
    state.state.remember(refused, None)
    assert state.snapshot().refused == refused
    state.sees(foreign_pod("other").on("a"))
    assert state.snapshot().refused == refused, "more pods give nothing back"
    state.state.forget(Kind.POD, "uid-of-web")
    assert state.snapshot().refused == {}


def test_what_became_free_while_a_cycle_decided_is_not_missed() -> None:
    state = Watched().sees(NODE, WAITING, foreign_pod("web").on("a"))
    state.snapshot()
    state.state.forget(Kind.POD, "uid-of-web")
    state.state.remember({WAITING.gang(): FULL}, None)
    assert state.snapshot().refused == {}


def test_what_was_cut_off_is_looked_at_again() -> None:
    state = Watched().sees(PLACED, job("other"))
    seen = state.snapshot()
    state.state.look_again(seen)
    again = state.snapshot()
    assert again.changed == seen.changed
    assert {j.name for j in again.review} == {"other"}


def test_but_not_what_is_in_flight_by_then() -> None:
    running = PLACED.with_pods(pod(0, of=PLACED).running_on("a"))
    state = Watched().sees(PLACED, pod(0, of=PLACED).running_on("a")).sees_job_of(PLACED)
    seen = state.snapshot()
    [write] = advance(running.with_job().build(), context())
    state.state.assume(write)
    state.state.look_again(seen)
    assert state.changed() == []


def test_jobs_are_counted_by_phase() -> None:
    state = Watched().sees(WAITING, job("b"), job("c").told(Reason.WAITING_FOR_CAPACITY), job("d").placed_on("a"))
    counts = state.state.jobs_by_phase()
    assert {phase: count for phase, count in counts.items() if count} == {
        Phase.PENDING: 2,
        Phase.QUEUED: 1,
        Phase.PLACING: 1,
    }
    assert set(counts) == set(Phase), "a phase without jobs is 0, not absent"
    state.state.forget(Kind.TRAINING_JOB, "uid-of-b")
    assert state.state.jobs_by_phase()[Phase.PENDING] == 1
