"""What a GPU had survives the process, and nobody guesses what it was."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from ballast.agent.capping.originals import Original, Originals, Part, StateInUse, StateNotKept, read_boot_id

BOOT = "b0075"
ORIGINAL = Original(frozenset({Part.POWER_LIMIT, Part.CLOCKS}), 187.5)
LOCKS = Original(frozenset({Part.MEMORY_CLOCK}))


@pytest.fixture
def originals(tmp_path: Path) -> Iterator[Originals]:
    it = Originals(tmp_path, BOOT)
    yield it
    it.close()


def again(folder: Path, boot: str = BOOT) -> dict[str, Original]:
    it = Originals(folder, boot)
    it.close()
    return dict(it.all)


def file_of(folder: Path, uuid: str = "GPU-a") -> Path:
    return folder / "originals" / BOOT / f"{uuid}.json"


def test_read_again(originals: Originals, tmp_path: Path) -> None:
    """The next process reads what this one kept."""
    originals.save({"GPU-a": ORIGINAL, "GPU-b": LOCKS})
    originals.close()
    assert again(tmp_path) == {"GPU-a": ORIGINAL, "GPU-b": LOCKS}


def test_cleared(originals: Originals, tmp_path: Path) -> None:
    """A GPU that was restored leaves no file; the others keep theirs."""
    originals.save({"GPU-a": ORIGINAL, "GPU-b": LOCKS})
    originals.clear(frozenset({"GPU-a"}))
    assert not file_of(tmp_path).exists()
    originals.close()
    assert again(tmp_path) == {"GPU-b": LOCKS}


def test_for_root_alone(originals: Originals, tmp_path: Path) -> None:
    """Nobody else may read or write files or folders."""
    originals.save({"GPU-a": ORIGINAL})
    file = file_of(tmp_path)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for folder in (tmp_path, file.parent, file.parent.parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_any_uuid(originals: Originals, tmp_path: Path) -> None:
    """A UUID with characters that mean something in paths stays inside the folder."""
    originals.save({"../a:b/.c": LOCKS, "..": LOCKS})
    originals.close()
    assert set(again(tmp_path)) == {"../a:b/.c", ".."}
    assert len(list(file_of(tmp_path).parent.iterdir())) == 2


def test_void_after_a_reboot(originals: Originals, tmp_path: Path) -> None:
    """Another boot's values are dropped, even if they cannot be read."""
    originals.save({"GPU-a": ORIGINAL, "GPU-b": LOCKS})
    file_of(tmp_path, "GPU-b").write_text("{")
    originals.close()
    assert again(tmp_path, "another-boot") == {}
    assert again(tmp_path) == {}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "null",
        "[]",
        "\x00" * 64,
        "[" * 40_000,
        json.dumps({"version": 1}),
        json.dumps({"version": 2, "uuid": "GPU-a", "parts": [], "powerLimitWatts": None, "lost": None}),
        json.dumps({"version": 1, "uuid": "GPU-a", "parts": [], "powerLimitWatts": None, "lost": None}),
        json.dumps({"version": 1, "uuid": "GPU-b", "parts": ["Clocks"], "powerLimitWatts": None, "lost": None}),
        json.dumps({"version": 1, "uuid": "GPU-a", "parts": ["Voltage"], "powerLimitWatts": None, "lost": None}),
        json.dumps({"version": 1, "uuid": "GPU-a", "parts": "Clocks", "powerLimitWatts": None, "lost": None}),
        json.dumps({"version": 1, "uuid": "GPU-a", "parts": ["PowerLimit"], "powerLimitWatts": None, "lost": None}),
        json.dumps({"version": 1, "uuid": "GPU-a", "parts": ["PowerLimit"], "powerLimitWatts": "200", "lost": None}),
        json.dumps({"version": 1, "uuid": "GPU-a", "parts": ["PowerLimit"], "powerLimitWatts": -1, "lost": None}),
        '{"version": 1, "uuid": "GPU-a", "parts": ["PowerLimit"], "powerLimitWatts": NaN, "lost": null}',
    ],
)
def test_unreadable(originals: Originals, tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture) -> None:
    """A file that does not say it properly: all parts of that GPU may be changed, nothing is known; said aloud."""
    originals.save({"GPU-a": ORIGINAL, "GPU-b": LOCKS})
    file_of(tmp_path).write_text(text)
    originals.close()
    kept = again(tmp_path)
    assert kept["GPU-b"] == LOCKS
    assert kept["GPU-a"].parts == frozenset(Part)
    assert kept["GPU-a"].power_limit_watts is None
    assert "GPU-a.json cannot be read" in (kept["GPU-a"].lost or "")
    assert any("lost" in record.message and record.levelname == "ERROR" for record in caplog.records)


def test_lost_stays_lost(originals: Originals, tmp_path: Path) -> None:
    """What is lost is kept as lost, through any number of processes."""
    lost = Original(frozenset(Part), None, "GPU-a.json cannot be read")
    originals.save({"GPU-a": lost})
    originals.close()
    assert again(tmp_path) == {"GPU-a": lost}


def test_unfinished_files_go(originals: Originals, tmp_path: Path) -> None:
    """What a crash left half written concerns no GPU: none is changed before its file has its name."""
    (file_of(tmp_path).parent / "GPU-a.unfinished").write_text('{"versi')
    originals.close()
    assert again(tmp_path) == {}
    assert list(file_of(tmp_path).parent.iterdir()) == []


def test_synced_before_it_returns(originals: Originals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """File and folder are synced, the file before it gets its name and the folder after that."""
    synced = []

    def fsync(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        synced.append((path.name, file_of(tmp_path).exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    originals.save({"GPU-a": ORIGINAL})
    assert synced == [("GPU-a.unfinished", False), (BOOT, True)]
    synced.clear()
    originals.clear(frozenset({"GPU-a"}))
    assert synced == [(BOOT, False)]


def test_one_owner(originals: Originals, tmp_path: Path) -> None:
    """A second agent on the node is refused until the first lets go."""
    with pytest.raises(StateInUse, match="another agent"):
        Originals(tmp_path, BOOT)
    originals.close()
    Originals(tmp_path, BOOT).close()


def test_not_kept(originals: Originals, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that takes nothing is an error that names folder and remedy."""

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StateNotKept, match=r"No space left on device.*no GPU is changed"):
        originals.save({"GPU-a": ORIGINAL})
    assert dict(originals.all) == {}


def test_no_folder(tmp_path: Path) -> None:
    """A folder that cannot be made is an error at the start."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StateNotKept):
        Originals(tmp_path / "file", BOOT)


@pytest.mark.parametrize("boot", ["", "../up", "a/b", "a b"])
def test_strange_boot_ids(tmp_path: Path, boot: str) -> None:
    """A boot id names a folder: nothing else passes for one."""
    with pytest.raises(StateNotKept, match="boot id"):
        Originals(tmp_path, boot)


def test_boot_id(tmp_path: Path) -> None:
    """The kernel's own, of the given /proc; a missing one is an error with a remedy."""
    file = tmp_path / "sys/kernel/random/boot_id"
    file.parent.mkdir(parents=True)
    file.write_text("6f1e-55\n")
    assert read_boot_id(tmp_path) == "6f1e-55"
    file.unlink()
    with pytest.raises(StateNotKept, match="mount the node's /proc"):
        read_boot_id(tmp_path)
