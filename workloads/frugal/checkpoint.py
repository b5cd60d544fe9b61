"""Checkpoints as files: a reader finds a whole one or none.

Each is written beside its final name, forced to disk and renamed; the newest two are kept, so that damage to one (a
full disk, a torn volume) costs some steps and not the run. The files are torch's own zip archives: the checksums in
them tell a damaged file, and loading accepts only tensors and plain values, never code.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import torch

from frugal.errors import CheckpointError

log = logging.getLogger(__name__)

KEPT = 2
BEST = "best.pt"
_NAME = re.compile(r"checkpoint-(\d{9})\.pt")

Snapshot = dict[str, Any]


class CheckpointStore:
    """The checkpoints of one run in one directory; only the main process writes.

    Args:
        directory: Created if missing.

    Raises:
        CheckpointError: The directory cannot be written.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        try:
            directory.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=directory):
                pass
        except OSError as error:
            raise CheckpointError(
                f"checkpoint_dir={str(directory)!r} cannot be written ({error.strerror}): mount a volume there "
                f"that uid {os.getuid()} may write, or choose another --checkpoint-dir"
            ) from error

    def save(self, step: int, snapshot: Snapshot) -> Path:
        """Write the checkpoint of ``step`` and drop the ones before the newest two."""
        path = self._write(f"checkpoint-{step:09}.pt", snapshot)
        for old in self._newest_first()[KEPT:]:
            old.unlink(missing_ok=True)
        return path

    def save_best(self, snapshot: Snapshot) -> Path:
        """Replace the best model so far."""
        return self._write(BEST, snapshot)

    def latest(self) -> bytes | None:
        """The newest sound checkpoint's bytes; damaged ones are set aside with a warning."""
        for path in self._newest_first():
            try:
                payload = path.read_bytes()
            except OSError as error:
                raise CheckpointError(
                    f"checkpoint {path} cannot be read ({error.strerror}): let uid {os.getuid()} read it, "
                    "or start over with --no-resume"
                ) from error
            damage = find_damage(payload)
            if damage is None:
                return payload
            log.warning("checkpoint %s is damaged (%s): falling back to the one before it", path, damage)
            # Renamed, else it would count among the newest two and push a sound one out.
            with contextlib.suppress(OSError):
                path.rename(path.with_suffix(".damaged"))
        return None

    def _newest_first(self) -> list[Path]:
        return sorted((p for p in self.directory.iterdir() if _NAME.fullmatch(p.name)), reverse=True)

    def _write(self, name: str, snapshot: Snapshot) -> Path:
        path = self.directory / name
        partial = self.directory / f".{name}.partial"
        try:
            with partial.open("wb") as file:
                file.write(encode(snapshot))
                file.flush()
                os.fsync(file.fileno())
            partial.rename(path)
            descriptor = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(descriptor)  # the rename itself, or a power cut may undo it
            finally:
                os.close(descriptor)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise CheckpointError(
                f"checkpoint {path} cannot be written ({error.strerror}): free some space on its volume"
            ) from error
        return path


def encode(snapshot: Snapshot) -> bytes:
    """The snapshot as the bytes of a torch file: made in memory, so that a full disk is an OSError and no riddle."""
    buffer = io.BytesIO()
    torch.save(snapshot, buffer)
    return buffer.getvalue()


def decode(payload: bytes) -> Snapshot:
    """The snapshot in a sound checkpoint, on the CPU."""
    snapshot: Snapshot = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
    return snapshot


def find_damage(payload: bytes) -> str | None:
    """What is wrong with a checkpoint's bytes, or None: checksums first, as torch itself does not look at them."""
    try:
        with zipfile.ZipFile(io.BytesIO(payload)) as archive:
            broken = archive.testzip()
        if broken is not None:
            return f"checksum of {broken} differs"
        decode(payload)
    except Exception as error:  # noqa: BLE001  # damaged bytes can raise anything from three parsers
        return str(error).splitlines()[0] if str(error) else type(error).__name__
    return None
