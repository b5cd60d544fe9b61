"""Arms that cannot be compared are refused, and a run that disagrees with its own log or curves is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ballast.simulate.curves import Curves
from ballast.simulate.engine import outcome
from ballast.simulate.engine.engine import Run
from ballast.simulate.engine.events import Event, EventKind, Spent, integrate
from ballast.simulate.engine.options import Options
from ballast.simulate.engine.outcome import HarnessError, check, summarize
from ballast.simulate.series import Series
from tests.unit.simulate.running import CURVES, FirstFit, job, node, ran

RUN = ran(job("i"), job("j", at=10))


def changed(kind: EventKind, change: Callable[[Event], Event | None]) -> Run:
    """The run with its first event of a kind changed, or taken out."""
    events: list[Event] = []
    found = False
    for event in RUN.events:
        kept: Event | None = event
        if event.kind is kind and not found:
            found, kept = True, change(event)
        if kept is not None:
            events.append(kept)
    assert found
    return replace(RUN, events=tuple(events))


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (changed(EventKind.ENDED, lambda event: None), "1 jobs did not end, i among them"),
        (
            changed(EventKind.RUNS, lambda event: event._replace(watts=159)),
            "counted 32000 J dynamic, but its log has 31900 J",
        ),
        (
            changed(EventKind.RUNS, lambda event: event._replace(work_per_second=2)),
            "job i did 200 s of work, but has 100 s",
        ),
        (replace(RUN, rows=RUN.rows[1:]), "its rows are not what its log says of its jobs"),
        (
            replace(RUN, rows=(replace(RUN.rows[0], run_seconds=1.0), *RUN.rows[1:])),
            "its rows are not what its log says of its jobs",
        ),
        (replace(RUN, counted=replace(RUN.counted, idle=1)), "counted 1 J idle"),
        (replace(RUN, counted=replace(RUN.counted, base=1)), "counted 1 J base"),
        (replace(RUN, counted=replace(RUN.counted, boot=1)), "counted 1 J boot"),
        (replace(RUN, jobs=(*RUN.jobs, job("k"))), "1 jobs did not end, k among them"),
    ],
)
def test_a_run_is_held_against_its_log(broken: Run, told: str) -> None:
    with pytest.raises(HarnessError, match=f"arm first-fit, seed 1: {told}"):
        broken.check()


def test_a_run_is_held_against_what_a_cluster_can_do() -> None:
    late = changed(EventKind.SUBMITTED, lambda event: event._replace(at=5.0))
    with pytest.raises(HarnessError, match="arm first-fit, seed 1: job i was submitted, 0 s in the trace, at 5 s"):
        late.check()


def test_power_and_parts_are_summed_up_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    def with_cheap_idle_power(*given: Any) -> Spent:
        spent = integrate(*given)
        return replace(spent, joules=replace(spent.joules, idle=spent.joules.idle / 2))

    monkeypatch.setattr(outcome, "integrate", with_cheap_idle_power)
    with pytest.raises(HarnessError, match="its power adds up to"):
        replace(RUN, counted=replace(RUN.counted, idle=RUN.counted.idle / 2)).check()


def test_a_run_is_held_against_its_curves() -> None:
    faster = tuple(
        replace(curve, points=tuple(replace(point, watts=point.watts + 1) for point in curve.points))
        for curve in CURVES.curves
    )
    broken = replace(RUN, curves=Curves(CURVES.source, False, CURVES.reference_model, faster))
    with pytest.raises(HarnessError, match="watts of job i at 200 W is 160, not the 161 of its curve"):
        broken.check()


def test_power_below_idle_is_found() -> None:
    def below(event: Event) -> Event:
        return event._replace(watts=-1)

    dynamic = RUN.counted.dynamic - 161 * 100
    broken = replace(changed(EventKind.RUNS, below), counted=replace(RUN.counted, dynamic=dynamic))
    with pytest.raises(HarnessError, match="draws 139 W at 0 s, less than the 140 W of idle"):
        broken.check()


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("seed", ran(job("i"), job("j", at=10), seed=2)),
        ("jobs", ran(job("i"), job("j", at=11))),
        ("nodes", ran(job("i"), job("j", at=10), on=[node(gpus=3)])),
        ("options", ran(job("i"), job("j", at=10), options=Options(reading_seconds=10))),
        ("carbon", ran(job("i"), job("j", at=10), carbon=Series((0,), (1,)))),
    ],
)
def test_arms_on_different_terms_are_refused(name: str, other: Run) -> None:
    with pytest.raises(HarnessError, match=f"arms first-fit and other differ in {name}: run them on the same"):
        check([RUN, replace(other, policy="other")])


def test_every_arm_is_checked() -> None:
    with pytest.raises(HarnessError, match="counted 1 J base"):
        check([RUN, replace(RUN, counted=replace(RUN.counted, base=1))])


def test_one_horizon() -> None:
    slow = replace(ran(job("i"), job("j", at=10), policy=FirstFit(100)), policy="slow")
    with pytest.raises(HarnessError, match="different horizons"):
        check([RUN, slow], [summarize(RUN, RUN.horizon), summarize(slow, slow.horizon)])
    assert check([RUN, slow], [summarize(arm, slow.horizon) for arm in (RUN, slow)]) == ()


def test_arms_that_drew_the_same_all_the_time_are_told() -> None:
    twin = replace(RUN, policy="twin")
    slow = replace(ran(job("i"), job("j", at=10), policy=FirstFit(100)), policy="slow")
    assert check([RUN, slow, twin]) == (("first-fit", "twin"),)
