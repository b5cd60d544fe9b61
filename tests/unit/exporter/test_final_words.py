"""The last words are whole whenever somebody reads them, or the exporter is killed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ballast.api.finalreading import MAX_BYTES, Evaluation, FinalReading, Joules, Training, parse
from ballast.api.source import Component
from ballast.exporter.final_words import FinalWords


class Killed(BaseException):
    """SIGKILL."""


def reading(joules: float, evaluations: int = 0) -> FinalReading:
    ring = tuple(Evaluation(number + 1, 0.1 + number) for number in range(evaluations))
    training = Training(step=7, ring=ring) if evaluations else None
    return FinalReading(at=5.0, joules={Component.GPU: Joules(joules, 1.0)}, training=training)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """As the kubelet makes it."""
    file = tmp_path / "termination-log"
    file.touch()
    return file


def test_words_replace_words(path: Path) -> None:
    words = FinalWords(path)
    for joules, evaluations in ((10.0, 0), (20.0, 8), (30.0, 0)):
        assert words.say(reading(joules, evaluations))
        assert path.read_text() == reading(joules, evaluations).encode()


def test_the_file_stays_the_kubelets(path: Path) -> None:
    inode = path.stat().st_ino
    FinalWords(path).say(reading(10.0))
    assert path.stat().st_ino == inode


@pytest.mark.parametrize("call", ["pwrite", "ftruncate"])
@pytest.mark.parametrize(("before", "after"), [(8, 0), (0, 8)])
def test_killed_at_any_moment_it_holds_whole_words(
    path: Path, monkeypatch: pytest.MonkeyPatch, call: str, before: int, after: int
) -> None:
    words = FinalWords(path)
    words.say(reading(10.0, before))

    def die(*args: object) -> None:
        raise Killed

    monkeypatch.setattr(os, call, die)
    with pytest.raises(Killed):
        words.say(reading(20.0, after))
    monkeypatch.undo()
    said = parse(path.read_text())
    assert said == (reading(10.0, before) if call == "pwrite" else reading(20.0, after))


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What is written at once."""
    writes: list[bytes] = []
    real = os.pwrite

    def noted(file: int, data: bytes, at: int) -> int:
        writes.append(data)
        return real(file, data, at)

    monkeypatch.setattr(os, "pwrite", noted)
    return writes


def test_they_are_written_at_once(path: Path, writes: list[bytes]) -> None:
    words = FinalWords(path)
    words.say(reading(10.0, 8))
    words.say(reading(20.0))
    assert len(writes) == 2
    assert len(writes[1]) == len(writes[0]) <= MAX_BYTES


def test_what_somebody_else_left_there_does_not_stay(path: Path, writes: list[bytes]) -> None:
    path.write_text("x" * 3 * MAX_BYTES)
    FinalWords(path).say(reading(10.0))
    assert parse(path.read_text()) == reading(10.0)
    assert [len(each) for each in writes] == [MAX_BYTES]


def test_words_that_are_said_already_are_not_written_again(path: Path) -> None:
    words = FinalWords(path)
    words.say(reading(10.0))
    path.write_text("")
    assert words.say(reading(10.0))
    assert path.read_text() == ""


def test_outside_a_pod_nothing_is_made_and_that_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    words = FinalWords(tmp_path / "none")
    assert not words.say(reading(10.0))
    assert not words.say(reading(20.0))
    assert list(tmp_path.iterdir()) == []
    assert len(caplog.records) == 1
