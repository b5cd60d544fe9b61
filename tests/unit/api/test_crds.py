"""The rendered CRDs: up to date, structural, and worth reading."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from ballast.api import crds
from ballast.api.base import ApiModel
from ballast.api.budgetstatus import BudgetCondition
from ballast.api.crds import KINDS, definition, main, render, structural_schema
from ballast.api.energybudget import EnergyBudget
from ballast.api.kinds import Kind
from ballast.api.nodepower import NodePower
from ballast.api.nodestatus import NodeCondition
from ballast.api.trainingjob import TrainingJob

_COMMITTED = Path(__file__).parents[3] / "charts" / "ballast" / "crds"


def _nodes(schema: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from _nodes(child, f"{path}.{name}")
    if "items" in schema:
        yield from _nodes(schema["items"], f"{path}[]")


_NODES = [(path, node) for kind in KINDS for path, node in _nodes(structural_schema(kind), kind.__name__)]
each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)


def test_committed_files_are_what_the_models_say() -> None:
    assert main(["--check", str(_COMMITTED)]) == 0


def test_write_then_check(tmp_path: Path) -> None:
    folder = tmp_path / "crds"
    assert main(["--write", str(folder)]) == 0
    assert main(["--check", str(folder)]) == 0
    assert {path.name for path in folder.iterdir()} == set(render())
    assert len(render()) == len(KINDS)


def test_stale_file_fails_with_a_diff(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--write", str(tmp_path)])
    file = tmp_path / "trainingjobs.ballast.dev.yaml"
    file.write_text(file.read_text().replace("maximum: 1024", "maximum: 4096"))
    assert main(["--check", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "-                maximum: 4096" in said
    assert "+                maximum: 1024" in said
    assert "run `make crds`" in said


def test_missing_and_left_over_files_are_stale(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check", str(tmp_path)]) == 1
    main(["--write", str(tmp_path)])
    (tmp_path / "gone.yaml").write_text("kind: CustomResourceDefinition\n")
    assert main(["--check", str(tmp_path)]) == 1
    assert "gone.yaml" in capsys.readouterr().err
    main(["--write", str(tmp_path)])
    assert main(["--check", str(tmp_path)]) == 0


@each_kind
def test_yaml_is_the_definition(kind: type[Kind]) -> None:
    text = render()[f"{kind.resource.plural}.ballast.dev.yaml"]
    assert yaml.safe_load(text) == definition(kind)


def test_every_node_has_one_type_or_is_int_or_string() -> None:
    for path, node in _NODES:
        assert ("type" in node) != ("x-kubernetes-int-or-string" in node), path
        assert node.keys().isdisjoint({"$ref", "$defs", "title", "anyOf", "oneOf", "allOf", "const", "nullable"}), path


def test_every_list_is_bounded() -> None:
    for path, node in _NODES:
        assert node.get("type") != "array" or "maxItems" in node, path


def test_every_field_is_described() -> None:
    # An item that is a scalar is described by its list.
    undescribed = [path for path, node in _NODES if "description" not in node and not path.endswith("[]")]
    assert undescribed == [f"{kind.__name__}.{name}" for kind in KINDS for name in ("apiVersion", "kind", "metadata")]


def test_every_number_is_bounded_or_may_be_anything_and_every_text_has_an_end() -> None:
    texts = [path for path, node in _NODES if node.get("type") == "string" and _is_endless(node)]
    # What must be absent needs no bound, and Kubernetes bounds the first two.
    absent = ("nodeName", "hostname", "subdomain", "apiVersion", "kind")
    assert [path for path in texts if path.rpartition(".")[2] not in absent] == []
    numbers = [path for path, node in _NODES if node.get("type") in ("integer", "number") and _is_boundless(node)]
    assert {path.rpartition(".")[2] for path in numbers} == {
        "value", "metric", "best", "cost", "terminationGracePeriodSeconds"
    }  # fmt: skip


def _is_endless(node: Mapping[str, Any]) -> bool:
    return node.keys().isdisjoint({"maxLength", "enum", "format"})


def _is_boundless(node: Mapping[str, Any]) -> bool:
    return node.keys().isdisjoint({"minimum", "maximum"})


def test_nothing_is_put_into_the_template() -> None:
    assert [path for path, node in _NODES if ".template" in path and "default" in node] == []


def test_nested_defaults_reach_a_spec_without_energy() -> None:
    spec = structural_schema(TrainingJob)["properties"]["spec"]["properties"]
    assert spec["energy"]["default"] == {
        "objective": "MinimizeEnergy",
        "maxSlowdownPercent": 10,
        "operatingPoint": {"mode": "Auto"},
        "shift": {"mode": "Ignore"},
    }


def test_a_job_that_no_operator_saw_is_pending() -> None:
    assert structural_schema(TrainingJob)["properties"]["status"]["default"] == {
        "phase": "Pending",
        "failures": 0,
        "activeSeconds": 0,
    }


@each_kind
def test_names(kind: type[Kind]) -> None:
    names = definition(kind)["spec"]["names"]
    assert names["shortNames"] == [_SHORT_NAMES[names["kind"]]]
    assert names["categories"] == ["ballast"]


_SHORT_NAMES = {"TrainingJob": "tj", "EnergyBudget": "eb", "NodePower": "np", "EnergyProfile": "epr"}


def test_what_belongs_to_no_namespace() -> None:
    scopes = {kind.__name__: definition(kind)["spec"]["scope"] for kind in KINDS}
    assert {name for name, scope in scopes.items() if scope == "Cluster"} == {"EnergyBudget", "NodePower"}


def test_columns_show_the_current_state() -> None:
    (version,) = definition(TrainingJob)["spec"]["versions"]
    columns = [column["name"] for column in version["additionalPrinterColumns"] if column["priority"] == 0]
    assert columns == ["Phase", "Reason", "Queue", "GPUs", "Nodes", "Done%", "Watts", "Energy", "Age"]


@each_kind
def test_every_column_shows_a_field_that_there_is(kind: type[Kind]) -> None:
    paths = {path.removeprefix(kind.__name__) for path, _ in _nodes(structural_schema(kind), kind.__name__)}
    for column in kind.resource.columns:
        field = re.sub(r"\[\?\(.*?\)\]", "[]", column.json_path)
        assert field in paths or field in _UNDECLARED, column


_UNDECLARED = {".metadata.creationTimestamp", ".spec.template.spec.priorityClassName"}


def test_a_condition_column_names_a_condition_that_the_kind_has() -> None:
    for kind, conditions in ((EnergyBudget, BudgetCondition), (NodePower, NodeCondition)):
        shown = {match for c in kind.resource.columns for match in re.findall(r"@\.type=='(\w+)'", c.json_path)}
        assert shown <= set(conditions)


def test_a_union_that_the_api_server_can_not_say_is_refused() -> None:
    class Confused(ApiModel):
        """Holds a number or text."""

        value: int | str

    with pytest.raises(crds.SchemaError, match=r"Confused\.value"):
        structural_schema(Confused)
