"""When an attempt is over nothing is drawn, and the pods' last words say exactly how far it came."""

from __future__ import annotations

from dataclasses import replace

from ballast.api.conditions import ConditionType, find_condition
from ballast.api.finalreading import Evaluation, FinalReading, Training
from ballast.api.jobstatus import EnergyStatus, ProgressStatus
from ballast.decide.life.reporting import at_rest
from ballast.decide.snapshot import Job
from tests.builders import NOW
from tests.unit.decide.reported import LATER, after_report, energy, figures, progress, running, trained


def with_words(of: Job, *trainings: Training | None) -> Job:
    pods = zip(of.pods, trainings, strict=True)
    return replace(
        of, pods=tuple(replace(pod, last_words=FinalReading(at=NOW, training=training)) for pod, training in pods)
    )


def test_watts_go_and_what_was_used_stays() -> None:
    told = after_report(running(energy=EnergyStatus(predicted_watts=250.0)), figures())
    status = at_rest(told, told.job.status)
    assert energy(status) == EnergyStatus(joules=5000.0, used="1.39 Wh", predicted_watts=250.0)
    assert find_condition(status.conditions, ConditionType.TELEMETRY_FRESH) is None
    assert find_condition(status.conditions, ConditionType.RUNNING) is not None


def test_a_job_of_which_nothing_is_known_has_no_energy() -> None:
    assert at_rest(running(), running().job.status).energy is None


def test_last_words_say_how_far_it_came() -> None:
    told = after_report(running(), figures(**trained(step=900, total_steps=1000, reported_at=LATER)))
    ended = with_words(told, Training(step=1000, total_steps=1000, reported_at=LATER + 9))
    assert progress(at_rest(ended, ended.job.status)).percent == 100.0


def test_also_without_prometheus() -> None:
    of = with_words(running(), Training(step=3))
    assert at_rest(of, of.job.status).progress == ProgressStatus(step=3)


def test_of_several_ranks_the_one_counts_that_reported_last() -> None:
    first, last = Training(step=9, reported_at=NOW), Training(step=8, reported_at=NOW + 1)
    of = with_words(running(3), first, last, None)
    assert progress(at_rest(of, of.job.status)).step == 8


def test_prometheus_counts_where_it_heard_more() -> None:
    of = with_words(running(), Training(step=5, reported_at=NOW))
    of = replace(of, telemetry=figures(**trained(step=6, evaluations=2, reported_at=NOW + 5), missed_evaluations=1))
    assert progress(at_rest(of, of.job.status)).step == 6
    assert progress(at_rest(of, of.job.status)).missed_evaluations == 1


def test_evaluations_after_the_last_time_are_known_as_far_as_the_last_words_hold_them() -> None:
    ring = tuple(Evaluation(number, 1 / number) for number in range(13, 21))
    of = with_words(running(), Training(step=20, evaluations=20, ring=ring, reported_at=LATER))
    assert progress(at_rest(of, of.job.status)).missed_evaluations == 12, "Prometheus told nothing"
    heard = replace(of, telemetry=figures(**trained(evaluations=10, reported_at=NOW), missed_evaluations=2))
    assert progress(at_rest(heard, heard.job.status)).missed_evaluations == 2 + 2
    heard = replace(of, telemetry=figures(**trained(evaluations=16, reported_at=NOW), missed_evaluations=3))
    assert progress(at_rest(heard, heard.job.status)).missed_evaluations == 3
    heard = replace(of, telemetry=figures(**trained(evaluations=30, reported_at=NOW), missed_evaluations=4))
    assert progress(at_rest(heard, heard.job.status)).missed_evaluations == 4, "the exporter lost its count"


def test_words_of_an_earlier_attempt_say_nothing_of_this_one() -> None:
    of = with_words(running(), Training(step=5))
    of = replace(of, pods=tuple(replace(pod, attempt=0) for pod in of.pods))
    assert at_rest(of, of.job.status).progress is None


def test_without_a_word_the_last_progress_stays() -> None:
    told = after_report(running(), figures(**trained(step=900)))
    silent = replace(told, telemetry=None)
    assert progress(at_rest(silent, silent.job.status)).step == 900
