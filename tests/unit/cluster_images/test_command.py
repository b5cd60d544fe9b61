"""`python -m tests.cluster.images`: what it prints and how it ends."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.cluster import images
from tests.cluster.errors import BuildError
from tests.cluster.image_buildah import BuildahEngine
from tests.cluster.image_builds import Image

REFERENCE = "localhost/ballast-operator:0123456789abcdef"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Sequence[str] | None, str | None]]:
    """Replaces the builds; returns the list of what was asked for."""
    calls: list[tuple[Sequence[str] | None, str | None]] = []

    def build(targets: Sequence[str] | None = None, *, engine: str | None = None) -> list[Image]:
        calls.append((targets, engine))
        found = object.__new__(BuildahEngine)
        return [Image("operator", "localhost/ballast-operator:dev", REFERENCE, found, built=False)]

    monkeypatch.setattr(images, "build", build)
    return calls


def test_it_prints_nothing_on_standard_output_unless_asked(
    asked: list[object], capsys: pytest.CaptureFixture[str]
) -> None:
    assert images.main([]) == 0
    assert capsys.readouterr().out == ""


def test_it_prints_references_for_scripts(asked: list[object], capsys: pytest.CaptureFixture[str]) -> None:
    assert images.main(["--print"]) == 0
    assert capsys.readouterr().out == f"{REFERENCE}\n"


def test_it_passes_on_what_to_build_and_with_what(asked: list[tuple[Sequence[str] | None, str | None]]) -> None:
    images.main(["--target", "operator", "--engine", "buildah"])
    assert asked == [(["operator"], "buildah")]


def test_a_failed_build_is_told_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def build(*_: object, **__: object) -> list[Image]:
        raise BuildError("the image build ended with status 1", remedy=f"All its output is in {Path('a.log')}")

    monkeypatch.setattr(images, "build", build)
    assert images.main([]) == 1
    assert capsys.readouterr().err == "error: the image build ended with status 1. All its output is in a.log\n"
