"""The operator says how it is: alive, ready, and in figures."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.manifests import training_job
from tests.e2e.namespace import Namespace
from tests.e2e.operator_process import OperatorProcess
from tests.e2e.operators import Operators


def test_alive_and_ready(operator: OperatorProcess) -> None:
    assert operator.ask("/healthz") == (200, "ok\n")
    assert operator.ask("/readyz") == (200, "ok\n")


def test_metrics_tell_what_it_did(operators: Operators, namespace: Namespace) -> None:
    with operators.start() as operator:
        operator.wait_until_ready()
        namespace.submit(training_job("digits").pods(2).gpus(1).on_node("a40-0"))
        namespace.wait_for_phase("digits", "Succeeded")
        namespace.wait_for_event("digits", "Succeeded")
        _, text = operator.ask("/metrics")

    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["ballast_trainingjobs", "Succeeded"] == 1
    assert samples["ballast_trainingjobs", "Running"] == 0
    assert samples["ballast_cycle_seconds_count",] >= 3
    assert samples["ballast_ready_seconds",] > 0
    assert samples["ballast_api_requests_total", "200", "patch", "pods"] == 2
    assert samples["ballast_api_requests_total", "201", "events", "post"] == 3
    assert samples["ballast_actions_total", "CreateObjects", "done"] == 1
    assert samples["ballast_events_dropped_total",] == 0


@pytest.mark.usefixtures("cluster")
def test_a_loop_that_ends_no_cycle_is_unhealthy(operators: Operators) -> None:
    with operators.start(settings={"BALLAST_STUCK_SECONDS": "0.5", "BALLAST_IDLE_SECONDS": "30"}) as operator:
        operator.wait_until_ready()
        status, said = 200, ""
        while status == 200 and operator.running:
            status, said = operator.ask("/healthz")
        assert status == 503
        assert "no control cycle has ended for" in said
