"""How efficiency by number of GPUs comes from measured throughputs."""

from __future__ import annotations

from pathlib import Path

import pytest

from ballast.decide.model.gpu_scaling import ON_ONE_NODE, OVER_NODES
from ballast.errors import UserError
from ballast.simulate.fitting.scaling_fit import Throughput, fit_scaling, gavel_throughputs
from tests.unit.simulate.published import GAVEL, needs_gavel


def rows(series: str, speeds: dict[int, float], on_one_node: bool = True) -> list[Throughput]:
    return [Throughput((series, "job", "32"), on_one_node, gpus, speed) for gpus, speed in speeds.items()]


@needs_gavel
def test_the_tables_that_ship_are_what_the_measurements_give() -> None:
    throughputs = gavel_throughputs(GAVEL)
    assert fit_scaling(throughputs, on_one_node=True) == ON_ONE_NODE
    assert fit_scaling(throughputs, on_one_node=False) == OVER_NODES


def test_efficiency_is_the_median_of_all_series_with_its_quartiles() -> None:
    speeds = {"a": 2.0, "b": 1.8, "c": 1.6, "d": 1.4, "e": 1.2}
    found = fit_scaling([row for name, two in speeds.items() for row in rows(name, {1: 1.0, 2: two})], True)
    assert [(each.gpus, each.efficiency, each.low, each.high, each.series) for each in found] == [
        (1, 1.0, 1.0, 1.0, 5),
        (2, 0.8, 0.7, 0.9, 5),
    ]


def test_jobs_on_one_node_and_over_nodes_are_told_apart() -> None:
    both = [*rows("a", {1: 1.0, 2: 2.0}), *rows("b", {1: 1.0, 2: 2.0})]
    over = [*rows("a", {1: 1.0, 2: 1.0 + 1e-3}, False), *rows("b", {1: 1.0, 2: 1.0 + 1e-3}, False)]
    assert fit_scaling([*both, *over], True)[-1].efficiency == 1.0
    assert fit_scaling([*both, *over], False)[-1].efficiency == pytest.approx(0.5, abs=0.001)


def test_what_is_no_measurement_is_left_out() -> None:
    good = [*rows("a", {1: 1.0, 2: 1.6}), *rows("b", {1: 1.0, 2: 1.6})]
    nothing, less, no_base = rows("c", {1: 1.0, 2: 0.0}), rows("d", {1: 1.0, 2: 0.7}), rows("e", {2: 9.0})
    assert fit_scaling([*good, *nothing, *less, *no_base], True)[-1].efficiency == 0.8


def test_a_gain_from_more_gpus_is_pooled_away() -> None:
    found = fit_scaling([*rows("a", {1: 1.0, 2: 1.2, 4: 3.2}), *rows("b", {1: 1.0, 2: 1.2, 4: 3.2})], True)
    assert [each.efficiency for each in found] == [1.0, 0.7, 0.7]


def test_a_folder_without_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has no gavel_throughputs_flat\.csv"):
        gavel_throughputs(tmp_path)
