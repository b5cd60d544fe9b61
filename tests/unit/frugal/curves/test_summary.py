"""What a curve is called, and that nothing estimated is shown as measured."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from frugal.curves.recording import Recording
from frugal.curves.summary import Course, course, describe, plot
from tests.unit.frugal.curves.builders import curve, small

FALLING = [2.0, 1.0, 0.5, 0.4, 0.3, 0.2, 0.15, 0.12]
UNSTEADY = [2.0, 1.0, 0.5, 0.4, 0.3, 0.3, 0.33, 0.35]  # both losses go up at the end, little
RISING = [0.3, 0.5, 0.7, 0.8, 0.9, 0.92, 0.94, 0.96]


@pytest.mark.parametrize(
    ("expected", "columns"),
    [
        (Course.IMPROVING, {"train_loss": FALLING, "val_loss": FALLING, "val_accuracy": RISING}),
        (Course.PLATEAUED, {"train_loss": FALLING, "val_loss": FALLING, "val_accuracy": [*RISING[:6], 0.925, 0.921]}),
        (Course.OVERFIT, {"train_loss": FALLING, "val_loss": [*FALLING[:5], 0.31, 0.34, 0.5], "val_accuracy": RISING}),
        (Course.PLATEAUED, {"train_loss": UNSTEADY, "val_loss": UNSTEADY, "val_accuracy": [*RISING[:6], 0.925, 0.921]}),
        (Course.NEVER_LEARNED, {"train_loss": [2.3] * 8, "val_loss": [2.3] * 8, "val_accuracy": [0.1] * 8}),
        (Course.DIVERGED, {"train_loss": [*FALLING[:7], math.nan], "val_loss": FALLING, "val_accuracy": RISING}),
        (Course.DIVERGED, {"train_loss": [*FALLING[:7], 2.0], "val_loss": FALLING, "val_accuracy": RISING}),
        (Course.DIVERGED, {"train_loss": [math.nan] * 8, "val_loss": [math.nan] * 8, "val_accuracy": [0.1] * 8}),
    ],
)
def test_a_course_is_called_by_its_rules(expected: Course, columns: dict[str, list[float]]) -> None:
    assert course(curve(0, columns)) is expected


def test_a_page_says_which_joules_are_estimates() -> None:
    recording = Recording(ranges=small(), made={}, curves=[curve(0), curve(1, measured=True), curve(2)])
    page = describe(recording, 1000)
    assert "joules of 2: ESTIMATED" in page
    assert "joules of 1: measured" in page


def test_one_training_that_diverged_does_not_flatten_the_others_in_a_plot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, path, dpi: drawn.append(figure))
    diverged = curve(0, {"train_loss": [1.0, 1e30, 1e31, 1e32], "val_loss": [1.0, 1e30, 1e31, 1e32]})
    plot(Recording(ranges=small(), made={}, curves=[diverged, curve(1)]), tmp_path / "curves.png")
    assert all(axes.get_ylim()[1] < 100 for axes in drawn[0].axes)


def test_a_plot_is_drawn_even_of_curves_that_diverged(tmp_path: Path) -> None:
    odd = curve(0, {"train_loss": [1.0, math.nan, math.inf, 2.0], "val_loss": [1.0, 0.5, math.inf, math.nan]})
    plot(Recording(ranges=small(), made={}, curves=[odd, curve(1)]), tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 1000
