"""Two replicas: one leads, the other is warm; it goes on where the first was killed or stopped, and nothing is lost."""

from __future__ import annotations

from tests.e2e.audit import AuditLog, Request, writes_of_operator
from tests.e2e.evidence import most_gpus_promised
from tests.e2e.kube import Kube
from tests.e2e.manifests import training_job
from tests.e2e.namespace import Namespace
from tests.e2e.operators import OPERATOR_NAME, OPERATOR_NAMESPACE, Operators
from tests.e2e.replicas import assert_no_step_twice, by_process, leader_and_standby

LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{OPERATOR_NAMESPACE}/leases/{OPERATOR_NAME}"
JOBS = 12
NODE, GPUS_OF_NODE = "a100-0", 8


def _submit(namespace: Namespace) -> list[str]:
    """Submit more jobs than run at once."""
    names = [f"job-{number:02}" for number in range(JOBS)]
    namespace.submit(*(training_job(name).pods(2).gpus(1).torchrun().on_node(NODE) for name in names))
    return names


def _all_succeed(namespace: Namespace, names: list[str], version: str) -> None:
    """Wait for all jobs, and check that each was placed once and no GPU twice."""
    for name in names:
        namespace.wait_for_phase(name, "Succeeded")
    jobs = namespace.history(namespace.jobs_path, version)
    assert_no_step_twice(jobs)
    assert all(len(namespace.job(name)["status"]["attempts"]) == 1 for name in names)
    assert most_gpus_promised(jobs, namespace.history(namespace.pods_path, version))[NODE] <= GPUS_OF_NODE


def _listed_everything_before_it_wrote(requests: list[Request]) -> None:
    """Check that a new leader listed everything after it had the lease: so it has seen all that the old one wrote."""
    took = next(n for n, each in enumerate(requests) if each.is_write and each.resource == "leases" and each.succeeded)
    wrote = next(n for n, each in enumerate(requests) if each.is_write and each.resource != "leases")
    listed = {each.resource for each in requests[took:wrote] if each.verb == "list"}
    assert {"nodes", "pods", "jobs", "trainingjobs"} <= listed


def test_only_the_leader_writes(namespace: Namespace, operators: Operators, audit: AuditLog, kube: Kube) -> None:
    with leader_and_standby(operators) as (leader, standby):
        position, version = audit.position(), kube.version(namespace.jobs_path)
        assert kube.get(LEASE)["spec"]["holderIdentity"] == leader.identity()
        names = _submit(namespace)
        _all_succeed(namespace, names, version)
        assert standby.ask("/healthz") == (200, "ok\n")
        assert f'ballast_trainingjobs{{phase="Succeeded"}} {float(JOBS)}' in standby.ask("/metrics")[1], "it is cold"
        writes = writes_of_operator(audit.since(position), namespace.name)
        assert len(by_process(writes, leader)) == len(writes) > 0


def test_a_killed_leader_is_followed(namespace: Namespace, operators: Operators, audit: AuditLog) -> None:
    with leader_and_standby(operators) as (leader, standby):
        position, version = audit.position(), namespace.kube.version(namespace.jobs_path)
        names = _submit(namespace)
        namespace.wait_for_phase(names[0], "Running", "Succeeded")
        leader.kill()
        standby.wait_until_it_leads()
        _all_succeed(namespace, names, version)
        requests = audit.since(position)
        writes = writes_of_operator(requests, namespace.name)
        assert by_process(writes, leader)
        assert by_process(writes, standby)
        _listed_everything_before_it_wrote(by_process(requests, standby))


def test_a_stopped_leader_gives_the_lease_back(namespace: Namespace, operators: Operators, kube: Kube) -> None:
    with leader_and_standby(operators) as (leader, standby):
        version = kube.version(namespace.jobs_path)
        names = _submit(namespace)
        namespace.wait_for_phase(names[0], "Running", "Succeeded")
        transitions = kube.get(LEASE)["spec"]["leaseTransitions"]
        assert leader.stop() == 0, leader.log_tail()
        assert "the lease is given back" in leader.log_text()
        standby.wait_until_it_leads()
        lease = kube.get(LEASE)["spec"]
        assert lease["holderIdentity"] == standby.identity()
        assert lease["leaseTransitions"] == transitions + 1
        _all_succeed(namespace, names, version)
        assert standby.stop() == 0, standby.log_tail()
    assert "holderIdentity" not in kube.get(LEASE)["spec"]


def test_a_stopped_standby_changes_nothing(operators: Operators, kube: Kube) -> None:
    with leader_and_standby(operators) as (leader, standby):
        assert standby.stop() == 0, standby.log_tail()
        assert leader.leads
        assert kube.get(LEASE)["spec"]["holderIdentity"] == leader.identity()


def test_a_leader_whose_lease_was_taken_ends(operators: Operators, kube: Kube) -> None:
    with leader_and_standby(operators) as (leader, standby):
        kube.merge(LEASE, {"spec": {"holderIdentity": "a-stranger"}})
        assert leader.wait_until_dead() == 1, leader.log_tail()
        assert "a-stranger has taken the lease" in leader.log_text()
        assert "Traceback" not in leader.log_text()
        standby.wait_until_it_leads()  # the stranger never renews


def test_a_leader_whose_loop_dies_ends_and_is_followed(namespace: Namespace, operators: Operators) -> None:
    with leader_and_standby(operators, leader_module="tests.e2e.dying_loop") as (leader, standby):
        namespace.submit(training_job("digits").gpus(1).on_node(NODE))
        assert leader.wait_until_dead() == 1, leader.log_tail()
        assert "a part of the operator died" in leader.log_text()
        standby.wait_until_it_leads()
        namespace.wait_for_phase("digits", "Succeeded")
