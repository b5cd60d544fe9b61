"""The file of a sweep's measurements, written anew after each of them: what was measured outlives an abort.

What must hold: whoever reads the file finds a whole result, of the measurements so far or all of them. So it is written
beside its place and renamed. A device, a pipe or a link (``/dev/stdout``) is not replaced: it gets the end only.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from frugal.sweep.result import SweepResult
from frugal.sweep.sweeping import Measurement


class KeptResult:
    """A result that grows.

    Args:
        empty: The sweep without measurements, with all of its points.
        path: Its file; None keeps nothing.
    """

    def __init__(self, empty: SweepResult, path: Path | None) -> None:
        self._empty = empty
        self._path = path
        self._replaced = path is not None and not path.is_symlink() and (path.is_file() or not path.exists())
        self._measurements: list[Measurement] = []
        self.kept = 0

    def add(self, measurement: Measurement) -> None:
        """One more; a file that cannot be written now does not end the sweep, `end` tells if it still cannot be."""
        self._measurements.append(measurement)
        if self._replaced:
            with suppress(OSError):
                self._write(self._so_far())
                self.kept = len(self._measurements)

    def end(self, measurements: Sequence[Measurement]) -> SweepResult:
        """The whole result, not written yet."""
        return replace(self._empty, measurements=measurements, measured_at=_now())

    def write(self, result: SweepResult) -> None:
        """Write the whole result."""
        self._write(result)

    def _so_far(self) -> SweepResult:
        """Of the points that can be compared: what was found, and those that a round measured beside it."""
        rounds: dict[object, set[int]] = {}
        for one in self._measurements:
            rounds.setdefault(one.point, set()).add(one.round)
        base = self._empty.baseline
        points = [p for p in self._empty.points if p == base or rounds.get(p, set()) & rounds.get(base, set())]
        return replace(self._empty, points=points, measurements=self._measurements, measured_at=_now(), complete=False)

    def _write(self, result: SweepResult) -> None:
        if self._path is None:
            return
        if not self._replaced:
            self._path.write_text(result.to_json())
            return
        part = self._path.with_name(f".{self._path.name}.part")
        part.write_text(result.to_json())
        part.replace(self._path)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
