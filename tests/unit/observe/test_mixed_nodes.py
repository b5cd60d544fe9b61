"""A node whose GPUs are of several models is told from one of a single model, and gangs with GPUs keep off it."""

from __future__ import annotations

import pytest

from ballast.decide.eligibility import ineligible_because
from ballast.observe.node_usage import NodeUsage
from tests.builders import JsonObject, job, node


def a_node(gpus: int, **labels: str) -> JsonObject:
    manifest = node("a").with_gpus("A100", gpus).manifest()
    manifest["metadata"]["labels"] |= {f"nvidia.com/gpu.{name}": value for name, value in labels.items()}
    manifest["status"]["capacity"] = manifest["status"]["allocatable"]
    return manifest


def mixes(manifest: JsonObject) -> bool:
    usage = NodeUsage()
    usage.put_node(manifest)
    return usage.nodes()[0].mixes_gpus


def test_more_gpus_than_are_of_the_labelled_model() -> None:
    assert mixes(a_node(5, count="4"))


@pytest.mark.parametrize(
    "manifest",
    [a_node(4, count="4"), a_node(16, count="4", replicas="4"), a_node(4), a_node(4, count="four")],
    ids=["one-model", "time-sliced", "unlabelled", "nonsense"],
)
def test_otherwise_it_has_one_model(manifest: JsonObject) -> None:
    assert not mixes(manifest)


def test_a_gpu_that_is_broken_makes_no_mix() -> None:
    manifest = a_node(4, count="4")
    manifest["status"]["allocatable"] = {**manifest["status"]["allocatable"], "nvidia.com/gpu": "3"}
    assert not mixes(manifest)


def test_gangs_with_gpus_keep_off_it() -> None:
    usage = NodeUsage()
    usage.put_node(a_node(5, count="4"))
    [mixed] = usage.nodes()
    assert ineligible_because(job("train").with_gpus(1).gang(), mixed) == "GPUs of several models"
    assert ineligible_because(job("train").gang(), mixed) is None
