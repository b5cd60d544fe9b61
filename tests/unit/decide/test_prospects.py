"""What a gang would do on each GPU model: by what was measured, by the table, or by both."""

from __future__ import annotations

import math

import pytest

from ballast.decide.gpu_models import A40, H100, V100
from ballast.decide.prospects import Prospect, prospects
from tests.prospect_builders import BOARDS, on


def found(*profiles: object, gpus: int = 1, percent: float = 10, **more: object) -> dict[str, Prospect]:
    made = prospects(BOARDS, gpus, percent, profiles, **more)  # type: ignore[arg-type]
    return {each.gpu_model.name: each for each in made}


def test_without_measurements_the_table_speaks() -> None:
    seen = found()
    assert seen["V100"].model_slowdown == pytest.approx(A40.relative_speed)
    assert seen["A40"].model_slowdown == 1.0
    assert not any(each.measured or each.is_worth_a_try for each in seen.values())


def test_what_was_measured_on_both_outweighs_the_table() -> None:
    seen = found(on("V100", 250, 10.0), on("A40", 300, 5.0))
    assert seen["V100"].model_slowdown == 1.0
    assert seen["A40"].model_slowdown == pytest.approx(2.0)
    assert seen["A40"].log_sd < 0.02


def test_a_product_label_is_of_its_gpu_model() -> None:
    assert found(on("Tesla-V100-SXM2-16GB", 250, 10.0))["V100"].measured


def test_what_was_measured_on_one_says_something_of_the_other() -> None:
    seen = found(on("A40", 300, 10.0))
    assert seen["V100"].model_slowdown == pytest.approx(A40.relative_speed)
    assert seen["V100"].is_worth_a_try
    assert seen["V100"].curiosity < 1
    assert seen["A40"].curiosity == 1


def test_a_gpu_model_is_too_slow_only_where_that_is_sure() -> None:
    # The table's A40 may be as slow as a V100: 18 percent more is no reason to refuse one.
    assert not found()["V100"].is_too_slow(10)
    assert found(on("A40", 300, 10.0), on("V100", 250, 8.5))["V100"].is_too_slow(10)
    assert not found(on("A40", 300, 10.0), on("V100", 250, 9.2))["V100"].is_too_slow(10)


def test_one_that_is_far_slower_is_too_slow_by_the_table() -> None:
    slow, _ = prospects({V100: None, H100: None}, 1, 10)
    assert slow.is_too_slow(10)


def test_a_measurement_below_the_found_limit_tells_of_that_limit_by_the_curve() -> None:
    seen = found(on("V100", 150, 10.0, draw=149.0), on("A40", 300, 10.0))
    assert seen["V100"].model_slowdown == 1.0
    assert seen["A40"].model_slowdown > 1.05


def test_gangs_of_another_size_tell_less_surely() -> None:
    own = found(on("V100", 250, 10.0), on("A40", 300, 5.0), gpus=4)
    assert own["A40"].model_slowdown == pytest.approx(2.0)
    assert own["A40"].log_sd > 0.1


def test_the_limit_is_that_of_the_fewest_joules_within_what_the_model_leaves() -> None:
    fastest = found(on("V100", 250, 10.0, draw=220.0), on("A40", 300, 9.5, draw=270.0), percent=10)
    assert fastest["V100"].limit_watts < 250
    assert 1 < fastest["V100"].slowdown <= 1.1
    assert fastest["A40"].slowdown <= 1.1 + 1e-9
    none = found(on("V100", 250, 10.0, draw=220.0), on("A40", 300, 9.5, draw=270.0), percent=0)
    assert none["V100"].limit_watts == 250


def test_a_limit_that_the_user_set_is_counted_with() -> None:
    assert found(fixed_limit_watts=150.0)["V100"].limit_watts == 150
    assert found(fixed_limit_watts=290.0)["V100"].limit_watts == 250
    assert found(is_tuned=False)["A40"].limit_watts == 300


def test_joules_are_those_above_what_the_board_draws_anyway() -> None:
    one = found(on("V100", 250, 10.0, draw=233.0), is_tuned=False)["V100"]
    assert one.joules_per_work == pytest.approx((one.watts - 33.0) * one.slowdown)
    assert math.isclose(one.watts, 233.0, rel_tol=0.02)
