"""What values make of exporters, of the way to Prometheus and of the way back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ballast.act.exporter_sidecar import ExporterSidecar
from ballast.api import exporter
from ballast.api.labels import JOB_UID_LABEL
from ballast.settings import OperatorSettings
from tests.cluster.errors import CommandError
from tests.cluster.helm import readings, rendered

Objects = dict[tuple[str, str], dict[str, Any]]

PROMETHEUS_OPERATOR = (
    "--api-versions=monitoring.coreos.com/v1/PodMonitor",
    "--api-versions=monitoring.coreos.com/v1/PrometheusRule",
)
URL = "https://mimir.example/prometheus"


def deployment(objects: Objects) -> dict[str, Any]:
    """The operator's pod template."""
    found: dict[str, Any] = objects["Deployment", "ballast-operator"]["spec"]["template"]
    return found


def environment(objects: Objects) -> dict[str, str]:
    """The operator's environment variables."""
    [container] = deployment(objects)["spec"]["containers"]
    return {each["name"]: each["value"] for each in container["env"]}


def settings(objects: Objects, monkeypatch: pytest.MonkeyPatch) -> OperatorSettings:
    """The operator's settings, as it reads them."""
    for name, value in environment(objects).items():
        monkeypatch.setenv(name, value)
    return OperatorSettings()


def sources(objects: Objects) -> list[dict[str, Any]]:
    """What the operator's volume of Prometheus' files is made of; empty where there is none."""
    pod = deployment(objects)["spec"]
    volumes = [each["projected"]["sources"] for each in pod["volumes"] if each["name"] == "prometheus"]
    mounts = [each for each in pod["containers"][0]["volumeMounts"] if each["name"] == "prometheus"]
    assert len(volumes) == len(mounts)
    return [source for each in volumes for source in each]


def annotated(objects: Objects) -> set[str]:
    """Whose pods carry the annotations by which Prometheus finds them."""
    own = {("Deployment", "ballast-operator"): "operator", ("DaemonSet", "ballast-agent"): "agent"}
    found = {
        name
        for key, name in own.items()
        if "prometheus.io/scrape" in objects[key]["spec"]["template"]["metadata"]["annotations"]
    }
    return found | ({"training"} if environment(objects)["BALLAST_EXPORTER_ANNOTATIONS"] == "true" else set())


def kinds(objects: Objects) -> set[tuple[str, str]]:
    """What is there for a Prometheus Operator."""
    return {key for key in objects if key[0] in {"PodMonitor", "PrometheusRule"}}


def test_as_it_is_pods_have_exporters_and_there_is_no_prometheus(monkeypatch: pytest.MonkeyPatch) -> None:
    found = settings(rendered(), monkeypatch)
    sidecar = ExporterSidecar.of(found)
    assert sidecar == ExporterSidecar("localhost/ballast-exporter:dev")
    assert found.prometheus_url == ""


def test_without_the_exporter_pods_get_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ExporterSidecar.of(settings(rendered("--set", "exporter.enabled=false"), monkeypatch)) is None


