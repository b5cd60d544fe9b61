"""Cluster files: what may be left out, and that everything wrong is named with its remedy, all at once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

import ballast.simulate
from ballast.simulate.inputs.cluster import InvalidCluster, nodes_of, read_cluster, read_groups, write_example
from ballast.simulate.policy import SimNode

LEAST = {"name": "a", "count": 1, "gpuModel": "V100", "gpus": 8, "basePower": "350W"}


def written(folder: Path, *groups: object) -> Path:
    path = folder / "cluster.yaml"
    path.write_text(yaml.safe_dump(list(groups)))
    return path


def problems(folder: Path, *groups: object) -> dict[str, str]:
    """What is said of each field."""
    with pytest.raises(InvalidCluster) as caught:
        read_cluster(written(folder, *groups))
    for problem in caught.value.problems:
        assert str(problem) in str(caught.value)
    return {problem.field: f"{problem.remedy} (is {problem.value})" for problem in caught.value.problems}


def test_the_example_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text(write_example())
    nodes = read_cluster(path)
    assert [node.name for node in nodes] == [f"{model}-{i}" for model in ("v100", "a40") for i in range(4)]
    assert nodes[0] == SimNode("v100-0", "V100", 8, 100, 250, 33, 350)
    assert nodes[-1] == SimNode("a40-3", "A40", 8, 100, 300, 30, 350)


def test_the_example_names_every_field() -> None:
    assert {"minPowerLimit", "maxPowerLimit", "idlePower"} <= set(re.findall(r"\w+(?=:)", write_example()))


@pytest.mark.parametrize(
    ("model", "known"),
    [
        ("V100", ("V100", 100, 250, 33)),
        ("A40", ("A40", 100, 300, 30)),
        ("NVIDIA-A100-SXM4-80GB", ("A100", 100, 400, 52)),
        ("NVIDIA-H100-80GB-HBM3", ("H100", 200, 700, 70)),
    ],
)
def test_known_boards_need_no_figures(tmp_path: Path, model: str, known: tuple[str, float, float, float]) -> None:
    (node,) = read_cluster(written(tmp_path, LEAST | {"gpuModel": model}))
    assert (node.gpu_model, node.min_limit_watts, node.max_limit_watts, node.idle_watts) == known


def test_what_is_written_goes_before_what_is_known(tmp_path: Path) -> None:
    group = LEAST | {"minPowerLimit": "0.15kW", "maxPowerLimit": "200W", "idlePower": "25W", "basePower": "1kW"}
    (node,) = read_cluster(written(tmp_path, group))
    assert node == SimNode("a-0", "V100", 8, 150, 200, 25, 1000)


def test_a_board_without_a_known_least_limit_is_asked_for_it_alone(tmp_path: Path) -> None:
    assert list(problems(tmp_path, LEAST | {"gpuModel": "P100"})) == ["a.minPowerLimit"]


def test_an_unlisted_model_is_asked_for_all_figures_at_once(tmp_path: Path) -> None:
    unlisted = LEAST | {"gpuModel": "ACME-Turbo-9"}
    told = problems(tmp_path, unlisted)
    assert list(told) == ["a.minPowerLimit", "a.maxPowerLimit", "a.idlePower"]
    assert all("ACME-Turbo-9" in said and "nvidia-smi -q -d POWER" in said for said in told.values())
    figures = {"minPowerLimit": "80W", "maxPowerLimit": "500W", "idlePower": "20W"}
    (node,) = read_cluster(written(tmp_path, unlisted | figures))
    assert node == SimNode("a-0", "ACME-Turbo-9", 8, 80, 500, 20, 350)


def test_all_problems_of_all_groups_are_told(tmp_path: Path) -> None:
    first = {key: value for key, value in LEAST.items() if key != "basePower"}
    second = LEAST | {"name": "b", "gpus": 0, "idlePower": 30, "maxPowerLimmit": "250W"}
    told = problems(tmp_path, first, second)
    assert set(told) == {"a.basePower", "b.gpus", "b.idlePower", "b.maxPowerLimmit"}
    assert "350W" in told["a.basePower"]
    assert "greater than or equal to 1 (is 0)" in told["b.gpus"]
    assert "has no unit" in told["b.idlePower"]
    assert "maxPowerLimit," in told["b.maxPowerLimmit"]


@pytest.mark.parametrize("field", list(LEAST))
def test_a_missing_field_is_named_with_what_to_write(tmp_path: Path, field: str) -> None:
    told = problems(tmp_path, {key: value for key, value in LEAST.items() if key != field})
    assert list(told) == [f"{'[0]' if field == 'name' else 'a'}.{field}"]
    assert "Field required" not in str(told)


@pytest.mark.parametrize(
    ("changed", "field", "remedy"),
    [
        ({"minPowerLimit": "260W"}, "a.minPowerLimit", "must be at most maxPowerLimit, which is 250 W"),
        ({"idlePower": "100W"}, "a.idlePower", "must be below minPowerLimit, which is 100 W"),
        ({"maxPowerLimit": "25kW"}, "a.maxPowerLimit", "must be at most 10 kW"),
        ({"basePower": "350"}, "a.basePower", "not a number followed by one of"),
        ({"count": "4"}, "a.count", "valid integer"),
        ({"gpus": True}, "a.gpus", "valid integer"),
        ({"name": "Rack 7"}, "[0].name", "lower-case letters, digits and '-'"),
    ],
)
def test_figures_that_cannot_be(tmp_path: Path, changed: dict[str, object], field: str, remedy: str) -> None:
    told = problems(tmp_path, LEAST | changed)
    assert list(told) == [field]
    assert remedy in told[field]


def test_a_name_that_stands_twice_is_refused(tmp_path: Path) -> None:
    assert "rename one" in problems(tmp_path, LEAST, LEAST)["[1].name"]


def test_a_group_that_is_no_mapping_is_refused(tmp_path: Path) -> None:
    assert "must be a node group" in problems(tmp_path, LEAST, "v100")["[1]"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "holds nothing: --example-cluster"),
        (b"[]", "holds nothing"),
        (b"name: a\ncount: 4\n", "holds dict"),
        (b"- {name: a\n- b", "is no YAML.*line 2"),
        (b"\xff\xfe", "UTF-8"),
    ],
)
def test_a_file_that_is_no_cluster_says_so(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_bytes(content)
    with pytest.raises(InvalidCluster, match=rf"cluster\.yaml: .*{told}"):
        read_cluster(path)


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(InvalidCluster, match=r"missing\.yaml: No such file"):
        read_cluster(tmp_path / "missing.yaml")


def test_the_experiments_cluster_is_the_one_that_was_stated() -> None:
    """4 nodes of each model with 8 GPUs, idle 33 W and 30 W a GPU, node base 350 W."""
    (package,) = ballast.simulate.__path__
    experiment = yaml.safe_load((Path(package) / "experiments" / "philly-november-2017.yaml").read_text())
    nodes = nodes_of(read_groups(experiment["cluster"], "experiment"))
    assert [(node.gpu_model, node.gpus, node.idle_watts, node.base_watts) for node in nodes] == (
        4 * [("V100", 8, 33, 350)] + 4 * [("A40", 8, 30, 350)]
    )
