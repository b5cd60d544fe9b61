"""Series of carbon and price: step functions from CSV files."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from ballast.errors import UserError
from ballast.simulate.series import Series, read_series


def _file(folder: Path, text: str) -> Path:
    path = folder / "series.csv"
    path.write_text(text)
    return path


def test_a_value_holds_from_its_time_on_and_the_first_before_it() -> None:
    series = Series((10.0, 20.0), (1.0, 3.0))
    assert [series(at) for at in (0.0, 10.0, 19.9, 20.0, 1e9)] == [1.0, 1.0, 1.0, 3.0, 3.0]


def test_the_integral_is_the_sum_over_its_steps() -> None:
    series = Series((10.0, 20.0), (1.0, 3.0))
    assert series.integral(0.0, 25.0) == pytest.approx(20 + 15)
    assert series.integral(12.0, 14.0) == pytest.approx(2.0)
    assert series.integral(20.0, 22.0) == pytest.approx(6.0)


def test_seconds_and_dates_are_read_alike(tmp_path: Path) -> None:
    seconds = read_series(_file(tmp_path, "time,value\n0,400\n\n3600,380\n"))
    began = datetime(2026, 1, 5, tzinfo=UTC)
    dates = read_series(_file(tmp_path, "time,value\n2026-01-05T00:00:00Z,400\n2026-01-05T02:00:00+01:00,380\n"), began)
    assert seconds == dates == Series((0.0, 3600.0), (400.0, 380.0))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("at,value\n0,1\n", "line 1: is 'at,value': the first line must be time,value"),
        ("", "line 1: is '': the first line must be time,value"),
        ("time,value\n", "has no values: add lines"),
        ("time,value\n0,1\n0,2\n", "line 3: '0' is not after the time before it"),
        ("time,value\n0,much\n", "line 2: value 'much': write a number"),
        ("time,value\n0,nan\n", "line 2: value 'nan': write a number"),
        ("time,value\n0,1,2\n", "line 2: has 3 values: write two"),
        ("time,value\nsoon,1\n", "line 2: time 'soon': write seconds"),
        ("time,value\n2026-01-05T00:00:00Z,1\n", "line 2: .* is a date: say when the trace began, with --trace-began"),
    ],
)
def test_what_is_wrong_is_told_with_line_and_remedy(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(UserError, match=told):
        read_series(_file(tmp_path, text))
