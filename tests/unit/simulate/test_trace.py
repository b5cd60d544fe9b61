"""Our own CSV of jobs: what it says, what may be left out, and what is refused with line, field, value and remedy."""

from __future__ import annotations

import gzip
import io
import re
from dataclasses import replace
from pathlib import Path

import pytest

from ballast.errors import UserError
from ballast.simulate.inputs.trace import InvalidTrace, read_trace, write_trace
from ballast.simulate.job import TraceJob

HEADER = "name,kind,submitted_at,gpus,reference_seconds"
JOB = TraceJob("a", "resnet50-256", 5.0, 2, 100.0)


def written(folder: Path, *lines: str) -> Path:
    path = folder / "jobs.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def refusal(path: Path) -> str:
    with pytest.raises(InvalidTrace) as caught:
        read_trace(path)
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value)


def test_what_is_left_out_has_defaults(tmp_path: Path) -> None:
    (job,) = read_trace(written(tmp_path, HEADER, "a,resnet50-256,5,2,100"))
    assert job == TraceJob("a", "resnet50-256", 5.0, 2, 100.0, max_slowdown_percent=10.0, deadline=None, group="")


def test_columns_may_stand_in_any_order(tmp_path: Path) -> None:
    header = "group,gpus,deadline,kind,max_slowdown_percent,name,reference_seconds,submitted_at"
    (job,) = read_trace(written(tmp_path, header, "vision,2,400.5,ncf-1024,0,a,1e2,5"))
    assert job == TraceJob("a", "ncf-1024", 5.0, 2, 100.0, 0.0, 400.5, "vision")


def test_optional_cells_may_be_empty(tmp_path: Path) -> None:
    (job,) = read_trace(written(tmp_path, f"{HEADER},max_slowdown_percent,deadline,group", "a,k,0,1,1,,,"))
    assert (job.max_slowdown_percent, job.deadline, job.group) == (10.0, None, "")


def test_jobs_come_by_submission_and_then_as_they_stand(tmp_path: Path) -> None:
    path = written(tmp_path, HEADER, "late,k,9,1,1", "second,k,2,1,1", "another,k,2,1,1", "", "first,k,0,1,1")
    assert [job.name for job in read_trace(path)] == ["first", "second", "another", "late"]


@pytest.mark.parametrize("name", ["jobs.csv.gz", "jobs.csv"])
def test_compressed_traces_are_read_whatever_their_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(gzip.compress(f"\ufeff{HEADER}\na,k,0,1,1\n".encode()))
    assert [job.name for job in read_trace(tmp_path / name)] == ["a"]


def test_a_spreadsheets_file_is_read(tmp_path: Path) -> None:
    """With a byte order mark and lines that end as on Windows."""
    (tmp_path / "jobs.csv").write_bytes(b"\xef\xbb\xbf" + f"{HEADER}\r\na,k,0,8.0,1\r\n".encode())
    assert [job.gpus for job in read_trace(tmp_path / "jobs.csv")] == [8]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (",k,0,1,1,,", "line 3, name: must not be empty"),
        ("b,,0,1,1,,", "line 3, kind: must not be empty"),
        ("b\tb,k,0,1,1,,", "line 3, name: must have no line ends, tabs and other control characters"),
        ("b,k,-1,1,1,,", "line 3, submitted_at: must be a number of 0 or more (is '-1')"),
        ("b,k,soon,1,1,,", "line 3, submitted_at: must be a number of 0 or more (is 'soon')"),
        ("b,k,nan,1,1,,", "(is 'nan')"),
        ("b,k,1_000,1,1,,", "(is '1_000')"),
        ("b,k,0,0,1,,", "line 3, gpus: must be a whole number of 1 or more (is '0')"),
        ("b,k,0,1.5,1,,", "line 3, gpus: must be a whole number of 1 or more (is '1.5')"),
        ("b,k,0,1,0,,", "line 3, reference_seconds: must be a number above 0 (is '0')"),
        ("b,k,0,1,1e999,,", "line 3, reference_seconds: must be a number above 0 (is '1e999')"),
        ("b,k,0,1,1,-5,", "line 3, max_slowdown_percent: must be a number of 0 or more (is '-5')"),
        ("b,k,7,1,1,,7", "line 3, deadline: must be after submitted_at (7)"),
        ("b,k,0,1,1,", "line 3, line: must have a cell for each column (is '6 cells, where the header has 7')"),
        ("b,k,0,1,1,,,", "line 3, line: must have a cell for each column (is '8 cells, where the header has 7')"),
        ("a,k,0,1,1,,", "line 3, name: line 2 has this name already: rename one (is 'a')"),
    ],
)
def test_a_wrong_cell_is_named(tmp_path: Path, line: str, told: str) -> None:
    assert told in refusal(written(tmp_path, f"{HEADER},max_slowdown_percent,deadline", "a,k,0,1,1,,", line))


