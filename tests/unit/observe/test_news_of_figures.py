"""An answer of Prometheus makes few of the running jobs worth looking at, those with news, and the others in turn."""

from __future__ import annotations

import pytest

from ballast.api.source import Component
from ballast.decide.actions import Transition, WriteStatus
from ballast.decide.cycle import decide
from ballast.decide.policy import Policy
from ballast.decide.telemetry import Poll, Telemetry
from ballast.observe.cluster_state import ClusterState, Kind
from ballast.observe.figure_news import LOOKED_AT_ONCE, PAUSE_SECONDS
from ballast.observe.tellings import BURST
from tests.builders import NOW, job, node, pod


def running(count: int) -> ClusterState:
    """Return a state with so many running jobs, all of which have been seen."""
    state = ClusterState(clock=lambda: NOW, policy=Policy(prometheus=True))
    state.observe(Kind.NODE, node("a").manifest())
    for number in range(count):
        built = job(f"job-{number}").running_on("a")
        state.observe(Kind.TRAINING_JOB, built.manifest())
        state.observe(Kind.JOB, built.job_manifest())
        state.observe(Kind.POD, pod(0, of=built).running_on("a").held().manifest())
    decide(state.snapshot(NOW, 1000))
    return state


def poll(*uids: str, joules: float = 500.0) -> Poll:
    figures = Telemetry(1, NOW, 1, oldest_at=NOW, joules={Component.GPU: joules}, watts=200.0)
    return Poll(NOW, dict.fromkeys(uids, figures))


def reported(state: ClusterState, now: float = NOW) -> list[str]:
    actions = decide(state.snapshot(now, 1000)).actions
    return [
        action.job.metadata.name
        for action in actions
        if isinstance(action, WriteStatus) and action.transition is Transition.REPORT
    ]


def test_a_job_with_news_is_told_once() -> None:
    state = running(2)
    state.take_telemetry(poll("uid-of-job-1"))
    snapshot = state.snapshot(NOW, 1000)
    assert (snapshot.telemetry_asked_at, snapshot.telemetry_problem) == (NOW, None)
    told = [action for action in decide(snapshot).actions if isinstance(action, WriteStatus)]
    assert "job-1" in {action.job.metadata.name for action in told}
    [action] = [action for action in told if action.job.metadata.name == "job-1"]
    energy = action.status.energy
    assert energy is not None
    assert (energy.joules, energy.watts) == (500, 200)
    assert reported(state) == []


def test_of_many_some_are_told_at_once_and_the_others_in_turn() -> None:
    count = BURST + 10
    state = running(count)
    state.take_telemetry(poll(*(f"uid-of-job-{number}" for number in range(count))))
    first = reported(state)
    assert len(first) == BURST
    seconds = state.seconds_to_next_due()
    assert seconds is not None
    later = reported(state, NOW + 60)
    assert len(later) == 10
    assert not set(first) & set(later)


def test_jobs_that_one_cycle_does_not_look_at_the_next_ones_do() -> None:
    count = LOOKED_AT_ONCE + 5
    state = running(count)
    state.take_telemetry(poll(f"uid-of-job-{count - 1}"))
    first = reported(state)
    assert f"job-{count - 1}" not in first
    assert state.seconds_to_next_due() == pytest.approx(PAUSE_SECONDS, rel=1e-3)
    assert f"job-{count - 1}" in reported(state, NOW + 60)


def test_a_job_that_ends_meanwhile_is_not_told_of() -> None:
    state = running(1)
    state.take_telemetry(poll("uid-of-job-0"))
    state.forget(Kind.TRAINING_JOB, "uid-of-job-0")
    assert reported(state) == []
    assert state.seconds_to_next_due() is None
