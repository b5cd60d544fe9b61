"""A leader that was paused in the middle of its work, and wakes up when another leads, writes nothing more and ends.

It believes for as long as it sleeps that it leads: what counts is what the API server accepted from it afterwards.
"""

from __future__ import annotations

import pytest

from tests.e2e.audit import AuditLog, writes_of_operator
from tests.e2e.evidence import most_gpus_promised
from tests.e2e.manifests import training_job
from tests.e2e.namespace import Namespace
from tests.e2e.operators import Operators
from tests.e2e.replicas import assert_no_step_twice, by_process, leader_and_standby

JOBS = 16
NODE, GPUS_OF_NODE = "v100-0", 8


@pytest.mark.slow
@pytest.mark.parametrize("while_it", ["admits", "places", "finishes"])
def test_a_paused_leader_that_wakes_up_writes_nothing(
    while_it: str, namespace: Namespace, operators: Operators, audit: AuditLog
) -> None:
    names = [f"job-{number:02}" for number in range(JOBS)]
    with leader_and_standby(operators, leader_module="tests.e2e.pausable_loop") as (leader, standby):
        position, version = audit.position(), namespace.kube.version(namespace.jobs_path)
        namespace.submit(*(training_job(name).gpus(1).torchrun().on_node(NODE) for name in names))
        match while_it:
            case "admits":
                namespace.wait_for_phase(names[0], "Queued", "Placing", "Running", "Succeeded")
            case "places":
                namespace.wait_for_phase(names[0], "Placing", "Running", "Succeeded")
            case _:
                namespace.wait_for_phase(names[0], "Succeeded")
        leader.pause_between_steps()
        standby.wait_until_it_leads()
        namespace.wait_for_phase(names[JOBS // 2], "Succeeded")
        at_wake = audit.position()
        leader.wake()
        assert leader.wait_until_dead() == 1, leader.log_tail()
        assert "this process leads no longer" in leader.log_text()
        assert "Traceback" not in leader.log_text()
        assert standby.leads

        for name in names:
            namespace.wait_for_phase(name, "Succeeded")
        since_wake = writes_of_operator(audit.since(at_wake), namespace.name)
        by_standby = by_process(since_wake, standby)
        assert by_standby
        assert [write for write in since_wake if write not in by_standby] == [], "another than the new leader wrote"
        before_wake = writes_of_operator(audit.since(position), namespace.name)
        assert by_process(before_wake, leader), "it wrote nothing before it was paused: nothing is proven"

    jobs = namespace.history(namespace.jobs_path, version)
    assert_no_step_twice(jobs)
    assert most_gpus_promised(jobs, namespace.history(namespace.pods_path, version))[NODE] <= GPUS_OF_NODE
