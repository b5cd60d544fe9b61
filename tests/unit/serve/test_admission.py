"""What the webhook says to a job, given what was found out about it."""

from __future__ import annotations

from typing import Any

import pytest

from ballast.serve.admission import MAX_WARNING_LENGTH, Answer, Findings, Quota, Say, Verdict, in_template, judge
from tests.unit.serve.reviewed import job

TEMPLATE = "spec.template.spec"
UNREADABLE = 'Pod in version "v1" cannot be handled as a Pod'


def forbidden(message: str) -> Findings:
    return Findings(answers=(Answer(403, f'pods "sweep-1-0-x7z" is forbidden: {message}'),))


def test_nothing_against_it() -> None:
    assert judge(job(), Findings(pod={})) == Verdict()


def test_what_is_not_known_counts_in_its_favour() -> None:
    assert judge(job(), Findings()).allowed


@pytest.mark.parametrize(
    ("status", "message", "says"),
    [
        (403, "exceeded quota: gpus, requested: ...", Say.QUOTA_EXCEEDED),
        (403, "error looking up service account team/x: ...", Say.NO_SERVICE_ACCOUNT),
        (403, "no PriorityClass with name urgent was found", Say.NO_PRIORITY_CLASS),
        (403, 'User "system:serviceaccount:b:o" cannot create resource "pods" in API group ""', Say.UNKNOWN),
        (403, "unable to create new content in namespace team because it is being terminated", Say.UNKNOWN),
        (403, 'violates PodSecurity "restricted:latest": ...', Say.REFUSED),
        (400, 'admission webhook "x" does not support dry run', Say.UNKNOWN),
        (400, "strict decoding error", Say.REFUSED),
        (422, "spec.dnsPolicy: Unsupported value", Say.REFUSED),
        (404, 'namespaces "team" not found', Say.UNKNOWN),
        (409, "try again", Say.UNKNOWN),
    ],
)
def test_what_an_answer_of_the_api_server_means(status: int, message: str, says: Say) -> None:
    assert Answer(status, message).says is says


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (
            'Pod "sweep-1-0-x7z" is invalid: spec.containers[0].image: Required value',
            f"{TEMPLATE}.containers[0].image: Required value",
        ),
        (
            'Pod "p" is invalid: [spec.a: Required value, metadata.labels: Invalid value: "x"]',
            f'{TEMPLATE}.a: Required value, spec.template.metadata.labels: Invalid value: "x"',
        ),
        (
            'pods "p" is forbidden: maximum memory usage per Container is 64Gi, but limit is 128Gi',
            f"{TEMPLATE}: maximum memory usage per Container is 64Gi, but limit is 128Gi",
        ),
        (
            f'{UNREADABLE}: strict decoding error: unknown field "spec.nodeSelecter"',
            f'unknown field "{TEMPLATE}.nodeSelecter"',
        ),
        (
            f"{UNREADABLE}: json: cannot unmarshal string into Go struct field PodSpec.spec.hostNetwork of type bool",
            f"{TEMPLATE}.hostNetwork: is string, must be bool",
        ),
    ],
)
def test_words_about_a_pod_become_words_about_the_template(message: str, told: str) -> None:
    assert in_template(message) == told


def test_a_missing_priority_class_is_named() -> None:
    verdict = judge(job(priorityClassName="urgent"), forbidden("no PriorityClass with name urgent was found"))
    assert verdict.message.startswith(f"{TEMPLATE}.priorityClassName: there is no PriorityClass 'urgent'")
    assert "kubectl get priorityclasses" in verdict.message


def test_a_missing_service_account_may_come_later() -> None:
    verdict = judge(job(serviceAccountName="later"), forbidden("error looking up service account team/later: ..."))
    assert verdict.allowed
    assert "no ServiceAccount 'later' yet" in verdict.warnings[0]


def test_a_missing_claim_may_come_later() -> None:
    verdict = judge(job(), Findings(missing_claims=("data",)))
    assert verdict.allowed
    assert "no PersistentVolumeClaim 'data' yet" in verdict.warnings[0]


@pytest.mark.parametrize(
    ("pod", "warns"),
    [
        ({"priorityClassName": "urgent", "preemptionPolicy": "PreemptLowerPriority"}, True),
        ({"priorityClassName": "urgent", "preemptionPolicy": "Never"}, False),
        ({"preemptionPolicy": "PreemptLowerPriority"}, False),  # what every pod without a class has
    ],
)
def test_a_class_that_preempts_behind_ballasts_back_is_told(pod: dict[str, Any], warns: bool) -> None:
    warnings = judge(job(), Findings(pod=pod)).warnings
    assert any("preemptionPolicy: Never" in warning for warning in warnings) is warns


