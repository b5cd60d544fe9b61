"""The chart's settings are the operator's and the agent's: the same names, defaults and bounds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from annotated_types import Ge, Gt, Le

from ballast.agent.settings import AgentSettings
from ballast.settings import OperatorSettings
from tests.cluster.helm import CHART

VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())["properties"]
SETTINGS: dict[str, dict[str, Any]] = SCHEMA["settings"]["properties"]
#: What the chart's own templates decide, or what nobody should have to change.
NOT_IN_THE_CHART = {
    "http_host", "http_port", "webhook_host", "webhook_port", "certificate_days", "namespace", "lease_name",
    "agents", "agent_port", "debounce_seconds", "idle_seconds", "resync_seconds", "stuck_seconds",
}  # fmt: skip
#: Of readings, empty nodes and the queue, where it stands in the chart, and which setting of the operator it is.
ELSEWHERE = {
    ("exporter", "pollSeconds"): "exporter_poll_seconds",
    ("prometheus", "url"): "prometheus_url",
    ("prometheus", "headers"): "prometheus_headers",
    ("prometheus", "labels"): "prometheus_labels",
    ("prometheus", "telemetrySeconds"): "telemetry_seconds",
    ("prometheus", "staleSeconds"): "telemetry_stale_seconds",
    ("prometheus", "lostReadingSeconds"): "lost_reading_seconds",
    ("emptyNodes", "mark"): "empty_nodes_mark",
    ("emptyNodes", "removed"): "empty_nodes_removed",
    ("queue", "weights"): "queue_weights",
}
#: Of readings, what is no value of its own kind: an image, files, and what depends on the cluster.
OF_READINGS_BY_TEMPLATE = {
    "exporter_image", "exporter_pull_policy", "exporter_cpu", "exporter_memory", "exporter_annotations",
    "prometheus_token_file", "prometheus_ca_file",
}  # fmt: skip
AGENT: dict[str, Any] = VALUES["agent"]
AGENT_SCHEMA: dict[str, Any] = SCHEMA["agent"]["properties"]
AGENT_SETTINGS: dict[str, dict[str, Any]] = AGENT_SCHEMA["settings"]["properties"]
#: What the agent's template decides: names, addresses and where it finds the node's folders.
NOT_IN_THE_AGENTS_PART = {
    "node_name", "host_ip", "namespace", "lease_name", "state_folder", "pod_resources_socket", "proc_root",
    "cgroup_root", "powercap_root", "https_host", "https_port", "http_host", "http_port",
}  # fmt: skip
BOTH = [
    *((name, schema, VALUES["settings"], OperatorSettings) for name, schema in SETTINGS.items()),
    *((name, schema, AGENT["settings"], AgentSettings) for name, schema in AGENT_SETTINGS.items()),
]
Model = type[OperatorSettings] | type[AgentSettings]


def field_of(name: str) -> str:
    """A process' own name of a setting, as the template makes it."""
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name)


@pytest.mark.parametrize(("name", "schema", "values", "model"), BOTH)
def test_it_is_one_of_the_process_with_the_same_default(
    name: str, schema: dict[str, Any], values: dict[str, Any], model: Model
) -> None:
    assert values[name] == model.model_fields[field_of(name)].default


@pytest.mark.parametrize(("name", "schema", "values", "model"), BOTH)
def test_it_has_the_same_bounds(name: str, schema: dict[str, Any], values: dict[str, Any], model: Model) -> None:
    bounds = model.model_fields[field_of(name)].metadata
    assert schema.get("minimum") == next((each.ge for each in bounds if isinstance(each, Ge)), None)
    assert schema.get("maximum") == next((each.le for each in bounds if isinstance(each, Le)), None)
    assert schema.get("exclusiveMinimum") == next((each.gt for each in bounds if isinstance(each, Gt)), None)


@pytest.mark.parametrize(("place", "field"), ELSEWHERE.items())
def test_what_stands_elsewhere_is_the_operators_own_default_with_its_bounds(place: tuple[str, str], field: str) -> None:
    part, name = place
    setting, schema = OperatorSettings.model_fields[field], SCHEMA[part]["properties"][name]
    assert VALUES[part][name] == setting.default
    bounds = setting.metadata
    assert schema.get("minimum") == next((each.ge for each in bounds if isinstance(each, Ge)), None)
    assert schema.get("maximum") == next((each.le for each in bounds if isinstance(each, Le)), None)
    assert schema.get("exclusiveMinimum") == next((each.gt for each in bounds if isinstance(each, Gt)), None)


@pytest.mark.parametrize("name", ["cpu", "memory"])
def test_the_exporter_gets_what_the_operator_would_give_it(name: str) -> None:
    setting = OperatorSettings.model_fields[f"exporter_{name}"]
    assert VALUES["exporter"]["resources"][name] == setting.default
    pattern = SCHEMA["exporter"]["properties"]["resources"]["properties"][name]["pattern"]
    assert pattern in {getattr(each, "pattern", None) for each in setting.metadata}


def test_each_of_the_operators_can_be_set_or_is_left_out_on_purpose() -> None:
    elsewhere = {*ELSEWHERE.values(), *OF_READINGS_BY_TEMPLATE}
    known = {field_of(name) for name in SETTINGS} | NOT_IN_THE_CHART | elsewhere
    assert known == set(OperatorSettings.model_fields)
    assert set(VALUES["settings"]) == set(SETTINGS)


def test_each_of_the_agents_can_be_set_or_is_left_out_on_purpose() -> None:
    assert {field_of(name) for name in AGENT_SETTINGS} | NOT_IN_THE_AGENTS_PART == set(AgentSettings.model_fields)
    assert set(AGENT["settings"]) == set(AGENT_SETTINGS)


@pytest.mark.parametrize(("port", "field"), [("httpsPort", "https_port"), ("httpPort", "http_port")])
def test_the_agents_ports_have_the_same_defaults(port: str, field: str) -> None:
    assert AGENT[port] == AgentSettings.model_fields[field].default


def test_the_certificates_validity_has_the_same_default() -> None:
    assert VALUES["webhook"]["certificateDays"] == OperatorSettings.model_fields["certificate_days"].default


def test_every_value_has_a_schema() -> None:
    assert set(VALUES) <= set(SCHEMA)
    for name, value in VALUES.items():
        if SCHEMA[name].get("additionalProperties") is False:
            assert set(value) <= set(SCHEMA[name]["properties"])
    assert set(AGENT) == set(AGENT_SCHEMA)


def test_there_is_nothing_to_apply_beside_the_chart() -> None:
    assert {file.name for file in Path(CHART).iterdir()} == {
        "Chart.yaml", "values.yaml", "values.schema.json", ".helmignore", "crds", "templates", "rules",
    }  # fmt: skip
