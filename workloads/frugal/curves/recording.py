"""Recorded curves in a file: JSON lines, gzipped, each training a gzip member of its own.

The first line tells what all have in common (the ranges, the machine, the versions), each further one holds a training:
its draw and, by column, what was seen at its evaluations. Any gzip reads it, and a training is added by appending, so
that a recording that was killed is whole up to its last member. What must hold: a draw is in a file at most once, and
a file holds draws of one set of ranges only.
"""

from __future__ import annotations

import gzip
import json
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from frugal.curves.ranges import Draw, Ranges, parse
from frugal.errors import DataError

FORMAT = 1
COLUMNS = ("step", "epoch", "seconds", "cpu_seconds", "joules", "train_loss", "val_loss", "val_accuracy")
_DIGITS = 5  # significant ones: what is beyond is noise, and would double the file


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One training, evaluation by evaluation.

    Attributes:
        draw: What was trained.
        measured: Joules are of a counter; else they are an estimate.
        joules_by: The counter, or the model of the estimate with its figures.
        columns: By the names in `COLUMNS`, one number an evaluation. Steps, epochs, seconds, processor seconds and
            joules count from the training's begin and leave evaluations out; the training loss is the mean since the
            evaluation before.
    """

    draw: Draw
    measured: bool
    joules_by: str
    columns: Mapping[str, Sequence[float]]

    def __len__(self) -> int:
        return len(self.columns["step"])


@dataclass(frozen=True, kw_only=True)
class Recording:
    """A file's content.

    Attributes:
        ranges: What was drawn from.
        made: Of the first training: processor and how many, versions of Python and torch.
        curves: By the number of their draw.
    """

    ranges: Ranges
    made: Mapping[str, str]
    curves: Sequence[Curve]


def begin(path: Path, ranges: Ranges, made: Mapping[str, str]) -> None:
    """Make a file that holds no training yet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_member(_head(ranges, made)))


def append(path: Path, curve: Curve) -> None:
    """Add one training."""
    with path.open("ab") as file:
        file.write(_member(_line(curve)))


def compact(path: Path) -> None:
    """Write the file anew as one member, in the order of the draws: less than half the bytes, the same content."""
    recording = read(path)
    lines = [_head(recording.ranges, recording.made), *map(_line, recording.curves)]
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(_member("".join(lines)))
    part.replace(path)


def repair(path: Path) -> int:
    """Cut off a member that was not written to its end; returns how many bytes that were."""
    content = path.read_bytes()
    whole = sum(length for _, length in _members(content))
    if whole < len(content):
        with path.open("r+b") as file:
            file.truncate(whole)
    return len(content) - whole


def read(path: Path) -> Recording:
    """What a file holds; a last training that was not written to its end is left out.

    Raises:
        DataError: There is none, it is no recording, or one of a format that is not known here.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"recording {path} cannot be read: {error.strerror}") from error
    lines = b"".join(text for text, _ in _members(content)).decode().splitlines()
    head: dict[str, Any] = json.loads(lines[0]) if lines and lines[0].startswith("{") else {}
    if head.get("format") != FORMAT:
        raise DataError(
            f"{path} is not a recording of learning curves in format {FORMAT}: make one with `frugal curves record`"
        )
    curves = {curve.draw.index: curve for curve in map(_curve, lines[1:])}
    return Recording(ranges=parse(head["ranges"]), made=head["made"], curves=[curves[i] for i in sorted(curves)])


def _members(content: bytes) -> Iterator[tuple[bytes, int]]:
    """Text and length of each whole gzip member."""
    while content:
        unzip = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
        try:
            text = unzip.decompress(content)
        except zlib.error:
            return
        if not unzip.eof:
            return
        yield text, len(content) - len(unzip.unused_data)
        content = unzip.unused_data


def _member(text: str) -> bytes:
    return gzip.compress(text.encode(), compresslevel=9, mtime=0)


def _head(ranges: Ranges, made: Mapping[str, str]) -> str:
    return json.dumps({"format": FORMAT, "made": dict(made), "ranges": ranges.source}) + "\n"


def _line(curve: Curve) -> str:
    draw = {"index": curve.draw.index, "seed": curve.draw.seed, "values": dict(curve.draw.values)}
    columns = {name: [_short(value) for value in curve.columns[name]] for name in COLUMNS}
    line = {"draw": draw, "measured": curve.measured, "joules_by": curve.joules_by, "columns": columns}
    return json.dumps(line, separators=(",", ":")) + "\n"


def _curve(line: str) -> Curve:
    stored: dict[str, Any] = json.loads(line)
    columns = {name: [float(value) for value in values] for name, values in stored["columns"].items()}
    return Curve(
        draw=Draw(**stored["draw"]), measured=stored["measured"], joules_by=stored["joules_by"], columns=columns
    )


def _short(value: float) -> float | int | str:
    """JSON has no numbers for a loss that has diverged; `float` reads these words."""
    if not math.isfinite(value):
        return str(value)
    short = float(f"{value:.{_DIGITS}g}")
    return int(short) if short.is_integer() and abs(short) < 1e9 else short
