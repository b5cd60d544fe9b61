"""Published traces: what is read of Philly's and Gavel's, and what is refused."""

from __future__ import annotations

import gzip
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from ballast.simulate.inputs.trace import InvalidTrace
from ballast.simulate.inputs.trace_formats import GAVEL_KINDS, RawJob, read_gavel, read_philly
from tests.unit.simulate.published import GAVEL, PHILLY, needs_gavel, needs_philly

PHILLY_HEADER = "timestamp,duration,num_gpus,gpu_time,cluster"
NOON = 1509537600.0  # 2017-11-01 12:00:00 UTC, by `date`


def philly(folder: Path, *lines: str) -> Path:
    path = folder / "philly.csv"
    path.write_text("\n".join((PHILLY_HEADER, *lines)) + "\n")
    return path


def gavel(folder: Path, *lines: tuple[object, ...]) -> Path:
    path = folder / "some.trace"
    path.write_text("".join("\t".join(map(str, line)) + "\n" for line in lines))
    return path


def lm(
    steps: object = 1000, arrival: object = 7.0, gpus: object = 1, kind: str = "LM (batch size 80)"
) -> tuple[object, ...]:
    return (kind, "cd %s/lm && python main.py", "--steps", 1, steps, arrival, gpus)


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The machine's own clock is three hours behind UTC."""
    with monkeypatch.context() as changed:
        changed.setenv("TZ", "XYZ+3")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize(
    "moment", ["2017-11-01 12:00:00", "2017-11-01T12:00:00Z", "2017-11-01T13:00:00+01:00", "1509537600", "1509537600.0"]
)
def test_philly_moments_are_utc_unless_they_say_otherwise(tmp_path: Path, moment: str) -> None:
    assert read_philly(philly(tmp_path, f"{moment},66.0,8,528.0,11cb48")) == [RawJob(NOON, 66.0, 8, "11cb48")]


def test_philly_keeps_the_files_order_and_equal_rows(tmp_path: Path) -> None:
    late, early = "1509537600,5,1,5,b", "1509530000,9,2,18,a"
    raw = read_philly(philly(tmp_path, late, early, late))
    assert [job.seconds for job in raw] == [5, 9, 5]


def test_philly_is_found_in_its_folder(tmp_path: Path) -> None:
    with pytest.raises(InvalidTrace, match=r"holds none of philly\.csv\.gz, philly\.csv"):
        read_philly(tmp_path)
    (tmp_path / "philly.csv.gz").write_bytes(gzip.compress(f"{PHILLY_HEADER}\n1509537600,5,1,5,b\n".encode()))
    assert len(read_philly(tmp_path)) == 1


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("yesterday,5,1,5,b", "line 2, timestamp: must be a moment as 2017-11-08 08:12:11"),
        ("1509537600,0,1,0,b", "line 2, duration: must be a number above 0"),
        ("1509537600,5,0,0,b", "line 2, num_gpus: must be a whole number of 1 or more"),
    ],
)
def test_a_wrong_cell_of_philly_is_named(tmp_path: Path, line: str, told: str) -> None:
    with pytest.raises(InvalidTrace, match=told):
        read_philly(philly(tmp_path, line))


def test_gavels_durations_are_steps_over_the_rate_of_their_type(tmp_path: Path) -> None:
    """Whatever the GPUs."""
    raw = read_gavel(gavel(tmp_path, lm(steps=439_036), lm(steps=439_036, gpus=4, arrival=9.5), lm(823, kind="A3C")))
    assert [(job.submitted_at, round(job.seconds, 1), job.gpus, job.kind) for job in raw] == [
        (7.0, 10_000.0, 1, "LM (batch size 80)"),
        (9.5, 10_000.0, 4, "LM (batch size 80)"),
        (7.0, 100.0, 1, "A3C"),
    ]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (lm(steps=0), "line 2, steps: must be a number above 0"),
        (lm(gpus="one"), "line 2, gpus: must be a whole number of 1 or more"),
        (lm(arrival=-1), "line 2, arrival_seconds: must be a number of 0 or more"),
        (lm(kind="LM (batch size 81)"), "line 2, job_type: must be one of Gavel's job types"),
        (lm()[:-1], r"line 2 has 6 columns, and Gavel's layout 7 \(job_type, command"),
    ],
)
def test_a_wrong_line_of_gavel_is_named(tmp_path: Path, line: tuple[object, ...], told: str) -> None:
    with pytest.raises(InvalidTrace, match=told):
        read_gavel(gavel(tmp_path, lm(), line))


@needs_philly
def test_phillys_published_figures() -> None:
    """Those of the data's own notes."""
    raw = read_philly(PHILLY)
    assert len(raw) == 82_247
    assert len({job.group for job in raw}) == 15
    assert max(job.gpus for job in raw) == 128
    assert sum(job.gpus * job.seconds for job in raw) / 3600 == pytest.approx(978_078, abs=1)
    assert sorted(job.seconds for job in raw)[len(raw) // 2] == 1144
    assert sum(count - 1 for count in Counter(raw).values()) == 65


@needs_gavel
@pytest.mark.parametrize(("name", "jobs", "largest"), [("103959", 986, 4), ("6c71a0", 2000, 32)])
def test_gavels_published_traces(name: str, jobs: int, largest: int) -> None:
    raw = read_gavel(GAVEL / f"{name}.trace")
    assert len(raw) == jobs
    assert raw[0].submitted_at == 0
    assert max(job.gpus for job in raw) == largest
    assert {str(job.kind).partition(" (")[0] for job in raw} == GAVEL_KINDS.keys()


@needs_gavel
@needs_philly
@pytest.mark.parametrize(("name", "zero", "matched"), [("103959", 1506013212.0, 728), ("6c71a0", 1505617269.0, 817)])
def test_gavels_jobs_run_as_long_as_phillys(name: str, zero: float, matched: int) -> None:
    """Those that arrive in a second in which Philly has one job: a few of them are another job of it all the same."""
    philly_jobs: dict[float, list[RawJob]] = defaultdict(list)
    for job in read_philly(PHILLY):
        if job.group == name:
            philly_jobs[job.submitted_at - zero].append(job)
    pairs = [(job, philly_jobs.get(job.submitted_at, [])) for job in read_gavel(GAVEL / f"{name}.trace")]
    alone = [(job, theirs[0]) for job, theirs in pairs if len(theirs) == 1]
    assert len(alone) == matched
    assert all(job.gpus == theirs.gpus for job, theirs in alone)
    # Steps are whole: a short job of a type with few steps a second is off by up to 3 s.
    alike = [abs(job.seconds - theirs.seconds) < 1e-5 * theirs.seconds + 3.1 for job, theirs in alone]
    assert sum(alike) >= 0.98 * matched
