"""A running job is told how fresh its figures are, in numbers that stay; on old ones nothing else is changed (G6)."""

from __future__ import annotations

from dataclasses import replace

from ballast.api.conditions import ConditionType, Reason, find_condition
from ballast.decide.life.reporting import at_start
from ballast.decide.policy import Policy
from ballast.decide.snapshot import Job
from tests.builders import NOW, job
from tests.unit.decide.reported import (
    LATER,
    after_report,
    asked,
    energy,
    figures,
    fresh,
    is_quiet,
    new_status,
    progress,
    running,
    trained,
)

WITHOUT = Policy(prometheus=False)


def told_fresh(replicas: int = 1) -> Job:
    return after_report(running(replicas), figures(pods=replicas, **trained(step=7)))


def verdict(of: Job) -> tuple[str, str]:
    condition = fresh(of.job.status)
    return condition.status.value, condition.reason


def test_fresh() -> None:
    condition = fresh(told_fresh(2).job.status)
    assert (condition.status, condition.reason) == ("True", Reason.READINGS_FRESH)
    assert condition.message == "power and energy of 2 pods are known, no figure older than 60 s"


def test_old_figures_are_stale_and_leave_no_watts() -> None:
    later = asked(LATER + 61)
    status = new_status(told_fresh(), figures(LATER + 61, age=61, **trained(step=7)), later)
    assert (fresh(status).status, fresh(status).reason) == ("False", Reason.READINGS_STALE)
    assert "of 1 pod the oldest figures are more than 60 s old" in fresh(status).message
    assert "ballast-exporter" in fresh(status).message
    assert energy(status).watts is None
    assert energy(status).joules == 5000.0


def test_nothing_ticks_while_figures_grow_older() -> None:
    stale = after_report(told_fresh(), figures(LATER + 61, age=61), asked(LATER + 61))
    assert is_quiet(stale, figures(LATER + 400, age=400), asked(LATER + 400))


def test_missing_pods_are_counted() -> None:
    condition = fresh(new_status(running(4), figures(pods=3)))
    assert (condition.status, condition.reason) == ("False", Reason.READINGS_STALE)
    assert "figures of 3 of 4 pods" in condition.message
    assert "port 9446" in condition.message


def test_a_gang_of_which_prometheus_knows_nothing_is_told() -> None:
    condition = fresh(new_status(running(2), None))
    assert (condition.status, condition.reason) == ("False", Reason.READINGS_STALE)
    assert "figures of 0 of 2 pods" in condition.message


def test_how_many_pods_are_missing_is_brought_up_to_date() -> None:
    of = after_report(running(4), figures(pods=3))
    assert is_quiet(of, figures(pods=3))
    assert "figures of 2 of 4 pods" in fresh(new_status(of, figures(pods=2))).message


def test_missing_pods_are_told_from_a_prometheus_that_answers_in_part() -> None:
    some = asked(problem="query 2 of 5 took more than 10 s")
    assert fresh(new_status(running(4), figures(pods=3), some)).reason == Reason.READINGS_STALE
    none = figures(pods=0, oldest_at=None)
    assert fresh(new_status(running(4), none, some)).reason == Reason.NO_TELEMETRY


def test_a_pod_that_has_ended_needs_no_figures() -> None:
    of = running(2)
    ended = replace(of, pods=(of.pods[0], replace(of.pods[1], phase="Succeeded")))
    assert fresh(new_status(ended, figures(pods=1))).message.startswith("power and energy of 1 pod are known")


def test_stale_figures_must_be_clearly_younger_to_be_fresh_again() -> None:
    stale = after_report(told_fresh(), figures(age=61))
    assert is_quiet(stale, figures(age=50))
    assert verdict(after_report(stale, figures(age=30))) == ("True", Reason.READINGS_FRESH)


def test_fresh_figures_stay_fresh_up_to_the_limit() -> None:
    assert is_quiet(told_fresh(), figures(age=59, **trained(step=7)))