def test_what_is_set_of_the_exporter_reaches_training_pods(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {
        "image": {"repository": "registry.example/exporter@sha256:0", "tag": "", "pullPolicy": "Always"},
        "resources": {"cpu": "0.1", "memory": "1Gi"},
        "pollSeconds": 0.5,
        "annotations": False,
    }
    found = settings(rendered("--set-json", f"exporter={json.dumps(values)}"), monkeypatch)
    assert ExporterSidecar.of(found) == ExporterSidecar(
        "registry.example/exporter@sha256:0", "Always", cpu="0.1", memory="1Gi", poll_seconds=0.5, annotations=False
    )


def test_what_is_set_of_prometheus_reaches_the_operator(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = {"cluster": 'a "b"', "env": "p,q"}
    options = readings(
        URL, headers={"X-Scope-OrgID": "team"}, labels=labels, telemetrySeconds=5, staleSeconds=20,
        lostReadingSeconds=1000000,
    )  # fmt: skip
    found = settings(rendered(*options), monkeypatch)
    assert found.prometheus_url == URL
    assert found.prometheus_headers == {"X-Scope-OrgID": "team"}
    assert found.prometheus_labels == labels
    assert (found.telemetry_seconds, found.telemetry_stale_seconds, found.lost_reading_seconds) == (5, 20, 1000000)
    assert (found.prometheus_token_file, found.prometheus_ca_file) == (None, None)


@pytest.mark.parametrize(("kind", "value"), [("secret", "caSecret"), ("configMap", "caConfigMap")])
def test_token_and_authorities_are_files_of_the_operator(
    kind: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = readings(URL, tokenSecret={"name": "thanos", "key": "bearer"}, **{value: {"name": "ca", "key": "pem"}})
    objects = rendered(*options)
    found = settings(objects, monkeypatch)
    assert sources(objects) == [
        {"secret": {"name": "thanos", "items": [{"key": "bearer", "path": "token"}]}},
        {kind: {"name": "ca", "items": [{"key": "pem", "path": "ca.crt"}]}},
    ]
    assert str(found.prometheus_token_file) == "/etc/ballast/prometheus/token"
    assert str(found.prometheus_ca_file) == "/etc/ballast/prometheus/ca.crt"


def test_files_of_a_prometheus_that_there_is_not_are_not_mounted() -> None:
    assert sources(rendered(*readings("", tokenSecret={"name": "thanos", "key": "token"}))) == []
    assert sources(rendered(*readings(URL))) == []


def test_two_places_for_the_authorities_are_refused() -> None:
    both = readings(URL, caSecret={"name": "a", "key": "k"}, caConfigMap={"name": "b", "key": "k"})
    with pytest.raises(CommandError, match=r"prometheus\.caSecret and prometheus\.caConfigMap"):
        rendered(*both)


def test_where_there_are_no_pod_monitors_pods_are_found_by_annotations() -> None:
    objects = rendered()
    assert kinds(objects) == set()
    assert annotated(objects) == {"operator", "agent", "training"}


def test_where_there_are_pod_monitors_they_find_all_pods_and_annotations_none() -> None:
    objects = rendered(*PROMETHEUS_OPERATOR)
    assert kinds(objects) == {
        ("PodMonitor", "ballast-training-pods"), ("PodMonitor", "ballast"), ("PrometheusRule", "ballast"),
    }  # fmt: skip
    assert annotated(objects) == set()


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("podMonitor.enabled=false,rules.enabled=true", {("PrometheusRule", "ballast")}),
        ("rules.enabled=false", {("PodMonitor", "ballast-training-pods"), ("PodMonitor", "ballast")}),
        ("exporter.enabled=false,rules.enabled=false", {("PodMonitor", "ballast")}),
    ],
)
def test_each_can_be_had_alone(option: str, expected: set[tuple[str, str]]) -> None:
    assert kinds(rendered(*PROMETHEUS_OPERATOR, "--set", option)) == expected


def test_what_is_wanted_is_made_though_the_cluster_does_not_say_that_it_has_it() -> None:
    objects = rendered("--set", "podMonitor.enabled=true,rules.enabled=true")
    assert len(kinds(objects)) == 3
    assert annotated(objects) == set()


def test_annotations_can_be_had_and_left_out_whatever_the_cluster_has() -> None:
    both = "exporter.annotations=true,prometheus.scrape=true"
    assert annotated(rendered(*PROMETHEUS_OPERATOR, "--set", both)) == {"operator", "agent", "training"}
    assert annotated(rendered("--set", both.replace("true", "false"))) == set()
    assert annotated(rendered("--set", "exporter.annotations=false")) == {"operator", "agent"}


def test_training_pods_are_found_in_all_namespaces_by_what_they_all_have() -> None:
    values = {
        "labels": {"release": "monitoring"},
        "interval": "30s",
        "honorLabels": True,
        "relabelings": [{"action": "labeldrop", "regex": "container"}],
        "sampleLimit": 7000000,
    }
    objects = rendered(*PROMETHEUS_OPERATOR, "--set-json", f"podMonitor={json.dumps(values)}")
    monitor = objects["PodMonitor", "ballast-training-pods"]
    assert monitor["metadata"]["labels"]["release"] == "monitoring"
    assert monitor["spec"] == {
        "namespaceSelector": {"any": True},
        "sampleLimit": 7000000,
        "selector": {"matchExpressions": [{"key": JOB_UID_LABEL, "operator": "Exists"}]},
        "podMetricsEndpoints": [
            {
                "port": exporter.METRICS_PORT_NAME,
                "path": exporter.METRICS_PATH,
                "interval": "30s",
                "honorLabels": True,
                "relabelings": values["relabelings"],
            }
        ],
    }


def test_no_training_pod_can_flood_prometheus_unless_one_may() -> None:
    def spec(*options: str) -> dict[str, Any]:
        found: dict[str, Any] = rendered(*PROMETHEUS_OPERATOR, *options)["PodMonitor", "ballast-training-pods"]["spec"]
        return found

    assert spec()["sampleLimit"] == 1000
    assert "sampleLimit" not in spec("--set", "podMonitor.sampleLimit=0")


def test_ballasts_own_pods_are_found_by_the_port_that_both_have() -> None:
    objects = rendered(*PROMETHEUS_OPERATOR)
    spec = objects["PodMonitor", "ballast"]["spec"]
    [endpoint] = spec["podMetricsEndpoints"]
    for kind, name in (("Deployment", "ballast-operator"), ("DaemonSet", "ballast-agent")):
        template = objects[kind, name]["spec"]["template"]
        assert spec["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
        assert endpoint["port"] in {port["name"] for port in template["spec"]["containers"][0]["ports"]}


def test_the_rules_can_have_the_labels_by_which_they_are_selected() -> None:
    objects = rendered(*PROMETHEUS_OPERATOR, "--set", "rules.labels.release=monitoring")
    assert objects["PrometheusRule", "ballast"]["metadata"]["labels"]["release"] == "monitoring"


@pytest.mark.parametrize(
    ("option", "named"),
    [
        ("exporter.annotations=maybe", "annotations"),
        ("exporter.pollSeconds=0.1", "pollSeconds"),
        ("exporter.resources.memory=much", "memory"),
        ("exporter.image.repository=", "repository"),
        ("prometheus.url=prometheus:9090", "url"),
        ("prometheus.telemetrySeconds=0", "telemetrySeconds"),
        ("prometheus.token=secret", "token"),
        ("podMonitor.interval=15", "interval"),
        ("podMonitor.sampleLimit=-1", "sampleLimit"),
        ("rules.enabled=perhaps", "enabled"),
    ],
)
def test_a_wrong_value_is_refused_by_name(option: str, named: str) -> None:
    with pytest.raises(CommandError, match=named):
        rendered("--set", option)
