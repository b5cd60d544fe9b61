"""What each GPU had before the agent changed it first, kept on the node's disk so that no crash loses it.

What must hold:

- A GPU's file is on the disk (file and folder synced) before that GPU is changed, and goes only after it was restored.
- There is one file for each GPU that is changed, named for it: a file that cannot be read says at least whom it
  concerns, and no other GPU is touched for its sake. What it said is not guessed: that GPU gets its board's default
  limit and its locks are taken off, and its status says so.
- The files lie in a folder named for the machine's boot: a reboot makes the driver forget all that was set, so what
  was found before it is void. A driver that was only reloaded forgets it too, but what was found then is still right.
- One process at a time owns the folder. The kernel ends its lock with the process, however it ends.

NVML tells the power limit but neither locked clocks nor whether any are locked. So of clocks only that they were
locked is kept, and restoring them is taking off the lock: a lock of somebody else's, from before, cannot be known.
"""

from __future__ import annotations

import fcntl
import json
import logging
import math
import os
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Final
from urllib.parse import quote, unquote

from ballast.errors import BallastError, RetryableError

logger = logging.getLogger(__name__)

VERSION: Final = 1
FOLDER: Final = "originals"
_ENDING: Final = ".json"
_UNFINISHED: Final = ".unfinished"
_MAX_BYTES: Final = 64 * 1024


class StateInUse(RetryableError):
    """Another agent's process on this node owns the state folder."""


class StateNotKept(BallastError):
    """The state folder cannot be read or written: nothing may be changed that could not be restored."""


class Part(StrEnum):
    """What of a GPU the agent changes."""

    POWER_LIMIT = "PowerLimit"
    CLOCKS = "Clocks"
    MEMORY_CLOCK = "MemoryClock"


@dataclass(frozen=True, slots=True)
class Original:
    """What one GPU had.

    Attributes:
        parts: what the agent has changed, or was about to.
        power_limit_watts: the limit that was found; None if the limit is not changed, or `lost` is set.
        lost: why it is not known what was found; None as a rule.
    """

    parts: frozenset[Part] = frozenset()
    power_limit_watts: float | None = None
    lost: str | None = None


def read_boot_id(proc_root: Path = Path("/proc")) -> str:
    """Return the kernel's name for this boot of the machine.

    Raises:
        StateNotKept: it cannot be read.
    """
    path = proc_root / "sys/kernel/random/boot_id"
    try:
        return path.read_text().strip()
    except OSError as error:
        raise StateNotKept(
            f"cannot read {path} ({error.strerror}): after a reboot old limits could not be told from new ones;"
            " mount the node's /proc"
        ) from error


