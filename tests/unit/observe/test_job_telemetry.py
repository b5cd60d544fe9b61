"""Only the newest answer of Prometheus counts, but what it lacks because of a problem stays as it was known before."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ballast.api.finalreading import Evaluation, Training
from ballast.api.source import Component
from ballast.decide.telemetry import Poll, Telemetry
from ballast.observe.job_telemetry import JobTelemetry
from tests.builders import NOW

LATER = NOW + 15
KNOWN = Telemetry(
    attempt=1,
    asked_at=NOW,
    pods=2,
    oldest_at=NOW - 5,
    read_at=NOW - 4,
    joules={Component.GPU: 500.0},
    watts=200.0,
    training=Training(step=10, evaluations=1, reported_at=NOW - 3),
    missed_evaluations=1,
)
NEW = Telemetry(
    attempt=1,
    asked_at=LATER,
    pods=2,
    oldest_at=LATER - 5,
    read_at=LATER - 4,
    joules={Component.GPU: 900.0},
    watts=210.0,
    training=Training(step=20, evaluations=2, reported_at=LATER - 3),
    missed_evaluations=2,
)
NO_FIGURES = replace(NEW, pods=0, oldest_at=None, read_at=None, joules={}, watts=None)
PROBLEM = "timed out"


def known_after(*told: Telemetry, problem: str | None = PROBLEM, before: Telemetry = KNOWN) -> Telemetry | None:
    """Return what is known of a job after a good answer and others."""
    telemetry = JobTelemetry()
    telemetry.take(Poll(before.asked_at, {"job": before}))
    for each in told:
        telemetry.take(Poll(each.asked_at, {"job": each}, problem=problem))
    return telemetry.of("job")


def test_the_newest_whole_answer_counts_whatever_it_lacks() -> None:
    assert known_after(NEW, problem=None) == NEW
    assert known_after(NO_FIGURES, problem=None) == NO_FIGURES


def test_what_is_whole_counts_also_if_there_was_a_problem() -> None:
    assert known_after(NEW) == NEW


def test_without_figures_of_any_pod_those_before_stay_with_their_age() -> None:
    figures = replace(NEW, oldest_at=KNOWN.oldest_at, read_at=KNOWN.read_at, joules=KNOWN.joules, watts=KNOWN.watts)
    assert known_after(NO_FIGURES) == figures
    again = known_after(NO_FIGURES, replace(NO_FIGURES, asked_at=LATER + 15))
    assert again == replace(figures, asked_at=LATER + 15)


@pytest.mark.parametrize(
    ("lacking", "kept"),
    [
        ({"watts": None}, {"watts": 200.0, "oldest_at": NOW - 5}),
        ({"joules": {}}, {"joules": KNOWN.joules, "read_at": KNOWN.read_at}),
        ({"training": None, "missed_evaluations": 0}, {"training": KNOWN.training, "missed_evaluations": 1}),
    ],
)
def test_what_one_query_did_not_tell_stays(lacking: dict[str, object], kept: dict[str, object]) -> None:
    assert known_after(replace(NEW, **lacking)) == replace(NEW, **kept)  # type: ignore[arg-type]


def test_of_a_report_without_steps_the_evaluations_count() -> None:
    ring = (Evaluation(number=2, value=0.5),)
    told = replace(NEW, training=Training(evaluations=2, ring=ring, reported_at=LATER))
    assert KNOWN.training is not None
    assert known_after(told) == replace(NEW, training=replace(KNOWN.training, evaluations=2, ring=ring))
    forgetful = replace(NEW, training=Training(evaluations=0, reported_at=LATER))
    assert known_after(forgetful) == replace(NEW, training=KNOWN.training)


def test_a_trainer_that_never_tells_steps_is_believed() -> None:
    stepless = replace(NEW, training=Training(epoch=2.0, reported_at=LATER))
    before = replace(KNOWN, training=Training(epoch=1.0, reported_at=NOW))
    assert known_after(stepless, before=before) == stepless


def test_another_attempt_has_nothing_of_the_one_before() -> None:
    second = replace(NO_FIGURES, attempt=2, training=None)
    assert known_after(second) == second


def test_nothing_known_before_leaves_what_is_told() -> None:
    telemetry = JobTelemetry()
    telemetry.take(Poll(LATER, {"job": NO_FIGURES}, problem=PROBLEM))
    assert telemetry.of("job") == NO_FIGURES


def test_a_job_that_a_poll_with_a_problem_leaves_out_keeps_its_figures() -> None:
    telemetry = JobTelemetry()
    telemetry.take(Poll(NOW, {"job": KNOWN}))
    telemetry.take(Poll(LATER, {"other": NEW}, problem=PROBLEM))
    assert (telemetry.of("job"), telemetry.of("other")) == (KNOWN, NEW)


def test_nothing_is_kept_of_jobs_that_went_while_a_server_with_a_problem_was_asked() -> None:
    telemetry = JobTelemetry()
    telemetry.take(Poll(LATER, {"gone": NEW, "job": NEW}, problem=PROBLEM), {"job"})
    assert (telemetry.of("gone"), telemetry.of("job")) == (None, NEW)
