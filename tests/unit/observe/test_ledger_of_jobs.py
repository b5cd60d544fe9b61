"""What the ledger needs reaches the jobs concerned, and no others: agents' words, Prometheus' answers, and time."""

from __future__ import annotations

from typing import Any

import pytest

from ballast.api.finalreading import FinalReading
from ballast.api.jobstatus import Phase
from ballast.decide.actions import Transition, WriteStatus
from ballast.decide.cycle import decide
from ballast.decide.policy import Policy
from ballast.decide.snapshot import Job
from ballast.decide.telemetry import Poll, Telemetry
from ballast.observe.cluster_state import ClusterState, Kind
from tests.builders import NOW, JobBuilder, PodBuilder, at, job, node, pod, rfc3339
from tests.unit.decide.ledger import LOST, used, words
from tests.unit.observe.watched import Watched

ONE, TWO = (job(name).ended(Phase.SUCCEEDED) for name in ("one", "two"))


def ended(of: JobBuilder, said: str | None = None) -> PodBuilder:
    return pod(0, of=of).on("a").succeeded().held().ended_at(0, said)


def watched(*pods: PodBuilder) -> Watched:
    """Return a state that knows two jobs that have ended on one node; all is seen."""
    seen = Watched().sees(node("a").with_gpus("A100", 4), ONE, TWO, *pods)
    seen.snapshot()
    return seen


def node_power(version: int, *words: tuple[str, float], agent: str | None = "1") -> dict[str, Any]:
    used = [
        {
            "uid": uid,
            "at": rfc3339(at(version)),
            "used": [{"component": "gpu", "activeJoules": joules, "idleJoules": 0, "source": "Counter"}],
        }
        for uid, joules in words
    ]
    return {
        "apiVersion": "ballast.dev/v1alpha1",
        "kind": "NodePower",
        "metadata": {"name": "a", "uid": "uid-of-power-a", "resourceVersion": str(version)},
        "spec": {},
        "status": {"endedPods": used, **({"agent": agent} if agent is not None else {})},
    }


def names(jobs: list[Job]) -> list[str]:
    return [job.name for job in jobs]


def test_an_agents_word_reaches_the_job_of_its_pod_and_no_other() -> None:
    seen = watched(ended(ONE), ended(TWO))
    seen.state.observe(Kind.NODE_POWER, node_power(1))
    seen.snapshot()
    seen.state.observe(Kind.NODE_POWER, node_power(2, ("uid-of-one-1-0", 40)))
    [one] = seen.changed()
    assert one.agents_words == {"uid-of-one-1-0": used(40, at=2)}
    seen.state.observe(Kind.NODE_POWER, node_power(3, ("uid-of-nobody", 1)))
    assert seen.changed() == []


def test_an_agent_says_the_same_again_without_waking_anybody() -> None:
    seen = watched(ended(ONE))
    told = node_power(2, ("uid-of-one-1-0", 40))
    seen.state.observe(Kind.NODE_POWER, told)
    assert names(seen.changed()) == ["one"]
    told = {**told, "metadata": {**told["metadata"], "resourceVersion": "3"}}
    seen.state.observe(Kind.NODE_POWER, told)
    assert seen.changed() == []
    seen.state.observe(Kind.NODE_POWER, node_power(4, ("uid-of-one-1-0", 41)))
    [one] = seen.changed()
    assert one.agents_words == {"uid-of-one-1-0": used(41, at=4)}


def test_more_than_any_pod_can_use_is_no_word() -> None:
    seen = watched(ended(ONE))
    seen.state.observe(Kind.NODE_POWER, node_power(2, ("uid-of-one-1-0", 1e300)))
    [one] = seen.changed()
    assert one.agents_words == {"uid-of-one-1-0": FinalReading(NOW + 2, is_last=True)}


def test_the_agent_of_another_node_has_no_say() -> None:
    seen = watched(ended(ONE)).sees(node("b"))
    power = node_power(2, ("uid-of-one-1-0", 40))
    seen.state.observe(Kind.NODE_POWER, {**power, "metadata": {**power["metadata"], "name": "b"}})
    [one] = seen.sees(ONE.at_version(2)).changed()
    assert one.agents_words == {}
    assert one.metered_nodes == frozenset()


def test_whether_a_node_has_an_agent_is_known_where_pods_are_held() -> None:
    seen = watched(ended(ONE))
    seen.state.observe(Kind.NODE_POWER, node_power(1, agent=None))
    assert all(not job.metered_nodes for job in seen.changed())
    seen.state.observe(Kind.NODE_POWER, node_power(2))
    assert [(job.name, job.metered_nodes) for job in seen.changed()] == [("one", frozenset("a"))]
    seen.state.forget(Kind.NODE_POWER, "uid-of-power-a")
    assert [(job.name, job.metered_nodes) for job in seen.changed()] == [("one", frozenset())]


def test_prometheus_is_asked_for_pods_without_a_word_until_they_are_heard_of() -> None:
    seen = watched(ended(ONE), ended(TWO, words(30)))
    assert seen.state.lost_pods() == ("uid-of-one-1-0",)
    seen.state.observe(Kind.NODE_POWER, node_power(2, ("uid-of-one-1-0", 40)))
    assert seen.state.lost_pods() == ()


