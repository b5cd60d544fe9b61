"""What is said to be saved: measured against measured, understated where there is doubt, absent else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ballast.api.jobstatus import EnergyStatus
from ballast.api.source import Component
from ballast.decide.life.reporting import report
from ballast.decide.points.savings import Saving, baseline, saving, steps_by_then
from ballast.decide.snapshot import Job
from tests.auto_builders import LATER, auto_job, figures, known, measured_point, profile, ready, watched
from tests.unit.decide.reported import energy

OWN = profile(measured_point(225.0, 9.5), measured_point(300.0, 10.0, 285.0))
"""At the found limit 28.5 J a step."""


def used(gpu: float, cpu: float = 0.0, step: int | None = 5000, **fields: Any) -> Job:
    job = replace(ready(learned=known(OWN)), **fields)
    joules = {Component.GPU: gpu, Component.CPU: cpu}
    return replace(job, telemetry=replace(figures(step=step), joules=joules))


def test_it_is_joules_a_step_at_the_found_limit_times_the_steps() -> None:
    assert saving(used(100_000.0), 100_000.0, 5000, LATER) == Saving(142_500.0, 29.8)


def test_what_is_lost_is_said_too() -> None:
    found = saving(used(200_000.0), 200_000.0, 5000, LATER)
    assert found is not None
    assert found.percent == pytest.approx(-40.4)


def test_cpus_count_for_as_long_as_the_steps_would_have_taken() -> None:
    # 5000 steps would have taken 500 s of the 1000 s.
    assert saving(used(100_000.0, 20_000.0), 120_000.0, 5000, LATER) == Saving(152_500.0, 21.3)


@pytest.mark.parametrize(
    "own",
    [
        None,
        profile(measured_point(225.0, 9.5)),
        profile(measured_point(300.0, 10.0, gpus=2)),
        profile(measured_point(300.0, 10.0, samples=2, steps_per_second_deviation=2.0)),
    ],
    ids=["no-profile", "not-measured-there", "another-gang", "badly-measured"],
)
def test_it_is_not_said_without_a_good_point_at_the_found_limit(own: object) -> None:
    job = used(100_000.0, learned=known(own))  # type: ignore[arg-type]
    assert baseline(job) is None
    assert saving(job, 100_000.0, 5000, LATER) == Saving()


def test_an_admins_point_will_do() -> None:
    assert baseline(used(1.0, learned=known(shared=OWN))) is not None


def test_an_admins_point_of_other_steps_will_not() -> None:
    mine = profile(measured_point(225.0, 19.0))
    assert baseline(used(1.0, learned=known(mine, shared=OWN))) is None
    assert baseline(used(1.0, learned=known(profile(measured_point(225.0, 9.5)), shared=OWN))) is not None


@pytest.mark.parametrize("step", [None, 0])
def test_nothing_is_said_before_the_first_step(step: int | None) -> None:
    assert saving(used(100_000.0), 100_000.0, step, LATER) is None


def test_it_is_reported_with_the_joules() -> None:
    write = report(used(100_000.0), watched())
    assert write is not None
    assert (energy(write.status).baseline_joules, energy(write.status).saved_percent) == (142_500.0, 29.8)
    told = auto_job().with_status(energy=energy(write.status), progress=write.status.progress)
    again = replace(used(100_500.0), job=told.with_status(conditions=write.status.conditions).build().job)
    settled = report(again, watched())
    assert settled is None or energy(settled.status).saved_percent == 29.8


def test_it_goes_when_the_profile_is_begun_anew_and_stays_while_nobody_tells() -> None:
    told = EnergyStatus(joules=100_000.0, watts=250.0, baseline_joules=142_500.0, saved_percent=29.8)
    job = replace(used(100_000.0), job=auto_job().with_status(energy=told).build().job)
    gone = report(replace(job, learned=known(profile())), watched())
    assert gone is not None
    assert energy(gone.status).saved_percent is None
    kept = report(replace(job, learned=None), watched())
    assert kept is None or energy(kept.status).saved_percent == 29.8


@pytest.mark.parametrize(
    ("read_at", "steps"),
    [(LATER, 5000.0), (LATER - 10, 4900.0), (LATER + 2, 5020.0), (LATER - 1e6, 0.0), (None, 5000.0)],
)
def test_steps_are_those_that_were_done_when_the_joules_were_read(read_at: float | None, steps: float) -> None:
    telemetry = figures(step=5000)
    assert telemetry.training is not None
    training = replace(telemetry.training, reported_at=LATER, steps_per_second=10.0)
    assert steps_by_then(replace(telemetry, training=training, read_at=read_at)) == steps


def test_without_a_pace_steps_are_as_reported() -> None:
    telemetry = figures(step=5000)
    assert telemetry.training is not None
    training = replace(telemetry.training, reported_at=LATER, steps_per_second=None)
    assert steps_by_then(replace(telemetry, training=training, read_at=LATER - 10)) == 5000.0


def test_steps_that_a_checkpoint_brought_are_no_saving() -> None:
    # 1000 s at 10 steps a second are 10,000 steps.
    assert saving(used(100_000.0, step=10_400), 100_000.0, 10_400, LATER) == Saving(296_400.0, 66.3)
    assert saving(used(100_000.0, step=1_000_000), 100_000.0, 1_000_000, LATER) == Saving()


def test_a_trainer_that_hangs_does_no_steps() -> None:
    hung = replace(figures(step=5000, reported_at=LATER - 36_000, steps_per_second=10.0), read_at=LATER)
    assert steps_by_then(hung) == 5000 + 600
