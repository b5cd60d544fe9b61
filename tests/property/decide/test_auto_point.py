"""Whatever a workload is like and however its readings scatter: its limit is one that boards take, within bounds."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from ballast.api.energyprofile import EnergyProfile
from ballast.api.jobstatus import ChosenPoint
from ballast.decide.cycle import decide
from ballast.decide.model.candidate_limits import candidate_limits
from ballast.decide.operating_point import asks
from ballast.decide.points.auto_point import tuned
from ballast.decide.snapshot import Job
from tests.auto_builders import (
    BOARD,
    CLOCK,
    Trained,
    auto_job,
    chosen,
    known,
    measured_point,
    picture,
    profile,
    ready,
    statuses,
    watched,
    with_chosen,
)
from tests.curve_builders import MadeUpCurve

LIMITS = candidate_limits(BOARD)

truths = st.builds(
    MadeUpCurve,
    gpu=st.just(BOARD),
    draws=st.floats(120.0, 300.0),
    floor=st.floats(20.0, 90.0),
    exponent=st.floats(0.05, 1.5),
)
errors = st.lists(st.floats(-0.02, 0.02), min_size=1, max_size=20)
points = st.builds(
    measured_point,
    st.sampled_from([*LIMITS, 90.0, 320.0, 233.0]),
    st.floats(0.1, 50.0),
    st.floats(40.0, 300.0),
    samples=st.integers(1, 40),
    gpus=st.integers(1, 2),
    max_clock_hertz=st.sampled_from([CLOCK, CLOCK // 2]),
)
profiles = st.none() | st.lists(points, max_size=8, unique_by=lambda each: each.operating_point).map(
    lambda found: profile(*found)
)
choices = st.none() | st.builds(chosen, st.sampled_from([*LIMITS, 320.0]), samples=st.integers(0, 80))


@given(truths, errors)
@settings(max_examples=25)
def test_every_limit_is_in_the_range_and_what_is_settled_on_within_the_slowdown(
    truth: MadeUpCurve, noise: list[float]
) -> None:
    trained = Trained(truth=truth)
    trained.cycle()
    for number in range(25):
        trained.confirm()
        assert trained.has_watts in LIMITS
        trained.off_by = noise[number % len(noise)]
        trained.cycle(trained.read())
    point = trained.job.job.status.operating_point
    assert point is not None
    if point.why.endswith("measured"):
        # Readings are wrong by up to 2 % on either side of the ratio.
        assert truth.true_slowdown_percent(point.power_limit_watts) <= 10.0 + 5.0


@given(truths, errors)
@settings(max_examples=25)
def test_nothing_is_written_while_nothing_changes(truth: MadeUpCurve, noise: list[float]) -> None:
    trained = Trained(truth=truth)
    trained.cycle()
    for number in range(8):
        trained.confirm()
        trained.off_by = noise[number % len(noise)]
        trained.cycle(trained.read())
        point = trained.job.job.status.operating_point
        trained.cycle()  # figures, which wait for what is more urgent
        assert trained.job.job.status.operating_point == point
        assert trained.cycle() == []


@given(profiles, profiles, choices, st.sampled_from([{"mode": "None"}, {"mode": "Fixed", "powerLimit": "250W"}]))
def test_fixed_and_none_are_never_moved(own: object, shared: object, before: object, mode: dict[str, str]) -> None:
    job = ready(auto_job(operatingPoint=mode), learned=known(own, shared=shared))  # type: ignore[arg-type]
    job = with_chosen(job, before, confirmed=False)  # type: ignore[arg-type]
    wanted = [250.0] if mode["mode"] == "Fixed" else []
    assert [each.power_limit_watts for each in asks(job)] == wanted
    after = tuned(job, watched())[0]
    assert after.job.status.operating_point is None
    assert asks(after) == asks(job)


@given(profiles, profiles, choices, st.integers(0, 50), st.none() | st.integers(-1000, 100_000))
def test_one_choice_is_enough(own: object, shared: object, before: object, most: int, left: int | None) -> None:
    """Whatever profiles say, and whatever was chosen before: the choice is one that boards take, and made once."""
    job = ready(auto_job(maxSlowdownPercent=most), learned=known(own, shared=shared))  # type: ignore[arg-type]
    assert job.telemetry is not None
    assert job.telemetry.training is not None
    training = replace(job.telemetry.training, seconds_left=None if left is None else float(left))
    job = replace(job, telemetry=replace(job.telemetry, training=training))
    job = with_chosen(job, before)  # type: ignore[arg-type]
    after, _ = tuned(job, watched())
    point = after.job.status.operating_point
    assert point is not None
    assert point == before or point.power_limit_watts in LIMITS
    again = with_chosen(job, point)
    assert tuned(again, watched())[0].job.status.operating_point == point


@given(profiles, choices)
def test_without_fresh_figures_only_a_visit_ends(own: object, before: ChosenPoint | None) -> None:
    job = with_chosen(ready(learned=known(own)), before)  # type: ignore[arg-type]
    points = own.spec.points if isinstance(own, EnergyProfile) else ()
    measured = {each.power_limit_watts for each in points if (each.gpus, each.max_clock_hertz) == (1, CLOCK)}
    for blind in (replace(job, telemetry=None), _old(job)):
        for write in statuses(decide(picture(blind)).actions):
            after = write.status.operating_point
            if after != before:
                assert before is not None
                assert after is not None
                assert after.power_limit_watts > before.power_limit_watts
                assert before.power_limit_watts not in measured


def _old(job: Job) -> Job:
    assert job.telemetry is not None
    return replace(job, telemetry=replace(job.telemetry, oldest_at=0.0))