def test_one_that_is_settled_or_gone_is_not_asked_for() -> None:
    seen = watched(ended(ONE), ended(TWO))
    seen.sees(ONE.with_status(settling=("uid-of-one-1-0",)).at_version(2))
    assert seen.state.lost_pods() == ("uid-of-two-1-0",)
    seen.state.forget(Kind.POD, "uid-of-two-1-0")
    assert seen.state.lost_pods() == ()


def test_one_whose_grace_is_over_is_asked_for() -> None:
    running = job("run").running_on("a")
    seen = Watched().sees(running, pod(0, of=running).running_on("a").held().being_deleted(30, grace=30))
    assert seen.state.lost_pods() == ()
    seen.time += 30
    seen.snapshot()
    assert seen.state.lost_pods() == ("uid-of-run-1-0",)


def test_since_when_nothing_is_heard_is_since_this_operator_listens() -> None:
    seen = Watched()
    seen.time += 500
    seen.sees(ONE, ended(ONE))
    [one] = seen.changed()
    assert one.unheard == {"uid-of-one-1-0": NOW + 500}
    seen.time += 20
    [one] = seen.sees(ONE.at_version(2)).changed()
    assert one.unheard == {"uid-of-one-1-0": NOW + 500}


def test_what_prometheus_knows_reaches_the_jobs_whose_pods_were_asked_for() -> None:
    seen = watched(ended(ONE), ended(TWO, words(30)))
    known: dict[str, FinalReading] = {"uid-of-one-1-0": used(17), "uid-of-two-1-0": used(1), "uid-x": used(2)}
    seen.state.take_telemetry(Poll(NOW, {"uid-of-one": Telemetry(1, NOW, 1)}, known))
    [one] = seen.changed()
    assert (one.known_readings, one.telemetry) == ({"uid-of-one-1-0": used(17)}, Telemetry(1, NOW, 1))
    seen.state.take_telemetry(Poll(NOW + 15))
    [one] = seen.sees(ONE.at_version(2)).changed()
    assert (one.known_readings, one.telemetry) == ({"uid-of-one-1-0": used(17)}, None)


def test_a_problem_is_told_and_forgets_nothing() -> None:
    seen = watched(ended(ONE))
    seen.state.take_telemetry(Poll(NOW, {"uid-of-one": Telemetry(1, NOW, 1)}))
    seen.state.take_telemetry(Poll(NOW, problem="no route"))
    assert seen.snapshot().telemetry_problem == "no route"
    [one] = seen.sees(ONE.at_version(2)).changed()
    assert one.telemetry == Telemetry(1, NOW, 1)


def test_time_alone_ends_the_wait_for_a_word() -> None:
    seen = watched()
    seen.state.observe(Kind.NODE_POWER, node_power(1))
    seen.sees(ended(ONE)).snapshot()
    while seen.time < NOW + LOST:
        seconds = seen.state.seconds_to_next_due()
        assert seconds is not None
        seen.time += seconds
        found = [action for action in decide(seen.snapshot()).actions if isinstance(action, WriteStatus)]
    assert [action.transition for action in found] == [Transition.SETTLE]


@pytest.mark.parametrize("suspended", [False, True])
def test_a_waiting_job_has_its_turn_after_its_ledger(suspended: bool) -> None:
    """One write of a status at a time."""
    waiting = job("wait").with_gpus(1).after(*job("wait").running_on("a").status.attempts).with_spec(suspend=suspended)
    seen = Watched().sees(node("a").with_gpus("A100", 4), waiting, ended(waiting, words(5)))
    writes = [action for action in decide(seen.snapshot()).actions if isinstance(action, WriteStatus)]
    first, then = (Transition.SUSPEND, Transition.SETTLE) if suspended else (Transition.SETTLE, Transition.ADMIT)
    assert [write.transition for write in writes] == [first]
    seen.state.assume(writes[0])
    after = JobBuilder(**{**vars(waiting), "status": writes[0].status, "version": 2})
    seen.answers(writes[0], after)
    writes = [action for action in decide(seen.snapshot()).actions if isinstance(action, WriteStatus)]
    assert [write.transition for write in writes] == [then]
    energy = writes[0].status.attempts[0].energy
    assert energy is not None
    assert energy.joules == 5


def test_a_job_that_is_being_deleted_is_looked_at_for_its_ledger_only() -> None:
    leaving = ONE.being_deleted()
    assert Watched().sees(leaving).changed() == []
    assert names(Watched().sees(leaving, ended(ONE)).changed()) == ["one"]


def test_whose_namespace_is_which() -> None:
    seen = watched(ended(ONE))
    assert (seen.state.namespace_of_job("uid-of-one"), seen.state.namespace_of_job("uid-x")) == ("team", None)
    assert (seen.state.namespace_of_pod("uid-of-one-1-0"), seen.state.namespace_of_pod("uid-x")) == ("team", None)


def test_without_agents_their_words_are_not_waited_for() -> None:
    state = ClusterState(clock=lambda: NOW, policy=Policy(agents=False))
    for builder in (ONE, ended(ONE, words(3))):
        kind = Kind.TRAINING_JOB if builder is ONE else Kind.POD
        state.observe(kind, builder.manifest())
    [action] = decide(state.snapshot(NOW, 10)).actions
    assert isinstance(action, WriteStatus)
    assert action.transition is Transition.SETTLE
