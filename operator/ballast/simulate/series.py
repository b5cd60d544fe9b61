"""Series of carbon intensity and of prices: CSV files with a value that holds until the next one.

What must hold: a value is used only from its own time on (before the first, the first holds), and a time with a date
is never guessed to be a moment of the trace: whoever gives dates says when the trace began.
"""

from __future__ import annotations

import csv
import math
from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from ballast.errors import UserError

HEADER = ("time", "value")


@dataclass(frozen=True, slots=True)
class Series:
    """A step function of time.

    Attributes:
        times: Seconds since the trace began, each later than the one before; at least one.
        values: From its time until the next one's; the last holds for ever, the first also before its time.
    """

    times: tuple[float, ...]
    values: tuple[float, ...]

    def __call__(self, seconds: float) -> float:
        """The value at a moment, seconds since the trace began."""
        return self.values[max(bisect_right(self.times, seconds) - 1, 0)]

    def integral(self, start: float, end: float) -> float:
        """The sum of value times seconds from ``start`` to ``end``."""
        marks = [start, *self.times[bisect_right(self.times, start) : bisect_right(self.times, end)], end]
        return math.fsum(self(low) * (high - low) for low, high in pairwise(marks))


def read_series(path: Path, began: datetime | None = None) -> Series:
    """The series of a CSV file with the columns time and value.

    Args:
        path: Of the file.
        began: When the trace began, with its time zone; needed where the file's times are dates.

    Raises:
        UserError: The file cannot be read or used; the message names line and remedy.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error}): name a CSV file with the columns time,value") from error
    rows = list(csv.reader(text.splitlines(), skipinitialspace=True))
    if not rows or tuple(cell.strip().lower() for cell in rows[0]) != HEADER:
        raise UserError(f"{path}, line 1: is {','.join(rows[0]) if rows else ''!r}: the first line must be time,value")
    times: list[float] = []
    values: list[float] = []
    for line, row in enumerate(rows[1:], start=2):
        if not any(cell.strip() for cell in row):
            continue
        where = f"{path}, line {line}"
        if len(row) != len(HEADER):
            raise UserError(f"{where}: has {len(row)} values: write two, time and value")
        time = _time(row[0].strip(), began, where)
        if times and time <= times[-1]:
            raise UserError(f"{where}: {row[0]!r} is not after the time before it: sort the lines, one for each time")
        times.append(time)
        values.append(_value(row[1].strip(), where))
    if not times:
        raise UserError(f"{path}: has no values: add lines such as 0,350 below time,value")
    return Series(tuple(times), tuple(values))


def read_moment(text: str) -> datetime:
    """A date with time, ISO 8601; UTC where it names no time zone.

    Raises:
        ValueError: It is none.
    """
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _time(text: str, began: datetime | None, where: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        return _date(text, began, where)
    if not math.isfinite(seconds):
        raise UserError(f"{where}: time {text!r}: write seconds since the trace began, or a date such as {_EXAMPLE}")
    return seconds


_EXAMPLE = "2017-11-01T00:00:00Z"


def _date(text: str, began: datetime | None, where: str) -> float:
    try:
        moment = read_moment(text)
    except ValueError:
        raise UserError(
            f"{where}: time {text!r}: write seconds since the trace began, or a date such as {_EXAMPLE}"
        ) from None
    if began is None:
        raise UserError(f"{where}: time {text!r} is a date: say when the trace began, with --trace-began {_EXAMPLE}")
    return (moment - began).total_seconds()


def _value(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UserError(f"{where}: value {text!r}: write a number")
    return value
