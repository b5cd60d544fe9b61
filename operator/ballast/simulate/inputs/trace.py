"""Job traces in our own CSV: one job a line, in the words of `TraceJob`, so that any other trace can be turned into it.

What must hold: what is written is read back as it was, to the last bit; a trace is in the order of submission; and a
file in which anything is wrong is refused as a whole, since arms that do different work can't be compared.
"""

from __future__ import annotations

import csv
import gzip
import math
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO, TypeVar

from ballast.errors import UserError
from ballast.simulate.job import TraceJob

REQUIRED: Final = ("name", "kind", "submitted_at", "gpus", "reference_seconds")
OPTIONAL: Final = ("max_slowdown_percent", "deadline", "group")
COLUMNS: Final = REQUIRED + OPTIONAL
DEFAULT_SLOWDOWN_PERCENT: Final = 10.0

_SHOWN = 10  # problems in a message; the rest is counted
_SHOWN_VALUE = 60  # characters
_GZIP = b"\x1f\x8b"
# Python's float() also takes 1_000, nan and digits of other scripts, which in a trace are mistakes.
_NUMBER = re.compile(r"\s*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a line.

    Attributes:
        line: Of the file, from 1.
        field: The column.
        value: What stands there.
        remedy: What is expected.
    """

    line: int
    field: str
    value: str
    remedy: str

    def __str__(self) -> str:
        shown = self.value if len(self.value) <= _SHOWN_VALUE else self.value[: _SHOWN_VALUE - 1] + "…"
        return f"line {self.line}, {self.field}: {self.remedy} (is {shown!r})"


class InvalidTrace(UserError):
    """A trace that can't be read, or in which lines are wrong.

    Attributes:
        problems: All of them, at most one of each line; empty where the file as a whole is wrong.
    """

    def __init__(self, source: str, problems: Sequence[Problem], message: str = "") -> None:
        self.problems = tuple(problems)
        told = "; ".join(str(problem) for problem in problems[:_SHOWN])
        more = f"; and {len(problems) - _SHOWN} more lines" if len(problems) > _SHOWN else ""
        super().__init__(f"{source}: {message or told + more}")


class Refused(UserError):
    """A cell that is wrong, where its line is not known."""

    def __init__(self, field: str, value: str, remedy: str) -> None:
        self.field, self.value, self.remedy = field, value, remedy
        super().__init__(field, value, remedy)


def read_trace(path: Path) -> list[TraceJob]:
    """Read a trace in our own format.

    Args:
        path: CSV, plain or compressed with gzip. The header names the columns, in any order; `OPTIONAL` ones may be
            left out, and their cells left empty.

    Returns:
        The jobs, by submission; those of one moment in the file's order.

    Raises:
        InvalidTrace: Names line, field, value and remedy of each line that is wrong.
    """
    names: dict[str, int] = {}

    def job(line: int, cells: Mapping[str, str]) -> TraceJob:
        read = _job(cells)
        first = names.setdefault(read.name, line)
        if first != line:
            raise Refused("name", read.name, f"line {first} has this name already: rename one")
        return read

    with open_text(path) as file:
        rows = csv_rows(file, str(path), REQUIRED, OPTIONAL)
        jobs = read_lines(rows, str(path), job)
    if not jobs:
        raise InvalidTrace(str(path), (), "holds no job: add a line for each")
    return sorted(jobs, key=lambda read: read.submitted_at)


def write_trace(jobs: Iterable[TraceJob], file: TextIO) -> None:
    """Write a trace in our own format, in the order given.

    Args:
        jobs: With names that differ.
        file: Opened with ``newline=""``.

    Raises:
        UserError: A job is one that `read_trace` refuses: names it.
    """
    lines = csv.writer(file, lineterminator="\n")
    lines.writerow(COLUMNS)
    names: set[str] = set()
    for job in jobs:
        cells = (
            job.name,
            job.kind,
            number_text(job.submitted_at),
            str(job.gpus),
            number_text(job.reference_seconds),
            number_text(job.max_slowdown_percent),
            "" if job.deadline is None else number_text(job.deadline),
            job.group,
        )
        try:
            _job(dict(zip(COLUMNS, cells, strict=True)))
        except Refused as refused:
            raise UserError(f"job {job.name!r}, {refused.field}: {refused.remedy} (is {refused.value!r})") from refused
        if job.name in names:
            raise UserError(f"job {job.name!r}, name: two jobs have it: rename one")
        names.add(job.name)
        lines.writerow(cells)


def number_text(number: float) -> str:
    """The shortest text that is read back as the same number."""
    return repr(float(number)).removesuffix(".0")


@contextmanager
def open_text(path: Path) -> Iterator[TextIO]:
    """Open a trace of any format, plain or compressed with gzip whatever its name, or say why it can't be read.

    Raises:
        InvalidTrace: There is no such file, it is broken, or it is no text.
    """
    try:
        with path.open("rb") as raw:
            compressed = raw.read(len(_GZIP)) == _GZIP
        # With a byte order mark, which spreadsheets write, or without.
        with (
            gzip.open(path, "rt", encoding="utf-8-sig", newline="")
            if compressed
            else path.open(encoding="utf-8-sig", newline="")
        ) as file:
            yield file
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InvalidTrace(str(path), (), f"{error}: the compressed file is broken; fetch or write it again") from error
    except UnicodeDecodeError as error:
        raise InvalidTrace(str(path), (), f"{error}: write the trace as UTF-8 text") from error
    except OSError as error:
        raise InvalidTrace(str(path), (), f"{error.strerror or error}: name a file that can be read") from error


def csv_rows(
    file: TextIO, source: str, required: Sequence[str], optional: Sequence[str] | None = None
) -> Iterator[tuple[int, Mapping[str, str]]]:
    """The lines of a CSV file that begins with a header.

    Args:
        file: Opened with ``newline=""``.
        source: What to name in errors.
        required: Columns that must be there.
        optional: Others that may be; None for any.

    Yields:
        Number of the line, and its cells by column; blank lines are left out. A line of the wrong length says so in a
        way that `read_lines` refuses.

    Raises:
        InvalidTrace: The header is wrong, or the file is no CSV.
    """
    reader = csv.reader(file, strict=True)
    try:
        header = next(reader, None)
        if header is None:
            raise InvalidTrace(source, (), f"is empty: begin with the line {','.join(required)}")
        _check_header(header, source, required, optional)
        for cells in reader:
            if len(cells) == len(header):
                yield reader.line_num, dict(zip(header, cells, strict=True))
            elif cells:
                yield reader.line_num, {_LENGTH: f"{len(cells)} cells, where the header has {len(header)}"}
    except csv.Error as error:
        raise InvalidTrace(source, (), f"line {reader.line_num} is no CSV: {error}; correct its quotes") from error


def read_lines(
    rows: Iterable[tuple[int, Mapping[str, str]]], source: str, read: Callable[[int, Mapping[str, str]], T]
) -> list[T]:
    """Read every line, and refuse the file if any is wrong.

    Args:
        rows: As from `csv_rows`.
        source: What to name in errors.
        read: Makes something of a line's number and cells; raises `Refused`.

    Raises:
        InvalidTrace: Names what was refused.
    """
    read_back: list[T] = []
    problems: list[Problem] = []
    for line, cells in rows:
        try:
            if _LENGTH in cells:
                raise Refused("line", cells[_LENGTH], "must have a cell for each column")  # noqa: TRY301
            read_back.append(read(line, cells))
        except Refused as refused:
            problems.append(Problem(line, refused.field, refused.value, refused.remedy))
    if problems:
        raise InvalidTrace(source, problems)
    return read_back


def number(cells: Mapping[str, str], field: str, *, least: float = -math.inf, above: float = -math.inf) -> float:
    """A cell's number.

    Raises:
        Refused: It is none, not finite, below ``least``, or not above ``above``.
    """
    text = cells[field]
    bound = f" of {least:g} or more" if least > -math.inf else f" above {above:g}" if above > -math.inf else ""
    value = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(value) or value < least or value <= above:
        raise Refused(field, text, f"must be a number{bound}")
    return value


def whole_number(cells: Mapping[str, str], field: str, *, least: int) -> int:
    """A cell's whole number; ``8.0`` is one.

    Raises:
        Refused: It is none, or below ``least``.
    """
    text = cells[field]
    value = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not value.is_integer() or value < least:
        raise Refused(field, text, f"must be a whole number of {least} or more")
    return int(value)


_LENGTH = "\0length"  # no header has it


def _check_header(header: Sequence[str], source: str, required: Sequence[str], optional: Sequence[str] | None) -> None:
    missing = [name for name in required if name not in header]
    unknown = [] if optional is None else [name for name in header if name not in (*required, *optional)]
    twice = sorted({name for name in header if header.count(name) > 1})
    told = [f"column {name!r} is missing: add it" for name in missing]
    told += [
        f"column {name!r} is unknown: remove it, or spell it as one of {', '.join((*required, *(optional or ())))}"
        for name in unknown
    ]
    told += [f"column {name!r} stands twice: remove one" for name in twice]
    if told:
        raise InvalidTrace(source, (), "header: " + "; ".join(told))


def _job(cells: Mapping[str, str]) -> TraceJob:
    for field in ("name", "kind"):
        if not cells[field]:
            raise Refused(field, "", "must not be empty: write one")
    for field in ("name", "kind", "group"):
        if _CONTROL.search(cells.get(field, "")):
            raise Refused(
                field, cells[field], "must have no line ends, tabs and other control characters: leave them out"
            )
    submitted = number(cells, "submitted_at", least=0)
    slowdown = number(cells, "max_slowdown_percent", least=0) if cells.get("max_slowdown_percent") else None
    deadline = number(cells, "deadline") if cells.get("deadline") else None
    if deadline is not None and deadline <= submitted:
        remedy = f"must be after submitted_at ({number_text(submitted)}): both are seconds since the trace began"
        raise Refused("deadline", cells["deadline"], remedy)
    return TraceJob(
        name=cells["name"],
        kind=cells["kind"],
        submitted_at=submitted,
        gpus=whole_number(cells, "gpus", least=1),
        reference_seconds=number(cells, "reference_seconds", above=0),
        max_slowdown_percent=DEFAULT_SLOWDOWN_PERCENT if slowdown is None else slowdown,
        deadline=deadline,
        group=cells.get("group", ""),
    )
