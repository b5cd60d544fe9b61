"""An engine that lets an arm cheat leaves a log that no cluster could have left, and that is found."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ballast.simulate.engine.engine import Run
from ballast.simulate.engine.events import Event, EventKind
from ballast.simulate.engine.options import Options
from ballast.simulate.engine.replay import fault
from tests.unit.simulate.running import job, node, ran

SWITCHED = Options(switch_off_after_seconds=120.0)
JOBS = (job("i", gpus=2), job("j", at=10, gpus=2), job("k", at=600))
STAYS_ON = ran(*JOBS, on=[node()])
GOES_OFF = ran(*JOBS, on=[node()], options=SWITCHED)
"""i from 0 to 100 s, j from 100 to 200 s, off at 320 s, boot from 600 to 660 s, k until 760 s, off at 880 s."""

Change = Callable[[Event], Event | None]


def told(run: Run, change: Change = lambda event: event) -> str | None:
    events = [kept for event in run.events if (kept := change(event)) is not None]
    return fault(sorted(events, key=lambda event: event.at), run.jobs, run.nodes, run.options, run.horizon)


def one(kind: EventKind, who: str, change: Change) -> Change:
    return lambda event: change(event) if event.kind is kind and who in (event.job, event.node) else event


def none(event: Event) -> None:
    del event


def sooner(seconds: float) -> Change:
    return lambda event: event._replace(at=event.at - seconds)


@pytest.mark.parametrize("run", [STAYS_ON, GOES_OFF])
def test_what_the_engine_does_is_possible(run: Run) -> None:
    assert told(run) is None


@pytest.mark.parametrize(
    ("change", "because"),
    [
        (one(EventKind.SUBMITTED, "j", sooner(5)), "job j was submitted, 10 s in the trace, at 5 s"),
        (one(EventKind.SUBMITTED, "j", none), "job j started twice, or before it was submitted"),
        (one(EventKind.STARTED, "j", sooner(50)), "job j started on {'a': 2}, but 0 GPUs are free on a, at 50 s"),
        (one(EventKind.STARTED, "i", lambda event: event._replace(gpus=(("a", 1),))), "the job needs 2 GPUs"),
        (one(EventKind.STARTED, "i", none), "job i worked without GPUs that are on"),
        (one(EventKind.ENDED, "i", none), "job j started on {'a': 2}, but 0 GPUs are free on a"),
        (lambda event: event._replace(job="i") if event.job == "k" else event, "job i was submitted, 0 s in"),
        (
            one(EventKind.STARTED, "k", lambda event: Event(event.at, EventKind.NODE_OFF, node="a")),
            "node a was switched off against the rules, at 600 s",
        ),
        (
            one(EventKind.STARTED, "k", lambda event: Event(event.at, EventKind.LIMIT, job="k")),
            "job k got a power limit without GPUs",
        ),
        (
            one(EventKind.RUNS, "k", lambda event: Event(event.at, EventKind.STOPPED, job="j")),
            "job j gave back GPUs that it did not hold",
        ),
    ],
)
def test_gpus_are_held_by_one_job_that_is_there(change: Change, because: str) -> None:
    assert because in str(told(STAYS_ON, change))


@pytest.mark.parametrize(
    ("change", "because"),
    [
        (one(EventKind.NODE_OFF, "a", sooner(100)), "node a was switched off against the rules, at 220 s"),
        (one(EventKind.NODE_OFF, "a", sooner(310)), "node a was switched off against the rules, at 10 s"),
        (
            lambda event: None if event.node and event.at < 700 else event,
            "node a was empty from 200 s on and was not switched off, at 600 s",
        ),
        (
            lambda event: event._replace(watts=50.0) if event.kind is EventKind.BOOT else event,
            "for other joules than the rules say",
        ),
        (one(EventKind.BOOTED, "a", sooner(30)), "node a was up after another time than the rules say"),
        (one(EventKind.BOOTED, "a", none), "job k worked without GPUs that are on"),
    ],
)
def test_nodes_are_switched_off_and_booted_by_the_rules(change: Change, because: str) -> None:
    assert because in str(told(GOES_OFF, change))


def test_a_node_that_is_left_on_at_the_end_is_found() -> None:
    run = ran(job("i", gpus=2, seconds=500), on=[node(), node("b")], options=SWITCHED)
    assert told(run) is None
    left_on = told(run, lambda event: None if event.kind is EventKind.NODE_OFF else event)
    assert "was empty from 0 s on and was not switched off" in str(left_on)
