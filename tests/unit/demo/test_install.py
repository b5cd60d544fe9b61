"""What the demo changes in the chart's manifests."""

from __future__ import annotations

import yaml

from tests.demo.install import BUILD_ANNOTATION, CHART, with_image

DEPLOYMENT = yaml.safe_load((CHART / "operator" / "deployment.yaml").read_text())


def test_without_an_image_or_a_build_nothing_changes() -> None:
    assert with_image(DEPLOYMENT, "", "") == DEPLOYMENT


def test_another_build_rolls_the_deployment() -> None:
    template = with_image(DEPLOYMENT, "", "ballast-operator:abc")["spec"]["template"]
    assert template["metadata"]["annotations"][BUILD_ANNOTATION] == "ballast-operator:abc"
    assert template["spec"] == DEPLOYMENT["spec"]["template"]["spec"]


def test_another_image() -> None:
    spec = with_image(DEPLOYMENT, "registry.example/operator:1", "")["spec"]["template"]["spec"]
    assert [container["image"] for container in spec["containers"]] == ["registry.example/operator:1"]


def test_other_kinds_are_left_alone() -> None:
    namespace = {"kind": "Namespace", "metadata": {"name": "ballast-system"}}
    assert with_image(namespace, "image", "build") is namespace
