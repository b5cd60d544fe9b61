"""`ttlSecondsAfterFinished`: an ended job goes in time, with all that belongs to it, and no other does."""

from __future__ import annotations

import pytest

from tests.e2e.aftermath import assert_nothing_left
from tests.e2e.audit import AuditLog, writes_of_operator
from tests.e2e.manifests import training_job
from tests.e2e.namespace import Namespace

NODE = "a40-1"

pytestmark = pytest.mark.usefixtures("operator")


@pytest.mark.parametrize(("code", "end"), [(0, "Succeeded"), (1, "Failed")])
@pytest.mark.parametrize("seconds", [0, 2])
def test_an_ended_job_goes_with_its_pods(
    code: int, end: str, seconds: int, namespace: Namespace, audit: AuditLog
) -> None:
    since = namespace.kube.version(namespace.jobs_path)
    namespace.submit(
        training_job("gang").pods(2).gpus(1).torchrun().on_node(NODE).exits(code)
        .spec(retryLimit=0, ttlSecondsAfterFinished=seconds)
    )  # fmt: skip
    assert namespace.last_version(namespace.jobs_path, "gang", since)["status"]["phase"] == end
    namespace.wait_until_gone()
    assert_nothing_left(namespace, audit)


def test_it_may_be_set_when_the_job_has_ended(namespace: Namespace, audit: AuditLog) -> None:
    namespace.submit(training_job("digits").gpus(1).on_node(NODE), training_job("stays").gpus(1).on_node(NODE))
    for name in ("digits", "stays"):
        namespace.wait_for_phase(name, "Succeeded")
    namespace.edit("digits", ttlSecondsAfterFinished=1)
    namespace.wait(namespace.jobs_path, "digits", lambda found: not found, "digits is gone")
    assert namespace.job("stays")["status"]["phase"] == "Succeeded"
    assert_nothing_left(namespace, audit)


def test_a_suspended_job_never_expires(namespace: Namespace, audit: AuditLog) -> None:
    namespace.submit(training_job("digits").gpus(1).on_node(NODE).runs(seconds=600).spec(ttlSecondsAfterFinished=0))
    namespace.wait_for_phase("digits", "Running")
    namespace.edit("digits", suspend=True)
    namespace.wait_for_phase("digits", "Suspended")
    namespace.submit(training_job("a-while").gpus(1).on_node(NODE))
    namespace.wait_for_phase("a-while", "Succeeded")
    assert namespace.job("digits")["status"]["phase"] == "Suspended"
    writes = writes_of_operator(audit.about(namespace.name), namespace.name)
    assert not [write for write in writes if write.verb == "delete" and write.resource == "trainingjobs"]
    assert_nothing_left(namespace, audit)
