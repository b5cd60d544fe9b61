"""SIGTERM ends the operator cleanly in the middle of its work: what was begun is finished, and nothing is lost."""

from __future__ import annotations

from tests.e2e.audit import AuditLog, writes_of_operator
from tests.e2e.evidence import steps
from tests.e2e.manifests import training_job
from tests.e2e.namespace import Namespace
from tests.e2e.operators import Operators

JOBS = 24


def test_a_stop_under_load(namespace: Namespace, operators: Operators, audit: AuditLog) -> None:
    operators.stop()
    position, version = audit.position(), namespace.kube.version(namespace.jobs_path)
    names = [f"job-{number:02}" for number in range(JOBS)]
    namespace.submit(*(training_job(name).pods(2).gpus(1).torchrun() for name in names))

    log = operators.new_log()
    with operators.start(log=log) as first:
        namespace.wait_for_phase(names[JOBS // 4], "Placing", "Running", "Succeeded")
        assert first.stop() == 0
        assert "stopped" in first.log_text()
        assert "Traceback" not in first.log_text()
    at_stop = writes_of_operator(audit.since(position), namespace.name)
    assert not [write for write in at_stop if write.cut_off], "a write was left half done"

    with operators.start(log=log) as second:
        second.wait_until_ready()
        for name in names:
            namespace.wait_for_phase(name, "Succeeded")
        assert second.stop() == 0
    for name, phases in steps(namespace.history(namespace.jobs_path, version)).items():
        assert len(phases) == len(set(phases)), f"{name} repeated a step: {phases}"


def test_a_stop_before_the_first_list(operators: Operators) -> None:
    operators.stop()
    with operators.start(settings={"BALLAST_LOG_LEVEL": "DEBUG"}) as operator:
        while operator.ask("/healthz")[0] == 0:
            assert operator.running, operator.log_tail()
        assert operator.stop() == 0
