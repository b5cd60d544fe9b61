"""The chart's settings are the operator's: the same names, defaults and bounds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from annotated_types import Ge, Gt, Le

from ballast.settings import OperatorSettings
from tests.cluster.helm import CHART

VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())["properties"]
SETTINGS: dict[str, dict[str, Any]] = SCHEMA["settings"]["properties"]
#: What the chart's own templates decide, or what nobody should have to change.
NOT_IN_THE_CHART = {
    "http_host", "http_port", "webhook_host", "webhook_port", "certificate_days", "namespace", "lease_name",
    "debounce_seconds", "idle_seconds", "resync_seconds", "stuck_seconds",
}  # fmt: skip


def field_of(name: str) -> str:
    """The operator's name of a setting, as the template makes it."""
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name)


@pytest.mark.parametrize("name", SETTINGS)
def test_it_is_one_of_the_operators_with_the_same_default(name: str) -> None:
    assert VALUES["settings"][name] == OperatorSettings.model_fields[field_of(name)].default


@pytest.mark.parametrize("name", SETTINGS)
def test_it_has_the_same_bounds(name: str) -> None:
    schema, bounds = SETTINGS[name], OperatorSettings.model_fields[field_of(name)].metadata
    assert schema.get("minimum") == next((each.ge for each in bounds if isinstance(each, Ge)), None)
    assert schema.get("maximum") == next((each.le for each in bounds if isinstance(each, Le)), None)
    assert schema.get("exclusiveMinimum") == next((each.gt for each in bounds if isinstance(each, Gt)), None)


def test_each_of_the_operators_can_be_set_or_is_left_out_on_purpose() -> None:
    assert {field_of(name) for name in SETTINGS} | NOT_IN_THE_CHART == set(OperatorSettings.model_fields)
    assert set(VALUES["settings"]) == set(SETTINGS)


def test_the_certificates_validity_has_the_same_default() -> None:
    assert VALUES["webhook"]["certificateDays"] == OperatorSettings.model_fields["certificate_days"].default


def test_every_value_has_a_schema() -> None:
    assert set(VALUES) <= set(SCHEMA)
    for name, value in VALUES.items():
        if SCHEMA[name].get("additionalProperties") is False:
            assert set(value) <= set(SCHEMA[name]["properties"])


def test_there_is_nothing_to_apply_beside_the_chart() -> None:
    assert {file.name for file in Path(CHART).iterdir()} == {
        "Chart.yaml", "values.yaml", "values.schema.json", ".helmignore", "crds", "templates",
    }  # fmt: skip
