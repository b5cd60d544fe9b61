"""The committed experiment's jobs are those that were stated before its first result."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from pathlib import Path

import pytest

from ballast.errors import UserError
from ballast.simulate.curves import zeus_curves
from ballast.simulate.inputs.load import offered_load
from ballast.simulate.inputs.trace_formats import EXPERIMENT_KINDS, philly_november, read_philly
from ballast.simulate.job import TraceJob
from tests.unit.simulate.published import DATA, PHILLY, a40, eight_nodes, level, needs_philly, v100

NODES = eight_nodes()
CURVES = level()


@cache
def november(seed: int, load: float) -> list[TraceJob]:
    """Of the published trace, which takes a second to read."""
    return philly_november(PHILLY, seed, load, NODES, CURVES)


def made_up(folder: Path) -> Path:
    """25 jobs of November 2017, and one on each side of it, latest first."""
    moments = ["2017-10-31 23:59:59", *(f"2017-11-{day:02} 00:00:00" for day in range(1, 26)), "2017-12-01 00:00:00"]
    lines = [f"{moment},{100 + i},{(1, 12, 128)[i % 3]},0,vc" for i, moment in enumerate(moments)]
    path = folder / "philly.csv"
    path.write_text("\n".join(["timestamp,duration,num_gpus,gpu_time,cluster", *reversed(lines)]) + "\n")
    return path


@pytest.mark.parametrize(
    ("seed", "taken"), [(0, [101, 111, 121]), (4, [105, 115, 125]), (5, [106, 116]), (15, [106, 116])]
)
def test_the_seed_says_which_tenth(tmp_path: Path, seed: int, taken: list[float]) -> None:
    jobs = philly_november(made_up(tmp_path), seed, 0.8, NODES, CURVES)
    assert [job.reference_seconds for job in jobs] == taken


def test_jobs_as_stated(tmp_path: Path) -> None:
    jobs = philly_november(made_up(tmp_path), 0, 0.8, NODES, CURVES)
    assert [job.gpus for job in jobs] == [16, 32, 1]
    assert {job.max_slowdown_percent for job in jobs} == {10.0}
    assert jobs[0].submitted_at == 0
    assert jobs[1].submitted_at == pytest.approx(jobs[2].submitted_at / 2)


def test_seeds_with_the_same_tenth_draw_other_kinds(tmp_path: Path) -> None:
    kinds = {
        tuple(j.kind for j in philly_november(made_up(tmp_path), seed, 0.8, NODES, CURVES)) for seed in range(0, 90, 10)
    }
    assert len(kinds) > 1


@pytest.mark.parametrize("nodes", [NODES[:3], NODES[2:6], (*NODES[:4], a40("small", gpus=4)), ()])
def test_a_cluster_that_cannot_hold_the_largest_jobs_is_refused(tmp_path: Path, nodes: tuple[object, ...]) -> None:
    with pytest.raises(UserError, match="largest jobs take 4 nodes of 8 GPUs of one model"):
        philly_november(made_up(tmp_path), 0, 0.8, nodes, CURVES)  # type: ignore[arg-type]


def test_one_model_is_enough(tmp_path: Path) -> None:
    assert philly_november(made_up(tmp_path), 0, 0.8, [v100(str(i)) for i in range(4)], CURVES)


def test_a_trace_without_that_november_is_refused(tmp_path: Path) -> None:
    (tmp_path / "philly.csv").write_text("timestamp,duration,num_gpus,cluster\n2018-11-01 00:00:00,5,1,vc\n")
    with pytest.raises(UserError, match="has 0 jobs of November 2017"):
        philly_november(tmp_path, 0, 0.8, NODES, CURVES)


@needs_philly
def test_november_is_what_its_timestamps_say() -> None:
    begin, end = (datetime.fromisoformat(f"2017-{month}-01T00:00:00Z").timestamp() for month in (11, 12))
    assert sum(begin <= job.submitted_at < end for job in read_philly(PHILLY)) == 21_318


@needs_philly
@pytest.mark.parametrize(("seed", "count"), [(0, 2132), (7, 2132), (8, 2131), (9, 2131)])
def test_a_tenth_of_november(seed: int, count: int) -> None:
    jobs = november(seed, 0.6)
    assert len(jobs) == count
    assert {job.gpus for job in jobs} <= {1, 2, 4, 8, 16, 24, 32}
    assert {job.kind for job in jobs} == set(EXPERIMENT_KINDS)
    deadlines = [job.deadline is not None for job in jobs]
    assert deadlines == [number % 4 == 0 for number in range(1, count + 1)]
    for job in jobs[3::4]:
        assert job.deadline == pytest.approx(job.submitted_at + 3 * job.reference_seconds)
    submissions = [job.submitted_at for job in jobs]
    assert submissions == sorted(submissions)


@needs_philly
@pytest.mark.skipif(not (DATA / "zeus").is_dir(), reason=f"Zeus's tables are not in {DATA}")
@pytest.mark.parametrize("load", [0.60, 0.80, 0.95])
def test_the_load_is_what_was_asked_for_on_the_measured_curves(load: float) -> None:
    """Counted here anew: both models' mean at 250 W and 300 W, of 64 GPUs, from the first submission to the last."""
    curves = zeus_curves(DATA / "zeus")
    jobs = philly_november(PHILLY, 0, load, NODES, curves)
    seconds = {
        kind: (1 / curves.of(kind, "V100").speed(250) + 1 / curves.of(kind, "A40").speed(300)) / 2
        for kind in EXPERIMENT_KINDS
    }
    asked = sum(job.gpus * job.reference_seconds * seconds[job.kind] for job in jobs)
    assert asked / (64 * (jobs[-1].submitted_at - jobs[0].submitted_at)) == pytest.approx(load, rel=1e-6)
    assert offered_load(jobs, NODES, curves) == pytest.approx(load, rel=1e-6)


@needs_philly
def test_a_seed_gives_the_same_jobs_and_another_seed_other_ones() -> None:
    assert philly_november(PHILLY, 0, 0.6, NODES, CURVES) == november(0, 0.6)
    assert [job.reference_seconds for job in november(0, 0.6)] != [job.reference_seconds for job in november(7, 0.6)]


@needs_philly
def test_loads_differ_in_arrivals_alone() -> None:
    calm, busy = november(0, 0.6), november(0, 0.95)
    assert [(job.kind, job.gpus, job.reference_seconds) for job in calm] == [
        (job.kind, job.gpus, job.reference_seconds) for job in busy
    ]
    assert calm[-1].submitted_at == pytest.approx(busy[-1].submitted_at * 0.95 / 0.6)
