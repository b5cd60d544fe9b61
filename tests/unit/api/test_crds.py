"""The rendered CRDs: up to date, structural, and worth reading."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from ballast.api import crds
from ballast.api.base import ApiModel
from ballast.api.crds import definition, main, render, structural_schema
from ballast.api.trainingjob import TrainingJob

_COMMITTED = Path(__file__).parents[3] / "charts" / "ballast" / "crds"


def _nodes(schema: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from _nodes(child, f"{path}.{name}")
    if "items" in schema:
        yield from _nodes(schema["items"], f"{path}[]")


_NODES = list(_nodes(structural_schema(TrainingJob)))


def test_committed_files_are_what_the_models_say() -> None:
    assert main(["--check", str(_COMMITTED)]) == 0


def test_write_then_check(tmp_path: Path) -> None:
    folder = tmp_path / "crds"
    assert main(["--write", str(folder)]) == 0
    assert main(["--check", str(folder)]) == 0
    assert [path.name for path in folder.iterdir()] == list(render())


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


def test_yaml_is_the_definition() -> None:
    (text,) = render().values()
    assert yaml.safe_load(text) == definition(TrainingJob)


def test_every_node_has_one_type_or_is_int_or_string() -> None:
    for path, node in _NODES:
        assert ("type" in node) != ("x-kubernetes-int-or-string" in node), path
        assert node.keys().isdisjoint({"$ref", "$defs", "title", "anyOf", "oneOf", "allOf", "const", "nullable"}), path


def test_every_list_is_bounded() -> None:
    for path, node in _NODES:
        assert node.get("type") != "array" or "maxItems" in node, path


def test_every_field_is_described() -> None:
    undescribed = [path for path, node in _NODES if "description" not in node]
    assert undescribed == [".apiVersion", ".kind", ".metadata"]


def test_nothing_is_put_into_the_template() -> None:
    assert [path for path, node in _NODES if ".template" in path and "default" in node] == []


def test_nested_defaults_reach_a_spec_without_energy() -> None:
    spec = structural_schema(TrainingJob)["properties"]["spec"]["properties"]
    assert spec["energy"]["default"] == {"objective": "MinimizeEnergy", "maxSlowdownPercent": 10}


def test_a_job_that_no_operator_saw_is_pending() -> None:
    assert structural_schema(TrainingJob)["properties"]["status"]["default"] == {"phase": "Pending"}


def test_names() -> None:
    names = definition(TrainingJob)["spec"]["names"]
    assert names["shortNames"] == ["tj"]
    assert names["categories"] == ["ballast"]


def test_columns_show_the_current_state() -> None:
    (version,) = definition(TrainingJob)["spec"]["versions"]
    columns = [column["name"] for column in version["additionalPrinterColumns"] if column["priority"] == 0]
    assert columns == ["Phase", "Replicas", "GPUs", "Nodes", "Reason", "Age"]


def test_a_union_that_the_api_server_can_not_say_is_refused() -> None:
    class Confused(ApiModel):
        """Holds a number or text."""

        value: int | str

    with pytest.raises(crds.SchemaError, match=r"Confused\.value"):
        structural_schema(Confused)