@pytest.mark.parametrize(
    "name",
    ["nvidia.com/mig-1g.5gb", "nvidia.com/gpu.shared", "amd.com/gpu", "gpu.intel.com/i915", "habana.ai/gaudi"],
)
def test_other_gpus_are_refused(name: str) -> None:
    verdict = judge(job(trainer={"resources": {"limits": {name: 1}}}), Findings())
    assert verdict.message.startswith(f"{TEMPLATE}.containers[trainer].resources: {name} is not supported")
    assert "nvidia.com/gpu in the trainer's limits" in verdict.message


@pytest.mark.parametrize("name", ["nvidia.com/gpu", "cpu", "ephemeral-storage", "rdma/hca", "hugepages-2Mi"])
def test_other_resources_are_not(name: str) -> None:
    assert judge(job(trainer={"resources": {"limits": {name: 1}}}), Findings()).allowed


def test_what_placement_does_not_support_is_refused_with_its_words() -> None:
    verdict = judge(job(resourceClaims=[{"name": "g", "resourceClaimName": "x"}]), Findings())
    assert verdict.message.startswith(f"{TEMPLATE}.resourceClaims: dynamic resource allocation is not supported")


def test_all_that_is_wrong_is_told_at_once() -> None:
    wrong = job(
        resourceClaims=[{"name": "g", "resourceClaimName": "x"}], trainer={"resources": {"limits": {"a/gpu": 1}}}
    )
    verdict = judge(wrong, forbidden("no PriorityClass with name urgent was found"))
    assert len(verdict.refusals) == 3
    assert verdict.message.count("; ") >= 2


def test_a_warning_is_not_longer_than_the_api_server_passes_on() -> None:
    [warning] = judge(job(), Findings(missing_claims=("c" * 300,))).warnings
    assert len(warning) == MAX_WARNING_LENGTH
    assert warning.endswith("…")


class TestQuota:
    """A gang that never fits is refused; one that does not fit now waits."""

    EXCEEDED = (
        "exceeded quota: gpus, requested: requests.nvidia.com/gpu=2, used: requests.nvidia.com/gpu=7, "
        "limited: requests.nvidia.com/gpu=8"
    )

    @pytest.mark.parametrize(("replicas", "allowed"), [(1, True), (4, True), (5, False)])
    def test_one_that_is_used_up(self, replicas: int, allowed: bool) -> None:
        verdict = judge(job(replicas=replicas), forbidden(self.EXCEEDED))
        assert verdict.allowed is allowed
        assert ("ResourceQuota gpus has no room for it now" in " ".join(verdict.warnings)) is allowed
        assert ("more than ResourceQuota gpus ever allows in namespace team (8)" in verdict.message) is not allowed

    @pytest.mark.parametrize(("replicas", "allowed"), [(4, True), (5, False)])
    def test_one_that_has_room_for_the_first_pod(self, replicas: int, allowed: bool) -> None:
        quota = Quota("gpus", {"requests.nvidia.com/gpu": "8"}, scoped=False)
        assert judge(job(replicas=replicas), Findings(pod=None, quotas=(quota,))).allowed is allowed

    @pytest.mark.parametrize(
        ("hard", "allowed"),
        [
            ({"pods": "3"}, False),
            ({"pods": "4"}, True),
            ({"count/pods": "3"}, False),
            ({"requests.cpu": "3999m"}, False),
            ({"cpu": "4"}, True),
            ({"limits.memory": "7Gi"}, False),
            ({"limits.memory": "8Gi"}, True),
            ({"requests.memory": "4Gi"}, True),
            ({"services": "0", "requests.storage": "0"}, True),  # nothing that pods use
        ],
    )
    def test_what_counts(self, hard: dict[str, str], allowed: bool) -> None:
        pod = {
            "containers": [
                {
                    "name": "trainer",
                    "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "2Gi"}},
                }
            ]
        }
        findings = Findings(pod=pod, quotas=(Quota("team", hard, scoped=False),))
        assert judge(job(replicas=4), findings).allowed is allowed

    def test_a_scoped_one_may_not_count_these_pods(self) -> None:
        quota = Quota("best-effort", {"pods": "0"}, scoped=True)
        assert judge(job(), Findings(quotas=(quota,))).allowed

    def test_it_is_told_once(self) -> None:
        quota = Quota("gpus", {"requests.nvidia.com/gpu": "8"}, scoped=False)
        findings = Findings(answers=forbidden(self.EXCEEDED).answers, quotas=(quota,))
        assert len(judge(job(replicas=5), findings).refusals) == 1

    def test_one_that_wants_requests_in_every_pod(self) -> None:
        verdict = judge(job(), forbidden("failed quota: team: must specify limits.cpu for: trainer"))
        assert verdict.message == f"{TEMPLATE}: failed quota: team: must specify limits.cpu for: trainer"
