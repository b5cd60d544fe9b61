"""The operator dies by SIGKILL before any of its writes, its successor after it; the next goes on from the world.

A gang, a job that has to wait for it and one that fails go through their whole lives while that happens. The API
server's audit log proves that each was placed exactly once; nothing of the operator's own memory is asked.
"""

from __future__ import annotations

import pytest

from tests.e2e.aftermath import assert_nothing_left
from tests.e2e.audit import AuditLog, Request, assert_once, count_by_name, cut_off_by_name, writes_of_operator
from tests.e2e.evidence import STEPS, History, chosen_nodes, most_gpus_promised, pods_made, steps
from tests.e2e.manifests import training_job
from tests.e2e.namespace import Namespace, nodes_of
from tests.e2e.operators import Operators
from tests.e2e.restarts import Mortals, around

NODE, GPUS_OF_NODE = "v100-0", 8

WRITES = (
    "status.Queue",
    "status.Admit",
    "service",
    "job",
    "ungate",
    "ungate#2",
    "status.Run",
    "status.Succeed",
    "status.Fail",
    "event",
)
OUTCOMES = {"a-gang": "Succeeded", "b-waits": "Succeeded", "c-fails": "Failed"}
PODS = {"a-gang": 2, "b-waits": 1, "c-fails": 1}


@pytest.mark.parametrize("write", WRITES)
def test_every_job_is_placed_exactly_once(
    write: str, namespace: Namespace, operators: Operators, audit: AuditLog
) -> None:
    operators.stop()
    namespace.submit(
        training_job("a-gang").pods(2).gpus(4).torchrun().on_node(NODE),
        training_job("b-waits").gpus(1).on_node(NODE),
        training_job("c-fails").gpus(1).on_node(NODE).exits(3).spec(retryLimit=0),
    )
    with Mortals(operators, *around(write)) as mortals:
        for name, outcome in OUTCOMES.items():
            namespace.wait_for_phase(name, outcome)
        mortals.survivor()
        jobs = namespace.history(namespace.jobs_path, namespace.since)
        pods = namespace.history(namespace.pods_path, namespace.since)
        writes = writes_of_operator(audit.about(namespace.name), namespace.name)
        _each_status_was_written_once(jobs, writes)
        _each_job_was_admitted_once(writes)
        _each_job_was_created_once(writes)
        _each_pod_was_ungated_once(namespace, pods, writes)
        assert most_gpus_promised(jobs, pods)[NODE] <= GPUS_OF_NODE
        assert_nothing_left(namespace, audit)
        _each_event_was_sent_once(namespace)


def _each_status_was_written_once(jobs: History, writes: list[Request]) -> None:
    patches = count_by_name(writes, "trainingjobs/status")
    cut_off = cut_off_by_name(writes, "trainingjobs/status")
    for name, phases in steps(jobs).items():
        assert phases == sorted(set(phases), key=STEPS.index), f"{name} went back or repeated a step"
        assert phases[-1] == OUTCOMES[name]
        assert "Placing" in phases, f"{name} was never admitted"
        changes = sum(kind == "MODIFIED" for kind, job in jobs if job["metadata"]["name"] == name)
        assert patches[name] <= changes <= patches[name] + cut_off[name], f"{name}: a write that changed nothing"
    assert all(len(job["status"].get("attempts", [])) <= 1 for _, job in jobs if "status" in job)


def _each_job_was_admitted_once(writes: list[Request]) -> None:
    admissions = [
        write
        for write in writes
        if write.resource == "trainingjobs/status" and write.body["status"]["phase"] == "Placing"
    ]
    assert_once(admissions, "trainingjobs/status", OUTCOMES)


def _each_job_was_created_once(writes: list[Request]) -> None:
    assert_once(writes, "jobs", [f"{name}-1" for name in OUTCOMES], code=201)
    assert_once(writes, "services", ["a-gang-gang"], code=201)


def _each_pod_was_ungated_once(namespace: Namespace, pods: History, writes: list[Request]) -> None:
    made = pods_made(pods)
    assert {name: len(names) for name, names in made.items()} == PODS
    assert_once(writes, "pods", [pod for names in made.values() for pod in names])
    for name in OUTCOMES:
        promised = nodes_of(namespace.job(name))
        bound = [pod["spec"]["nodeName"] for pod in namespace.pods(name)]
        ungating = [write for write in writes if write.resource == "pods" and write.name in made[name]]
        assert promised == bound
        assert set(chosen_nodes(write.body for write in ungating)) == set(bound)


def _each_event_was_sent_once(namespace: Namespace) -> None:
    for name in OUTCOMES:
        reasons = [event["reason"] for event in namespace.events(name)]
        assert len(reasons) == len(set(reasons)), f"{name}: {reasons}"
