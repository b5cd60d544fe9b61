"""The command line tells what it can do, and what to do when it cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster import Cluster
from tests.cluster.__main__ import main
from tests.cluster.errors import ClusterError
from tests.cluster.paths import cluster_name


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BALLAST_CACHE", str(tmp_path))
    monkeypatch.setenv("BALLAST_CLUSTER", "unit")


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    told = capsys.readouterr().out
    assert all(
        command in told for command in ("prepare", "up", "down", "status", "env", "kubectl", "logs", "load-images")
    )


def test_status_of_a_cluster_that_is_not_up(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status"]) == 1
    assert capsys.readouterr().out == "cluster unit: not up\n"


@pytest.mark.parametrize("command", [["env"], ["logs", "kubelet"], ["kubectl", "-n", "x", "get", "pods"]])
def test_without_a_cluster_it_says_how_to_start_one(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command) == 1
    assert "python -m tests.cluster up" in capsys.readouterr().err


def test_a_clusters_name_comes_from_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BALLAST_CLUSTER")
    one, other = cluster_name(Path("/one")), cluster_name(Path("/other"))
    assert one != other
    assert one == cluster_name(Path("/one"))


@pytest.mark.parametrize("name", ["Upper", "with space", "-dash", "a" * 41, "slash/"])
def test_a_name_that_cannot_name_kernel_objects_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BALLAST_CLUSTER", name)
    with pytest.raises(ClusterError, match="DNS label"):
        cluster_name()


def test_gpu_nodes_are_named_by_their_models(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, object] = {}
    monkeypatch.setattr(Cluster, "up", lambda _self, **options: asked.update(options))
    assert main(["up", "--gpu-nodes", "V100,A40"]) == 0
    assert asked == {"real_nodes": 1, "gpu_nodes": ["V100", "A40"]}
