"""A program comes from the first source that has it, in the same order for every program."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cluster import binaries, debian_packages, downloads, go_build
from tests.cluster.catalogue import DebianPackage, GoPackage, Program, Release
from tests.cluster.errors import BinaryUnavailableError, BuildError, DownloadError
from tests.unit.cluster.builders import a_program_file

TOOL = Program(
    name="ballast-test-tool",
    version="1.2.3",
    version_pattern=r"version (\d+\.\d+\.\d+)",
    accepts=r"1\.2\.\d+",
    release=Release("https://example.invalid/tool", "https://example.invalid/tool.sha256"),
    go=GoPackage("tool", "example.invalid/tool", 1.0),
    debian=DebianPackage("tool", "usr/bin/tool"),
)


class Sources:
    """Stands in for downloads, builds and packages; notes which were asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.works: set[str] = set()

    def get(self, source: str, target: Path, refusal: Exception) -> str:
        self.asked.append(source)
        if source not in self.works:
            raise refusal
        a_program_file(target, source)
        return source


@pytest.fixture
def sources(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Sources:
    made = Sources()
    monkeypatch.setenv("BALLAST_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.delenv(TOOL.variable, raising=False)
    monkeypatch.setattr(
        downloads, "download_release", lambda p, s, a, target: made.get("release", target, DownloadError("offline"))
    )
    monkeypatch.setattr(go_build, "build", lambda p, s, a, target: made.get("build", target, BuildError("no go")))
    monkeypatch.setattr(
        debian_packages,
        "unpack_program",
        lambda p, target: made.get("package", target, BinaryUnavailableError("no apt")),
    )
    return made


def test_a_path_that_the_user_names_comes_first(
    sources: Sources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = a_program_file(tmp_path / "mine" / "tool", "version 0.0.1")
    a_program_file(tmp_path / "path" / TOOL.name, "version 1.2.3")
    monkeypatch.setenv("PATH", f"{tmp_path / 'path'}:/usr/bin:/bin")
    monkeypatch.setenv("BALLAST_BIN_BALLAST_TEST_TOOL", str(named))
    assert binaries.resolve(TOOL).path == named
    assert sources.asked == []


def test_a_named_path_that_is_no_program_is_refused(
    sources: Sources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BALLAST_BIN_BALLAST_TEST_TOOL", str(tmp_path / "absent"))
    with pytest.raises(BinaryUnavailableError, match=r"BALLAST_BIN_BALLAST_TEST_TOOL=.*absent"):
        binaries.resolve(TOOL)


def test_path_comes_before_the_cache(sources: Sources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_path = a_program_file(tmp_path / "path" / TOOL.name, "tool version 1.2.9")
    a_program_file(binaries.cached_path(TOOL))
    monkeypatch.setenv("PATH", f"{tmp_path / 'path'}:/usr/bin:/bin")
    assert binaries.resolve(TOOL).path == on_path


@pytest.mark.parametrize("says", ["tool version 1.3.0", "usage: tool"])
def test_a_program_on_path_of_another_version_is_skipped_and_said_so(
    sources: Sources,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    says: str,
) -> None:
    a_program_file(tmp_path / "path" / TOOL.name, says)
    cached = a_program_file(binaries.cached_path(TOOL))
    monkeypatch.setenv("PATH", f"{tmp_path / 'path'}:/usr/bin:/bin")
    assert binaries.resolve(TOOL).path == cached
    assert "not using" in capsys.readouterr().err


def test_what_the_cache_has_is_not_fetched(sources: Sources) -> None:
    cached = a_program_file(binaries.cached_path(TOOL))
    assert binaries.resolve(TOOL).path == cached
    assert sources.asked == []


@pytest.mark.parametrize(
    ("works", "asked"),
    [
        ({"release", "build", "package"}, ["release"]),
        ({"build", "package"}, ["release", "build"]),
        ({"package"}, ["release", "build", "package"]),
    ],
)
def test_then_the_release_then_a_build_then_a_package(sources: Sources, works: set[str], asked: list[str]) -> None:
    sources.works = works
    assert binaries.resolve(TOOL).path == binaries.cached_path(TOOL)
    assert sources.asked == asked


def test_a_fetched_program_is_kept(sources: Sources) -> None:
    sources.works = {"release"}
    binaries.resolve(TOOL)
    binaries.resolve(TOOL)
    assert sources.asked == ["release"]


def test_when_nothing_works_the_error_tells_what_each_source_said(sources: Sources) -> None:
    with pytest.raises(BinaryUnavailableError, match=r"offline.*no go.*no apt.*BALLAST_BIN_BALLAST_TEST_TOOL"):
        binaries.resolve(TOOL)
    assert not binaries.cached_path(TOOL).exists()


def test_a_program_for_an_image_must_run_alone(
    sources: Sources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_program_file(tmp_path / "path" / TOOL.name, "tool version 1.2.3")  # a script needs its shell
    monkeypatch.setenv("PATH", f"{tmp_path / 'path'}:/usr/bin:/bin")
    sources.works = {"build"}
    assert binaries.resolve(replace(TOOL, static=True)).path == binaries.cached_path(TOOL)


def test_a_dynamically_linked_program_is_told_from_a_static_one() -> None:
    assert not binaries.is_static(Path(sys.executable).resolve())
    assert not binaries.is_static(Path(__file__))
