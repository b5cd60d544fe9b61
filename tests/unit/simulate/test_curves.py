"""Curves go through their points, stay flat beyond them, and say what is wrong with them."""

from __future__ import annotations

import pickle

import pytest

from ballast.errors import UserError
from ballast.simulate.curves import ZEUS_KINDS, Curve, CurvePoint, Curves, fitted_curves

POINTS = (CurvePoint(100, 0.5, 90), CurvePoint(150, 0.9, 140), CurvePoint(250, 1.0, 220))


@pytest.mark.parametrize(
    ("limit", "speed", "watts"),
    [
        (100, 0.5, 90),
        (125, 0.7, 115),
        (150, 0.9, 140),
        (200, 0.95, 180),
        (250, 1.0, 220),
        (50, 0.5, 90),
        (400, 1.0, 220),
    ],
)
def test_linear_between_points_and_constant_beyond(limit: float, speed: float, watts: float) -> None:
    curve = Curve("train", "V100", POINTS)
    assert curve.speed(limit) == pytest.approx(speed)
    assert curve.watts(limit) == pytest.approx(watts)
    assert (curve.min_limit_watts, curve.max_limit_watts) == (100, 250)


def test_a_speed_that_falls_with_the_limit_stays_as_measured() -> None:
    curve = Curve("train", "A40", (CurvePoint(275, 1.0, 168), CurvePoint(300, 0.99, 167)))
    assert curve.speed(300) < curve.speed(287.5) < curve.speed(275)


@pytest.mark.parametrize(
    ("points", "told"),
    [
        ((), "has no points"),
        (POINTS[::-1], "limit_watts 150 follows 250"),
        ((POINTS[0], POINTS[0]), "limit_watts 100 follows 100"),
        ((CurvePoint(100, 0, 90),), "work_per_second is 0: must be a number above 0"),
        ((CurvePoint(100, 1, float("nan")),), "watts is nan"),
    ],
)
def test_bad_points_are_refused(points: tuple[CurvePoint, ...], told: str) -> None:
    with pytest.raises(UserError, match=f"curve of train on V100: .*{told}"):
        Curve("train", "V100", points)


def test_what_there_is_no_curve_of_is_named_with_the_remedy() -> None:
    curves = Curves("made up", True, "V100", (Curve("train", "V100", POINTS),))
    with pytest.raises(
        UserError, match=r"kind 'train' on GPU model 'H100': made up has train only on V100; .*--curves"
    ):
        curves.of("train", "H100")
    with pytest.raises(UserError, match=r"kind 'sing' on .* only the kinds train"):
        curves.of("sing", "V100")


def test_two_curves_of_one_thing_are_refused() -> None:
    with pytest.raises(UserError, match="made up: gives two curves of train on V100"):
        Curves("made up", True, "V100", (Curve("train", "V100", POINTS), Curve("train", "V100", POINTS[:2])))


def test_curves_travel_to_other_processes() -> None:
    curves = fitted_curves()
    there = pickle.loads(pickle.dumps(curves))  # noqa: S301
    assert there == curves
    assert there.of("ncf-1024", "A40") == curves.of("ncf-1024", "A40")


def test_fitted_curves_say_that_they_are_not_measured() -> None:
    curves = fitted_curves()
    assert not curves.measured
    assert "NOT measurements" in curves.source
    assert (curves.kinds, curves.models) == (tuple(ZEUS_KINDS), ("V100", "A40"))
    for kind in curves.kinds:
        assert curves.of(kind, "V100").speed(250) == 1