def test_a_gang_that_has_just_begun_need_not_have_figures() -> None:
    soon = NOW + 30
    assert is_quiet(running(2), figures(soon, pods=0, oldest_at=None, watts=None, joules={}), asked(soon))
    assert is_quiet(running(2), None, asked(soon, "connection refused"))
    late = NOW + 61
    assert not is_quiet(running(2), figures(late, pods=0, oldest_at=None, watts=None, joules={}), asked(late))


def test_what_was_told_is_corrected_also_of_a_gang_that_has_just_begun() -> None:
    soon = NOW + 30
    of = after_report(running(2), figures(soon - 15, pods=2), asked(soon - 15))
    assert verdict(of) == ("True", Reason.READINGS_FRESH)
    of = after_report(of, figures(soon, pods=1), asked(soon))
    assert verdict(of) == ("False", Reason.READINGS_STALE)


def test_some_pods_watts_are_not_the_gangs() -> None:
    soon = NOW + 30
    status = new_status(running(2), figures(soon, pods=1), asked(soon))
    assert energy(status).watts is None
    assert energy(status).joules == 5000.0
    assert find_condition(status.conditions, ConditionType.TELEMETRY_FRESH) is None


def test_a_prometheus_that_fails_once_is_no_news() -> None:
    assert is_quiet(told_fresh(), figures(LATER), asked(LATER + 15, "connection refused"))


def test_a_prometheus_that_does_not_answer_is_told_once() -> None:
    down = asked(LATER + 90, "connection refused after 1.0 s")
    of = after_report(told_fresh(), figures(LATER), down)
    assert verdict(of) == ("Unknown", Reason.NO_TELEMETRY)
    assert "connection refused after 1.0 s" in fresh(of.job.status).message
    assert energy(of.job.status).watts is None
    assert is_quiet(of, figures(LATER), asked(LATER + 105, "connection refused after 1.1 s"))


def test_without_any_telemetry_a_problem_is_told() -> None:
    of = after_report(told_fresh(), None, asked(LATER + 90, "connection refused"))
    assert verdict(of) == ("Unknown", Reason.NO_TELEMETRY)


def test_while_prometheus_tells_nothing_only_condition_and_watts_change() -> None:
    before = told_fresh()
    much_more = figures(LATER, watts=900.0, joules={}, **trained(step=900))
    after = after_report(before, much_more, asked(LATER + 90, "connection refused"))
    status = after.job.status
    assert energy(status) == energy(before.job.status).model_copy(update={"watts": None})
    assert progress(status) == progress(before.job.status)
    assert status.phase is before.job.status.phase


def test_without_a_prometheus_that_is_said_when_the_gang_begins() -> None:
    of = running()
    conditions = at_start(of, of.job.status.conditions, asked(policy=WITHOUT))
    condition = find_condition(conditions, ConditionType.TELEMETRY_FRESH)
    assert condition is not None
    assert (condition.status, condition.reason) == ("Unknown", Reason.NO_TELEMETRY)
    assert "prometheus.url" in condition.message
    begun = running(conditions=conditions)
    assert is_quiet(begun, None, asked(policy=WITHOUT))


def test_with_a_prometheus_a_gang_begins_without_the_condition() -> None:
    told = told_fresh()
    conditions = at_start(told, told.job.status.conditions, asked())
    assert find_condition(conditions, ConditionType.TELEMETRY_FRESH) is None
    assert len(conditions) == len(told.job.status.conditions) - 1


def test_a_prometheus_that_is_not_configured_any_more_is_told() -> None:
    of = after_report(told_fresh(), None, asked(policy=WITHOUT))
    assert verdict(of) == ("Unknown", Reason.NO_TELEMETRY)
    assert energy(of.job.status).watts is None


def test_pods_without_an_exporter_are_told_from_silent_ones() -> None:
    of = job("train").with_pod_spec(hostNetwork=True).running_on("a").build()
    assert is_quiet(of, None)
    condition = find_condition(at_start(of, (), asked()), ConditionType.TELEMETRY_FRESH)
    assert condition is not None
    assert "hostNetwork" in condition.message
