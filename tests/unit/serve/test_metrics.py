"""The names and labels that dashboards, alerts and the bench rely on."""

from __future__ import annotations

from ballast.api.jobstatus import Phase
from ballast.serve.metrics import Metrics


def lines(metrics: Metrics) -> set[str]:
    return set(metrics.render().decode().splitlines())


def test_jobs_by_phase_are_asked_for_when_scraped() -> None:
    metrics, counts = Metrics(), {Phase.QUEUED: 3, Phase.RUNNING: 0}
    metrics.observe_jobs(lambda: counts)
    assert {'ballast_trainingjobs{phase="Queued"} 3.0', 'ballast_trainingjobs{phase="Running"} 0.0'} <= lines(metrics)
    counts[Phase.RUNNING] = 2
    assert 'ballast_trainingjobs{phase="Running"} 2.0' in lines(metrics)


def test_requests_by_verb_resource_and_code() -> None:
    metrics = Metrics()
    metrics.count_request("PATCH", "pods", 200)
    metrics.count_request("PATCH", "pods", 200)
    metrics.count_request("GET", "nodes", 0)
    assert {
        'ballast_api_requests_total{code="200",resource="pods",verb="patch"} 2.0',
        'ballast_api_requests_total{code="0",resource="nodes",verb="get"} 1.0',
    } <= lines(metrics)


def test_actions_by_result() -> None:
    metrics = Metrics()
    metrics.count_action("Ungate", succeeded=True)
    metrics.count_action("Ungate", succeeded=False)
    assert {
        'ballast_actions_total{action="Ungate",result="done"} 1.0',
        'ballast_actions_total{action="Ungate",result="failed"} 1.0',
    } <= lines(metrics)


def test_what_went_wrong_is_counted() -> None:
    metrics = Metrics()
    metrics.count_dropped_event()
    metrics.count_invalid()
    metrics.count_poll(succeeded=False)
    assert 'ballast_telemetry_polls_total{result="failed"} 1.0' in lines(metrics)
    assert {"ballast_events_dropped_total 1.0", "ballast_invalid_trainingjobs_total 1.0"} <= lines(metrics)


def test_cycles_and_start_up_in_seconds() -> None:
    metrics = Metrics()
    metrics.cycle_seconds.observe(0.2)
    metrics.ready_seconds.set(1.5)
    assert {
        'ballast_cycle_seconds_bucket{le="0.25"} 1.0',
        'ballast_cycle_seconds_bucket{le="0.1"} 0.0',
        "ballast_cycle_seconds_count 1.0",
        "ballast_ready_seconds 1.5",
    } <= lines(metrics)


def test_who_leads_and_how_far_the_clock_was_set_are_asked_for_when_scraped() -> None:
    metrics, leading, offset = Metrics(), [False], [0.0]
    metrics.observe_leadership(lambda: leading[0])
    metrics.observe_clock(lambda: offset[0])
    assert {"ballast_leader 0.0", "ballast_clock_offset_seconds 0.0"} <= lines(metrics)
    leading[0], offset[0] = True, -3_600.0
    assert {"ballast_leader 1.0", "ballast_clock_offset_seconds -3600.0"} <= lines(metrics)


def test_changes_of_the_leader_and_failed_renewals() -> None:
    metrics = Metrics()
    metrics.count_leader()
    metrics.count_leader()
    metrics.count_failed_renewal()
    assert {"ballast_leader_transitions_total 2.0", "ballast_lease_renewals_failed_total 1.0"} <= lines(metrics)


def test_two_operators_in_one_process_count_for_themselves() -> None:
    one, other = Metrics(), Metrics()
    one.count_invalid()
    assert "ballast_invalid_trainingjobs_total 0.0" in lines(other)
