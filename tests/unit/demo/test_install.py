"""What the demo tells helm, and how its user takes away again what it installed."""

from __future__ import annotations

from pathlib import Path

from tests.demo.install import image_options, uninstall_commands


def test_without_an_image_or_a_build_the_chart_decides() -> None:
    assert image_options("", "") == ()


def test_another_build_rolls_the_deployment() -> None:
    assert image_options("", "ballast-operator:abc") == (
        "--set-string",
        r"podAnnotations.ballast\.dev/image-build=ballast-operator:abc",
    )


def test_another_image_takes_the_place_of_the_charts_tag_too() -> None:
    assert image_options("registry.example/operator@sha256:0", "") == (
        "--set-string",
        "image.repository=registry.example/operator@sha256:0,image.tag=",
    )


def test_a_comma_in_a_value_begins_no_other_setting() -> None:
    assert image_options("", "a,replicas=9")[1].endswith(r"=a\,replicas=9")


def test_what_was_installed_is_taken_away_in_full() -> None:
    commands = uninstall_commands("kubectl", "/programs/helm", Path("/home/a b"))
    assert commands == (
        "/programs/helm --kubeconfig='/home/a b' uninstall ballast -n ballast-system",
        "kubectl delete -f charts/ballast/crds",
        "kubectl delete namespace ballast-system",
    )
