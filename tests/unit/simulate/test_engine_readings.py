"""Policies learn of speed and power by readings, after a while at one operating point, and never exactly."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, stdev

import pytest

from ballast.simulate.engine.options import Options
from ballast.simulate.policy import Reading, SetLimit, Step, View
from tests.unit.simulate.running import FirstFit, Told, job, node, ran


class Reader(Told):
    """Keeps every reading that it sees; lowers a job's limit at its first."""

    def __init__(self, lowers: bool = False) -> None:
        super().__init__(self._look)
        self.lowers = lowers
        self.seen: dict[str, list[Reading]] = {}

    def _look(self, view: View) -> Sequence[Step]:
        steps = []
        for name, running in view.running.items():
            seen = self.seen.setdefault(name, [])
            if running.reading is not None and running.reading not in seen:
                seen.append(running.reading)
                if self.lowers and len(seen) == 1:
                    steps.append(SetLimit(name, 100))
        return steps


EXACT = Options(readings_noise=0)


def test_a_reading_comes_after_a_while_and_then_at_round_times() -> None:
    reader = Reader()
    ran(job(seconds=1500, gpus=2, at=100), policy=reader, options=EXACT)
    assert [(r.at, r.seconds) for r in reader.seen["j"]] == [(130, 30), (600, 470), (1200, 600)]
    first = reader.seen["j"][0]
    assert (first.gpu_model, first.limit_watts, first.gpus) == ("Fast", 200, 2)
    assert (first.work_per_second, first.watts_per_gpu) == (2.0, 180)


def test_a_new_operating_point_is_read_anew() -> None:
    reader = Reader(lowers=True)
    ran(job(seconds=400), policy=reader, options=EXACT)
    assert [(r.at, r.limit_watts, r.work_per_second) for r in reader.seen["j"]][:2] == [(30, 200, 1.0), (60, 100, 0.5)]


def test_the_policy_is_asked_when_a_reading_is_there() -> None:
    policy = FirstFit()
    ran(job(seconds=700), policy=policy)
    assert policy.asked == [0, 30, 600]


def test_all_jobs_are_read_at_the_same_times() -> None:
    policy = FirstFit()
    ran(*(job(name, seconds=700, at=ord(name) - ord("a")) for name in "abc"), on=[node(gpus=4)], policy=policy)
    assert [at for at in policy.asked if at > 40] == [600, 700, 701]


def test_a_reading_that_would_watch_too_short_a_time_waits_for_the_next_round() -> None:
    reader = Reader()
    ran(job(seconds=800, at=560), policy=reader)
    assert [r.at for r in reader.seen["j"]] == [590, 1200]


def test_readings_need_not_be_repeated() -> None:
    reader = Reader()
    ran(job(seconds=5000), policy=reader, options=Options(reading_every_seconds=None))
    assert [r.at for r in reader.seen["j"]] == [30]


def test_a_short_job_is_never_read() -> None:
    policy = FirstFit()
    ran(job("j", seconds=30), job("k", seconds=29, at=1000), policy=policy)
    assert policy.asked == [0, 30, 1000]  # nothing but arrivals and an end


def test_readings_are_noisy_without_bias() -> None:
    reader = Reader()
    ran(job(seconds=600 * 2000), policy=reader, options=Options(readings_noise=0.05))
    for values, truth in (
        ([r.work_per_second for r in reader.seen["j"]], 1.0),
        ([r.watts_per_gpu for r in reader.seen["j"]], 180.0),
    ):
        assert fmean(values) == pytest.approx(truth, rel=0.005)
        assert stdev(values) == pytest.approx(0.05 * truth, rel=0.1)
        assert truth not in values


def test_arms_read_a_job_with_the_same_errors_and_seeds_with_others() -> None:
    def read(seed: int, *others: str) -> list[Reading]:
        reader = Reader()
        ran(job(seconds=5000), *(job(name, seconds=99) for name in others), policy=reader, seed=seed)
        return [r for r in reader.seen["j"] if r.at > 200]

    assert read(1) == read(1, "other")
    assert {r.watts_per_gpu for r in read(1)}.isdisjoint({r.watts_per_gpu for r in read(2)})
