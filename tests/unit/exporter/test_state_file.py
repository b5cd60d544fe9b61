"""What is saved is whole at any moment, and of this pod only."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest

from ballast.exporter.state_file import FILE, StateFile

OLD, NEW = {"totals": 1}, {"totals": 2, "more": ["x"] * 5_000}


class Killed(BaseException):
    """SIGKILL."""


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    assert StateFile(tmp_path, "uid-1").load() == {}
    assert StateFile(tmp_path, "uid-1").save(OLD)
    assert StateFile(tmp_path, "uid-1").load() == OLD


@pytest.mark.parametrize("call", ["open", "write", "close", "replace"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_any_moment_it_holds_the_old_or_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, when: str
) -> None:
    file = StateFile(tmp_path, "uid-1")
    file.save(OLD)
    real = getattr(os, call)
    monkeypatch.setattr(os, call, lambda *args: _die(real, when, args))
    with pytest.raises(Killed):
        file.save(NEW)
    monkeypatch.undo()
    expected = NEW if (call, when) == ("replace", "after") else OLD
    assert StateFile(tmp_path, "uid-1").load() == expected
    assert StateFile(tmp_path, "uid-1").save(NEW)
    assert StateFile(tmp_path, "uid-1").load() == NEW


def _die(real: Any, when: str, args: tuple[Any, ...]) -> None:
    if when == "after":
        real(*args)
    raise Killed


def test_another_pods_state_is_not_taken_over(tmp_path: Path) -> None:
    StateFile(tmp_path, "uid-1").save(OLD)
    assert StateFile(tmp_path, "uid-2").load() == {}


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\xfe", b"[]", b'{"v":2,"podUid":"uid-1","state":{}}', b'{"v":1,"podUid":"uid-1","state":3}'],
)
def test_what_is_corrupted_is_told_and_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    (tmp_path / FILE).write_bytes(content)
    assert StateFile(tmp_path, "uid-1").load() == {}
    assert "counting begins anew" in caplog.text
    StateFile(tmp_path, "uid-1").save(OLD)
    assert StateFile(tmp_path, "uid-1").load() == OLD


def test_a_folder_that_is_not_there_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = StateFile(tmp_path / "none", "uid-1")
    assert not file.save(OLD)
    assert not file.save(OLD)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    (tmp_path / "none").mkdir()
    assert file.save(OLD)
    assert json.loads((tmp_path / "none" / FILE).read_text())["podUid"] == "uid-1"
