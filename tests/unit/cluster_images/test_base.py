"""The base from Debian packages: what it holds, and that its packages come from where apt here is told to get them."""

from __future__ import annotations

from pathlib import Path

from tests.cluster.image_base import SUITE, apt_sources, archive, packages


def test_only_the_base_for_compiling_has_a_compiler() -> None:
    plain, compiling = packages(), packages(compiler=True)
    assert "g++" not in plain
    assert set(compiling) - set(plain) == {"g++", "libpython3-dev"}
    assert set(plain) < set(compiling)


def test_the_two_bases_are_kept_beside_each_other() -> None:
    assert archive() != archive(compiler=True)


def test_a_debian_host_of_the_suite_uses_its_own_sources(tmp_path: Path) -> None:
    sources = tmp_path / "sources.list.d" / "debian.sources"
    sources.parent.mkdir()
    sources.write_text(f"Types: deb\nURIs: http://mirror.example/debian\nSuites: {SUITE} {SUITE}-updates\n")
    assert apt_sources(tmp_path) == [sources]


def test_the_older_format_is_read_too(tmp_path: Path) -> None:
    sources = tmp_path / "sources.list"
    sources.write_text(f"deb http://mirror.example/debian {SUITE} main\n")
    assert apt_sources(tmp_path) == [sources]


def test_sources_of_another_suite_are_not_used(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text("deb http://mirror.example/ubuntu noble main\n")
    assert apt_sources(tmp_path) == []


def test_a_source_that_is_commented_out_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text(f"# deb http://mirror.example/debian {SUITE} main\n")
    assert apt_sources(tmp_path) == []


def test_a_host_without_apt_uses_the_public_mirror(tmp_path: Path) -> None:
    assert apt_sources(tmp_path) == []