def test_all_wrong_lines_are_told_and_many_are_counted(tmp_path: Path) -> None:
    said = refusal(written(tmp_path, HEADER, "a,k,0,1,1", *(f"b{i},k,0,0,1" for i in range(13))))
    assert re.findall(r"line (\d+), gpus", said) == [str(line) for line in range(3, 13)]
    assert said.endswith("; and 3 more lines")


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (("name,kind,gpus,reference_seconds", "a,k,1,1"), "column 'submitted_at' is missing: add it"),
        ((f"{HEADER},deadlin", "a,k,0,1,1,9"), "column 'deadlin' is unknown: remove it, or spell it as one of"),
        ((f"{HEADER},gpus", "a,k,0,1,1,1"), "column 'gpus' stands twice"),
        ((HEADER,), "holds no job"),
        ((HEADER, '"a"b,k,0,1,1'), "line 2 is no CSV"),
    ],
)
def test_a_file_that_is_no_trace_says_so(tmp_path: Path, lines: tuple[str, ...], told: str) -> None:
    assert told in refusal(written(tmp_path, *lines))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", f"is empty: begin with the line {HEADER}"),
        (b"\xff\xfe", "UTF-8"),
        (gzip.compress(b"name,kind" * 99)[:-9], "the compressed file is broken"),
    ],
)
def test_a_file_that_is_no_text_says_so(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "jobs.csv").write_bytes(content)
    assert told in refusal(tmp_path / "jobs.csv")


@pytest.mark.parametrize("name", [".", "missing.csv"])
def test_what_is_no_file_says_so(tmp_path: Path, name: str) -> None:
    assert "name a file that can be read" in refusal(tmp_path / name)


def test_a_trace_is_written_in_plain_numbers() -> None:
    file = io.StringIO()
    write_trace([JOB, TraceJob("b, and c", "k", 0.1, 16, 2.5e6, 0.0, 7.25, "vision")], file)
    assert file.getvalue().splitlines() == [
        f"{HEADER},max_slowdown_percent,deadline,group",
        "a,resnet50-256,5,2,100,10,,",
        '"b, and c",k,0.1,16,2500000,0,7.25,vision',
    ]


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"name": ""}, "name"),
        ({"kind": ""}, "kind"),
        ({"group": "two\rlines"}, "group"),
        ({"submitted_at": float("inf")}, "submitted_at"),
        ({"gpus": 0}, "gpus"),
        ({"reference_seconds": float("nan")}, "reference_seconds"),
        ({"deadline": 5.0}, "deadline"),
    ],
)
def test_a_job_that_could_not_be_read_back_is_not_written(changed: dict[str, object], field: str) -> None:
    job = replace(JOB, **changed)  # type: ignore[arg-type]
    with pytest.raises(UserError, match=f"job '{job.name}', {field}: must"):
        write_trace([job], io.StringIO())


def test_a_name_is_not_written_twice() -> None:
    with pytest.raises(UserError, match="two jobs have it"):
        write_trace([JOB, replace(JOB, kind="ncf-1024")], io.StringIO())
