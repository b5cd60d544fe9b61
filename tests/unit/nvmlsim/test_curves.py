"""Speed and watts against the power limit: the measured points, raw."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.nvmlsim import curves
from tests.nvmlsim.boards import A40, A100, H100, V100, BoardModel, Curves
from tests.unit.nvmlsim.builders import needs_data

MEASURED = [V100, A40]


def _rows(board: BoardModel) -> Iterator[tuple[str, float, float, float]]:
    with (curves.data_folder() / f"summary_power_{board.curves}.csv").open() as file:
        for row in csv.DictReader(file):
            workload = "/".join((row["dataset"], row["network"], row["batch_size"], row["optimizer"]))
            yield workload, float(row["power_limit"]), float(row["time_per_epoch"]), float(row["average_power"])


@needs_data
@pytest.mark.parametrize("board", MEASURED, ids=lambda board: board.curves)
def test_at_measured_limits_a_curve_is_the_measurement(board: BoardModel) -> None:
    """Every row of the data: watts as measured, speed as the ratio of epoch times."""
    at_maximum = {workload: seconds for workload, limit, seconds, _ in _rows(board) if limit == board.max_limit_watts}
    rows = list(_rows(board))
    assert len(rows) > 400
    for workload, limit, seconds, watts in rows:
        curve = curves.curve(board, workload)
        assert curve.watts_at(limit) == watts
        assert curve.speed_at(limit) == at_maximum[workload] / seconds


@needs_data
def test_caps_are_not_hard_ceilings() -> None:
    """27 rows of the A40 draw more than 2 % above their limit; so do the boards."""
    above = [
        limit for workload, limit, _, _ in _rows(A40) if curves.curve(A40, workload).watts_at(limit) > 1.02 * limit
    ]
    assert len(above) == 27


@needs_data
def test_between_measured_limits_a_curve_is_linear() -> None:
    curve = curves.curve(V100, "imagenet/resnet50/128/adadelta")
    middle = (curve.watts_at(125) + curve.watts_at(150)) / 2
    assert curve.watts_at(137.5) == pytest.approx(middle)
    assert curve.speed_at(50) == curve.speed_at(100)


@needs_data
@pytest.mark.parametrize("board", MEASURED, ids=lambda board: board.curves)
def test_a_workload_that_was_not_measured_is_refused(board: BoardModel) -> None:
    with pytest.raises(curves.UnknownWorkload, match="name one of"):
        curves.curve(board, "cifar100/resnet18/1/sgd")
    assert curves.curve(board) == curves.curve(board, curves.DEFAULT_WORKLOAD)


@needs_data
@pytest.mark.parametrize("board", MEASURED, ids=lambda board: board.curves)
def test_the_fit_is_the_least_squares_of_the_measurements(board: BoardModel) -> None:
    """Its coefficients and the errors that its comment states come out again."""
    groups: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    for workload, limit, seconds, watts in _rows(board):
        if "/ncf/" not in workload:
            groups[workload].append((limit, seconds, watts))
    points = [
        (1 - limit / board.max_limit_watts, max(group)[1] / seconds, watts / board.max_limit_watts)
        for group in groups.values()
        for limit, seconds, watts in group
    ]
    x, speeds, powers_drawn = (np.array(column) for column in zip(*points, strict=True))
    fit = curves.FITTED[board.curves]
    for wanted, powers, values, scale, error in (
        (fit.speed, (1, 2, 3), speeds - 1, 1.0, {Curves.V100: 0.085, Curves.A40: 0.124}),
        (fit.watts, (0, 1, 2, 3), powers_drawn, board.max_limit_watts, {Curves.V100: 39.0, Curves.A40: 32.0}),
    ):
        columns = np.stack([x**power for power in powers], axis=1)
        found, *_ = np.linalg.lstsq(columns, values, rcond=None)
        assert found == pytest.approx(wanted, abs=1e-3)
        rms = float(np.sqrt(np.mean((columns @ np.array(wanted) - values) ** 2))) * scale
        assert rms == pytest.approx(error[board.curves], rel=0.02)


@pytest.mark.parametrize("board", [V100, A40], ids=lambda board: board.curves)
def test_without_the_data_boards_run_on_the_fit(
    board: BoardModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any workload then does the same."""
    monkeypatch.setenv("NVMLSIM_DATA", str(tmp_path))
    curve = curves.curve(board, "anything")
    assert curve == curves.fitted(board)
    assert curve.speed_at(board.max_limit_watts) == 1.0
    assert 0.2 < curve.speed_at(board.min_limit_watts) < 0.9
    watts = [curve.watts_at(limit) for limit in range(100, int(board.max_limit_watts) + 1, 10)]
    assert watts == sorted(watts)


@pytest.mark.parametrize("board", [A100, H100], ids=lambda board: board.name)
def test_boards_that_were_not_measured_run_on_the_stated_model(board: BoardModel) -> None:
    curve = curves.curve(board, "anything")
    assert curve.watts_at(board.max_limit_watts) == pytest.approx(0.9 * board.max_limit_watts)
    assert curve.watts_at(board.min_limit_watts) == pytest.approx(board.min_limit_watts)
    assert curve.speed_at(board.max_limit_watts) == pytest.approx(1.0)
    assert curve.speeds == tuple(sorted(curve.speeds))


def test_clock_and_speed_are_each_others_inverse() -> None:
    for clock in (0.2, 0.5, 0.9, 1.0):
        assert curves.clock_at_speed(curves.speed_at_clock(clock)) == pytest.approx(clock)
