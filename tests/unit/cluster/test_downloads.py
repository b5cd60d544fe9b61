"""A release is taken only if it is what its publisher's checksum says."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import urllib.request
from pathlib import Path

import pytest

from tests.cluster import downloads
from tests.cluster.catalogue import Program, Release
from tests.cluster.errors import DownloadError

CONTENT = b"a program"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


def a_release(folder: Path, *, digest: str = DIGEST, content: bytes = CONTENT, member: str = "") -> Program:
    (folder / "tool").write_bytes(content)
    (folder / "tool.sha256").write_text(f"{digest}\n")
    release = Release((folder / "tool").as_uri(), (folder / "tool.sha256").as_uri(), member=member)
    return Program(name="tool", version="1.2.3", release=release)


def test_a_release_with_the_right_checksum_is_taken(tmp_path: Path) -> None:
    target = tmp_path / "target"
    downloads.download_release(a_release(tmp_path), "linux", "amd64", target)
    assert target.read_bytes() == CONTENT
    assert target.stat().st_mode & 0o111


def test_a_release_with_another_checksum_is_refused_and_removed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    with pytest.raises(DownloadError, match=f"has SHA-256 {DIGEST}, but its publisher says {'0' * 64}"):
        downloads.download_release(a_release(tmp_path, digest="0" * 64), "linux", "amd64", target)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tool", "tool.sha256"]


def test_a_program_is_taken_out_of_its_archive(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        entry = tarfile.TarInfo("tool-1.2.3/bin/tool")
        entry.size = len(CONTENT)
        archive.addfile(entry, io.BytesIO(CONTENT))
    packed = buffer.getvalue()
    program = a_release(
        tmp_path,
        content=packed,
        digest=hashlib.sha256(packed).hexdigest(),
        member="tool-{version}/bin/tool",
    )
    target = tmp_path / "target"
    downloads.download_release(program, "linux", "amd64", target)
    assert target.read_bytes() == CONTENT


def test_a_program_that_is_not_published_for_this_system_is_refused(tmp_path: Path) -> None:
    program = Program(name="tool", version="1", release=Release("x", "y", systems=("linux",)))
    with pytest.raises(DownloadError, match="not published for darwin"):
        downloads.download_release(program, "darwin", "arm64", tmp_path / "target")


@pytest.mark.parametrize(
    "text",
    [
        f"{DIGEST}",
        f"{DIGEST.upper()}  tool\n",
        f"{'1' * 64}  other\n{DIGEST}  tool\n",
        f"{'1' * 64}  tool.sig\n{DIGEST} *tool\n",
        f"{DIGEST}  ./tool",
        json.dumps({"assets": [{"name": "other", "digest": None}, {"name": "tool", "digest": f"sha256:{DIGEST}"}]}),
    ],
)
def test_a_checksum_is_found_in_the_usual_formats(text: str) -> None:
    assert downloads.published_checksum(text, "tool") == DIGEST


@pytest.mark.parametrize(
    "text", ["", f"{DIGEST}  other", f"{DIGEST}  other\n{DIGEST}  another", "<html>", "abc  tool", "{}"]
)
def test_a_missing_checksum_is_an_error(text: str) -> None:
    with pytest.raises(DownloadError):
        downloads.published_checksum(text, "tool")


def test_an_unreachable_host_is_tried_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tried = []

    def refuse(url: str, *, timeout: float) -> None:
        tried.append(url)
        raise OSError("no route")

    monkeypatch.setattr(downloads, "_unreachable_hosts", {})
    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    release = Release("https://example.invalid/tool", "https://example.invalid/tool.sha256")
    program = Program(name="tool", version="1", release=release)
    for _ in range(2):
        with pytest.raises(DownloadError, match=r"example\.invalid"):
            downloads.download_release(program, "linux", "amd64", tmp_path / "target")
    assert len(tried) == 1
