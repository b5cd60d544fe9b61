"""Whatever stands in a profile that the schema takes, by mistake or by malice: decisions are made, and good ones."""

from __future__ import annotations

import sys
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ballast.api.energyprofile import EnergyProfile, MeasuredPoint
from ballast.api.jobstatus import TrainingJobStatus
from ballast.decide.cycle import decide
from ballast.decide.model.candidate_limits import candidate_limits
from ballast.decide.model.prediction import GpuRange
from tests.auto_builders import (
    BOARD,
    CLOCK,
    LATER,
    auto_job,
    chosen,
    known,
    measurement,
    picture,
    profile,
    profiles,
    ready,
    statuses,
    with_chosen,
)
from tests.builders import at

most = sys.float_info.max
positive = st.floats(0, most, exclude_min=True) | st.floats(0.1, 100)
not_negative = st.none() | st.floats(0, most) | st.floats(0, 1)
points = st.fixed_dictionaries(
    {
        "gpus": st.sampled_from([1, 2, 32_768]),
        "power_limit_watts": st.sampled_from([*candidate_limits(BOARD), 0.001, 10_000.0, 233.3]),
        "max_clock_hertz": st.sampled_from([1, CLOCK, 100_000_000_000]),
        "steps_per_second": positive,
        "steps_per_second_deviation": not_negative,
        "watts_per_gpu": st.floats(0, 10_000, exclude_min=True),
        "watts_per_gpu_deviation": not_negative,
        "samples": st.sampled_from([1, 2, 4, 8, 1_000_000_000_000]),
        "measured_seconds": positive,
        "measured_at": st.sampled_from([None, at(0), at(1e6)]),
    }
).map(lambda fields: MeasuredPoint(**fields))
many = st.lists(points, max_size=6, unique_by=lambda each: each.operating_point)
boards = st.sampled_from(
    [BOARD, GpuRange("x", 100.0, 100.0, 30.0), GpuRange("x", 120.0, 90.0, 30.0), GpuRange("x", 299.5, 300.2, 900.0)]
)
readings = st.builds(
    measurement,
    st.sampled_from([*candidate_limits(BOARD), 0.0, 1e308]),
    st.floats(allow_nan=True, allow_infinity=True),
    st.floats(allow_nan=True, allow_infinity=True),
    seconds=st.sampled_from([0.0, 1e-300, 30.0, -5.0, 1e9]),
)


@given(many, many, st.none() | points, boards, st.none() | readings, st.none() | st.sampled_from([0.001, 225.0, 1e4]))
def test_a_decision_is_made_and_can_be_written(
    own: list[MeasuredPoint],
    shared: list[MeasuredPoint],
    contradicting: MeasuredPoint | None,
    board: GpuRange,
    reading: Any,
    before: float | None,
) -> None:
    mine = profile(*own, contradicting=contradicting)
    learned = known(mine, shared=profile(*shared, namespace="ballast-system"), gpu=board)
    job = ready(auto_job(), learned=learned, measurement=reading)
    job = with_chosen(job, None if before is None else chosen(before), confirmed=False)
    actions = decide(picture(job, now=LATER)).actions
    for write in statuses(actions):
        assert TrainingJobStatus.model_validate(write.status.to_manifest()) == write.status
        point = write.status.operating_point
        allowed = {before, *(candidate_limits(board) if board.min_limit_watts < board.max_limit_watts else ())}
        assert point is None or point.power_limit_watts in allowed
    for made in profiles(actions):
        kept = EnergyProfile(kind="EnergyProfile", metadata=mine.metadata, spec=made.spec, status=made.status)
        assert EnergyProfile.parse(kept.to_manifest()) == kept
