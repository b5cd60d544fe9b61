"""The library is built once per change of its sources, for any image."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.nvmlsim import build


def test_a_second_call_compiles_nothing() -> None:
    first = build.library()
    before = first.stat().st_mtime_ns
    assert build.library() == first
    assert first.stat().st_mtime_ns == before


def test_it_needs_no_newer_glibc_than_it_says() -> None:
    """Symbols of a newer glibc would keep it out of older images."""
    versions = {int(minor) for minor in re.findall(rb"GLIBC_2\.(\d+)", build.library().read_bytes())}
    assert versions
    assert max(versions) <= 28


def test_sources_that_do_not_compile_leave_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No library appears, and the error holds what the compiler said."""
    broken = tmp_path / "broken.c"
    broken.write_text("int nvmlInit(void) { return missing; }\n")
    monkeypatch.setattr(build, "_SOURCES", (broken,))
    monkeypatch.setattr(build, "cache_dir", lambda: tmp_path / "cache")
    with pytest.raises(build.BuildFailed, match="missing"):
        build.library()
    assert not list(tmp_path.rglob(build.SONAME))


def test_there_is_no_build_for_other_processors() -> None:
    with pytest.raises(build.BuildFailed, match="riscv64"):
        build.target("riscv64")


@pytest.mark.parametrize("machine", ["x86_64", "aarch64", "arm64"])
def test_it_aims_at_the_processors_that_nodes_have(machine: str) -> None:
    assert build.target(machine).endswith("-linux-gnu.2.28")
