"""What values make of the chart."""

from __future__ import annotations

from typing import Any

import pytest

from ballast.settings import OperatorSettings
from tests.cluster.errors import CommandError
from tests.cluster.helm import CHART, helm, rendered


def environment(objects: dict[tuple[str, str], dict[str, Any]]) -> dict[str, str]:
    """The operator's environment variables."""
    [container] = objects["Deployment", "ballast-operator"]["spec"]["template"]["spec"]["containers"]
    return {variable["name"]: variable["value"] for variable in container["env"]}


def test_helm_has_nothing_against_it() -> None:
    assert "0 chart(s) failed" in helm("lint", "--strict", str(CHART))


def test_a_setting_reaches_the_operator_as_a_person_wrote_it() -> None:
    settings = '{"placementTimeoutSeconds": 1000000, "requestsPerSecond": 0.5}'
    variables = environment(rendered("--set-json", f"settings={settings}"))
    assert variables["BALLAST_PLACEMENT_TIMEOUT_SECONDS"] == "1000000"  # and not 1e+06
    assert variables["BALLAST_REQUESTS_PER_SECOND"] == "0.5"
    assert variables["BALLAST_LOG_LEVEL"] == "INFO"
    assert variables["BALLAST_WEBHOOK_PORT"] == "9443"


def test_weights_reach_the_operator(monkeypatch: pytest.MonkeyPatch) -> None:
    variables = environment(rendered("--set-json", 'queue.weights={"team-a": 2, "team-b": 0.5}'))
    monkeypatch.setenv("BALLAST_QUEUE_WEIGHTS", variables["BALLAST_QUEUE_WEIGHTS"])
    assert OperatorSettings().queue_weights == {"team-a": 2, "team-b": 0.5}
    assert "BALLAST_QUEUE_WEIGHTS" not in environment(rendered())


@pytest.mark.parametrize(
    ("option", "named"),
    [
        ("settings.placementTimeout=5", "placementTimeout"),
        ("settings.leaseSeconds=1", "leaseSeconds"),
        ("settings.logLevel=loud", "logLevel"),
        ("replica=3", "replica"),
        ("webhook.timeoutSeconds=1", "timeoutSeconds"),
        ("agent.settings.sampleHertz=100", "sampleHertz"),
        ("agent.settings.hertz=1", "hertz"),
        ("agent.hostPort=1", "hostPort"),
        ("uninstall.timeoutSeconds=0", "timeoutSeconds"),
        ("settings.shareSeconds=-1", "shareSeconds"),
        ("settings.deadlineHeadStartSeconds=-1", "deadlineHeadStartSeconds"),
        ("queue.weights.team-a=0", "team-a"),
        ("queue.weights.team-a=1001", "team-a"),
        ("queue.weights.team-a=much", "team-a"),
        ("queue.weights.Team_A=2", "Team_A"),
        ("queue.weight.team-a=2", "weight"),
    ],
)
def test_a_wrong_value_is_refused_by_name(option: str, named: str) -> None:
    with pytest.raises(CommandError, match=named):
        rendered("--set", option)


def test_without_the_webhook_nothing_of_it_is_there() -> None:
    objects = rendered("--set", "webhook.enabled=false,agent.enabled=false")
    assert not [kind for kind, _ in objects if kind == "ValidatingWebhookConfiguration"]
    assert environment(objects)["BALLAST_WEBHOOK_PORT"] == "0"
    rules = [*objects["ClusterRole", "ballast-operator"]["rules"], *objects["Role", "ballast-operator"]["rules"]]
    resources = {resource for rule in rules for resource in rule["resources"]}
    assert not resources & {"secrets", "validatingwebhookconfigurations", "resourcequotas", "persistentvolumeclaims"}
    assert not [rule for rule in rules if "pods" in rule["resources"] and "create" in rule["verbs"]]
    assert [port["name"] for port in objects["Service", "ballast-operator"]["spec"]["ports"]] == ["metrics"]


def test_the_bundle_is_left_to_the_operator() -> None:
    [webhook] = rendered()["ValidatingWebhookConfiguration", "ballast"]["webhooks"]
    assert "caBundle" not in webhook["clientConfig"]
    assert webhook["failurePolicy"] == "Ignore"


def test_no_right_is_for_everything() -> None:
    roles = [found for (kind, _), found in rendered().items() if kind in {"ClusterRole", "Role"}]
    assert len(roles) == 6
    for rule in (rule for role in roles for rule in role["rules"]):
        assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]


def test_an_image_that_is_named_in_full_gets_no_tag() -> None:
    options = "image.repository=registry.example/operator@sha256:0,image.tag="
    [container] = rendered("--set-string", options)["Deployment", "ballast-operator"]["spec"]["template"]["spec"][
        "containers"
    ]
    assert container["image"] == "registry.example/operator@sha256:0"


def test_prometheus_finds_the_pods_unless_it_should_not() -> None:
    def annotations(*options: str) -> dict[str, str]:
        template = rendered(*options)["Deployment", "ballast-operator"]["spec"]["template"]
        found: dict[str, str] = template["metadata"]["annotations"]
        return found

    assert annotations()["prometheus.io/port"] == "8080"
    assert "prometheus.io/scrape" not in annotations("--set", "prometheus.scrape=false")
