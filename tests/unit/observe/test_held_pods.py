"""Which held pods are let go although no job accounts for them, and that one at a time is tried."""

from __future__ import annotations

from ballast.api.finalreading import FINALIZER
from ballast.api.jobstatus import Phase
from ballast.decide.actions import ReleaseOrphan, ReleasePod
from ballast.decide.cycle import decide
from ballast.decide.snapshot import Orphan
from ballast.observe.cluster_state import Kind
from ballast.observe.held_pods import HeldPods
from ballast.observe.timers import FIRST_RETRY_SECONDS
from tests.builders import NOW, PodBuilder, foreign_pod, job, pod
from tests.unit.observe.watched import Watched

JOB = job("train").running_on("a")
POD = pod(0, of=JOB).running_on("a").held()
ORPHAN = Orphan("team", POD.name, POD.uid)


def watched(*pods: PodBuilder) -> Watched:
    """Return a state after its first lists, in which there is no TrainingJob."""
    seen = Watched()
    seen.state.replace_all(Kind.POD, [each.manifest() for each in pods], "10")
    seen.state.replace_all(Kind.TRAINING_JOB, [], "10")
    return seen


def orphans(seen: Watched) -> list[Orphan]:
    return list(seen.snapshot().orphans)


def test_a_pod_whose_job_is_gone_is_let_go() -> None:
    assert orphans(watched(POD)) == [ORPHAN]
    seen = Watched().sees(JOB, POD)
    seen.state.replace_all(Kind.TRAINING_JOB, [JOB.manifest()], "10")
    assert orphans(seen) == []
    seen.state.forget(Kind.TRAINING_JOB, "uid-of-train")
    assert orphans(seen) == [ORPHAN]
    assert ReleaseOrphan(ORPHAN) in decide(seen.snapshot()).actions


def test_not_before_all_jobs_are_listed() -> None:
    seen = Watched().sees(POD)
    assert orphans(seen) == []
    seen.state.replace_all(Kind.TRAINING_JOB, [JOB.manifest()], "10")
    assert orphans(seen) == []


def test_a_pod_that_says_it_is_another_namespaces_is_nobodys() -> None:
    seen = watched().sees(JOB, PodBuilder(**{**vars(POD), "namespace": "other"}))
    assert orphans(seen) == [Orphan("other", POD.name, POD.uid)]


def test_a_pod_that_does_not_say_whose_it_is_is_nobodys() -> None:
    stray = foreign_pod("stray").held()
    seen = watched(stray)
    assert [orphan.name for orphan in orphans(seen)] == ["stray"]
    seen.state.forget(Kind.POD, stray.uid)
    assert orphans(seen) == []


def test_a_pod_that_loses_its_labels_is_nobodys() -> None:
    seen = watched().sees(JOB, POD)
    manifest = POD.at_version(2).manifest()
    manifest["metadata"]["labels"] = {}
    seen.state.observe(Kind.POD, manifest)
    snapshot = seen.snapshot()
    assert snapshot.orphans == (ORPHAN,)
    assert snapshot.changed[0].pods == ()


def test_pods_of_a_job_that_cannot_be_read_stay_until_they_are_deleted() -> None:
    """No ledger can be written for it; but a namespace must not wait for that."""
    seen = watched()
    broken = {**JOB.manifest(), "spec": {"replicas": "many"}}
    seen.state.observe(Kind.TRAINING_JOB, broken)
    seen.sees(POD)
    assert orphans(seen) == []
    seen.sees(POD.being_deleted(30).at_version(2))
    assert orphans(seen) == [ORPHAN]
    seen.state.forget(Kind.TRAINING_JOB, "uid-of-train")
    assert orphans(seen) == [ORPHAN]


def test_one_that_cannot_be_read_is_remembered_without_pods() -> None:
    seen = watched()
    seen.state.observe(Kind.TRAINING_JOB, {**JOB.manifest(), "spec": {"replicas": "many"}})
    seen.sees(POD)
    seen.state.forget(Kind.POD, POD.uid)
    late = PodBuilder(**{**vars(POD), "name": "late"})
    assert orphans(seen.sees(late)) == []


def test_at_most_as_many_as_actions_are_taken() -> None:
    seen = watched(*[foreign_pod(f"stray-{number}").held() for number in range(9)])
    assert len(seen.snapshot(4).orphans) == 4


def test_one_release_at_a_time() -> None:
    seen = watched(POD)
    release = ReleaseOrphan(ORPHAN)
    seen.state.assume(release)
    assert orphans(seen) == []
    seen.state.reject(release)
    assert orphans(seen) == []
    assert seen.state.seconds_to_next_due() == FIRST_RETRY_SECONDS
    seen.time += FIRST_RETRY_SECONDS
    assert orphans(seen) == [ORPHAN]
    seen.state.assume(release)
    seen.state.settle(release, [])
    assert orphans(seen) == []


def test_the_pod_of_a_job_is_let_go_once_and_the_job_goes_on_if_that_fails() -> None:
    settled = job("train").ended(Phase.SUCCEEDED).with_status(settling=(POD.uid,))
    done = POD.succeeded().ended_at(0)
    seen = watched().sees(settled, done)
    [release] = [action for action in decide(seen.snapshot()).actions if isinstance(action, ReleasePod)]
    seen.state.assume(release)
    seen.sees(settled.at_version(2))
    [view] = seen.changed()
    assert view.releasing == {POD.uid}
    seen.state.reject(release)
    seen.sees(settled.at_version(3))
    [view] = seen.changed()
    assert view.releasing == {POD.uid}
    seen.time += FIRST_RETRY_SECONDS
    [view] = seen.changed()
    assert view.releasing == frozenset()
    seen.state.assume(release)
    seen.state.settle(release, [("Pod", {**done.at_version(2).manifest(), "metadata": _without_finalizer(done)})])
    [view] = seen.changed()
    assert not view.pods[0].held


def test_a_pod_that_is_gone_when_it_is_let_go_is_forgotten() -> None:
    seen = watched().sees(job("train").ended(Phase.SUCCEEDED).with_status(settling=(POD.uid,)), POD.succeeded())
    [release] = [action for action in decide(seen.snapshot()).actions if isinstance(action, ReleasePod)]
    seen.state.assume(release)
    seen.state.settle(release, [])
    [view] = seen.changed()
    assert view.pods == ()


def test_what_failed_again_rests_longer() -> None:
    pods = HeldPods()
    pods.put_orphans("job", [ORPHAN])
    due = []
    now = NOW
    for _ in range(3):
        pods.begins(POD.uid)
        pods.failed(POD.uid, now)
        at = pods.next_due()
        assert at is not None
        due.append(at - now)
        now = at
        assert pods.rested(now) == [POD.uid]
    assert due == [FIRST_RETRY_SECONDS * factor for factor in (1, 2, 4)]
    pods.begins(POD.uid)
    pods.is_done(POD.uid)
    pods.begins(POD.uid)
    pods.failed(POD.uid, now)
    assert pods.next_due() == now + FIRST_RETRY_SECONDS


def _without_finalizer(pod: PodBuilder) -> dict[str, object]:
    metadata = pod.at_version(2).manifest()["metadata"]
    return {**metadata, "finalizers": [name for name in metadata["finalizers"] if name != FINALIZER]}