class Originals:
    """The kept values, as a mapping from a GPU's UUID; read once, then in step with the disk.

    Args:
        folder: on the node's disk; made if need be, for root alone.
        boot_id: of this boot, as `read_boot_id` gives it.

    Raises:
        StateInUse: another process owns the folder.
        StateNotKept: the folder cannot be made or read.
    """

    def __init__(self, folder: Path, boot_id: str) -> None:
        if not re.fullmatch(r"[A-Za-z0-9-]{1,64}", boot_id):
            raise StateNotKept(f"the boot id {boot_id!r} is none: expected letters, digits and dashes")
        self._root = folder / FOLDER
        self._folder = self._root / boot_id
        self._lock = -1
        try:
            _make_folder(folder)
            _make_folder(self._root)
            self._lock = self._own()
            self._forget_other_boots()
            _make_folder(self._folder)
            self._all = self._read()
        except OSError as error:
            self.close()
            raise _not_kept(folder, error) from error
        except BallastError:
            self.close()
            raise
        if self._all:
            logger.warning(
                "GPUs were left changed by an agent that did not end properly: they are taken over or restored",
                extra={"gpus": sorted(self._all)},
            )

    @property
    def all(self) -> Mapping[str, Original]:
        """What is kept, by UUID."""
        return MappingProxyType(self._all)

    def save(self, originals: Mapping[str, Original]) -> None:
        """Keep these values; they are on the disk when it returns.

        Raises:
            StateNotKept: they may not be: these GPUs must not be changed.
        """
        try:
            for uuid, original in originals.items():
                self._write(uuid, original)
                self._all[uuid] = original
            _sync_folder(self._folder)
        except OSError as error:
            raise _not_kept(self._folder, error) from error

    def clear(self, uuids: frozenset[str]) -> None:
        """Drop the values of GPUs that have what was found again.

        Raises:
            StateNotKept: the files may be back after a crash; the GPUs are restored once more then.
        """
        try:
            for uuid in uuids:
                with suppress(FileNotFoundError):
                    self._path(uuid).unlink()
                self._all.pop(uuid, None)
            _sync_folder(self._folder)
        except OSError as error:
            raise _not_kept(self._folder, error) from error

    def close(self) -> None:
        """Let others own the folder; what is kept stays."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    # -- files

    def _own(self) -> int:
        lock = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(lock)
            raise StateInUse(
                f"another agent on this node uses {self._root}: it must end first; two would undo each other's work"
            ) from error
        return lock

    def _forget_other_boots(self) -> None:
        others = [path for path in self._root.iterdir() if path.name != self._folder.name]
        for path in others:
            logger.info("the machine was rebooted: what GPUs had before that is void", extra={"folder": str(path)})
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()

    def _read(self) -> dict[str, Original]:
        found = {}
        for path in sorted(self._folder.iterdir()):
            if path.suffix == _ENDING:
                uuid = unquote(path.stem)
                found[uuid] = _read_one(path, uuid)
            elif path.suffix == _UNFINISHED:
                path.unlink()  # its GPU was not changed yet: the file would have had its name
        return found

    def _write(self, uuid: str, original: Original) -> None:
        path = self._path(uuid)
        unfinished = path.with_suffix(_UNFINISHED)
        try:
            unfinished.unlink(missing_ok=True)
            file = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(file, "w", encoding="utf-8") as stream:
                stream.write(_text(uuid, original))
                stream.flush()
                os.fsync(stream.fileno())
            unfinished.replace(path)
        except OSError:
            unfinished.unlink(missing_ok=True)
            raise

    def _path(self, uuid: str) -> Path:
        return self._folder / f"{quote(uuid, safe='').replace('.', '%2E')}{_ENDING}"


def _text(uuid: str, original: Original) -> str:
    return json.dumps(
        {
            "version": VERSION,
            "uuid": uuid,
            "parts": sorted(original.parts),
            "powerLimitWatts": original.power_limit_watts,
            "lost": original.lost,
        },
        indent=2,
    )


def _read_one(path: Path, uuid: str) -> Original:
    """Return what a file says; if it does not say it properly, that this is lost."""
    try:
        with path.open("rb") as stream:
            return _parsed(json.loads(stream.read(_MAX_BYTES)), uuid)
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        logger.exception(
            "it is lost what a GPU had before it was changed: it gets its board's default power limit, and its clocks"
            " are unlocked",
            extra={"gpu": uuid, "file": str(path)},
        )
        return Original(frozenset(Part), None, f"{path.name} cannot be read: {str(error)[:80] or type(error).__name__}")


def _parsed(content: object, uuid: str) -> Original:
    if not isinstance(content, dict):
        raise TypeError("not an object")
    if content["version"] != VERSION:
        raise ValueError(f"version {content['version']!r} is not {VERSION}")
    if content["uuid"] != uuid:
        raise ValueError(f"it is about {content['uuid']!r}")
    if not isinstance(content["parts"], list) or not content["parts"]:
        raise TypeError("parts: not a list of some")
    parts = frozenset(Part(part) for part in content["parts"])
    watts, lost = content["powerLimitWatts"], content["lost"]
    if lost is not None:
        return Original(parts, None, str(lost))
    if Part.POWER_LIMIT not in parts:
        return Original(parts)
    if isinstance(watts, bool) or not isinstance(watts, int | float) or not (math.isfinite(watts) and watts > 0):
        raise ValueError(f"powerLimitWatts {watts!r} is no power")
    return Original(parts, float(watts))


def _make_folder(folder: Path) -> None:
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        _sync_folder(folder.parent)
    folder.chmod(0o700)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _not_kept(folder: Path, error: OSError) -> StateNotKept:
    return StateNotKept(
        f"cannot keep in {folder} what GPUs had ({error.strerror or error}): no GPU is changed until that folder can be"
        " written; check the disk and that the agent runs as root"
    )
