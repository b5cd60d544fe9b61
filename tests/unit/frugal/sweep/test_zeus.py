"""What power limits saved on real GPUs, by the public measurements of the Zeus paper, with our own arithmetic.

Source: You, Chung, Chowdhury, "Zeus: Understanding and Optimizing GPU Energy Consumption of DNN Training", NSDI 2023;
its repository's trace: 68 configurations on V100 and 53 on A40 (dataset, network, batch size, optimizer), each measured
once at every power limit, so without a confidence interval. These are measurements of theirs, none of ours; the guide
(docs/guide/sweep.md) quotes the figures that are tested here.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path
from statistics import median

import pytest

from frugal import sweep
from frugal.sweep.points import OperatingPoint
from frugal.sweep.result import PointResult, SweepResult
from frugal.sweep.sweeping import Measurement
from tests.nvmlsim import curves
from tests.unit.frugal.sweep.builders import result
from tests.unit.nvmlsim.builders import needs_data

pytestmark = needs_data


RECORDED = Path(sweep.__file__).with_name("recorded")


def by_configuration(*boards: str) -> dict[tuple[str, ...], SweepResult]:
    """Each configuration as if it were a sweep of ours: an epoch is a step, the maximum limit the baseline."""
    found: dict[tuple[str, ...], list[Measurement]] = defaultdict(list)
    for board in boards:
        with (curves.data_folder() / f"summary_power_{board}.csv").open() as file:
            for row in csv.DictReader(file):
                seconds = float(row["time_per_epoch"])
                found[board, row["dataset"], row["network"], row["batch_size"], row["optimizer"]].append(
                    Measurement(
                        point=OperatingPoint(power_limit_watts=float(row["power_limit"])),
                        round=0,
                        steps=1,
                        seconds=seconds,
                        joules=seconds * float(row["average_power"]),
                    )
                )
    return {key: result(*sorted(one, key=lambda m: -m.point.power_limit_watts)) for key, one in found.items()}


def medians(best: list[PointResult]) -> tuple[float, float]:
    """Saving and slowdown in percent; where nothing saves, both are 0."""
    savings = [0.0 if one.saving_percent is None else one.saving_percent.mean for one in best]
    slowdowns = [0.0 if one.slowdown_percent is None else one.slowdown_percent.mean for one in best]
    return median(savings), median(slowdowns)


@pytest.mark.parametrize(
    ("boards", "configurations", "within", "saving", "slowdown"),
    [
        (("v100", "a40"), 121, None, 20.4, 11.5),
        (("v100", "a40"), 121, 10.0, 16.1, 5.9),
        (("v100", "a40"), 121, 5.0, 10.9, 2.1),
        (("v100",), 68, None, 22.6, 19.7),
        (("v100",), 68, 10.0, 14.1, 6.3),
        (("a40",), 53, None, 19.0, 7.2),
        (("a40",), 53, 10.0, 16.5, 4.1),
    ],
)
def test_the_median_configuration_saved_so_much_on_real_gpus(
    boards: tuple[str, ...], configurations: int, within: float | None, saving: float, slowdown: float
) -> None:
    measured = by_configuration(*boards).values()
    assert len(measured) == configurations
    assert medians([one.best(within) for one in measured]) == pytest.approx((saving, slowdown), abs=0.05)


@pytest.mark.parametrize(("board", "least_watts"), [("v100", 100.0), ("a40", 100.0)])
def test_the_recorded_simulated_sweep_found_what_was_measured(board: str, least_watts: float) -> None:
    """SIMULATED: the board replays a configuration, the sweep measured it through NVML; half a percentage point off."""
    recorded = SweepResult.from_json((RECORDED / f"{board}-simulated.json").read_text())
    assert recorded.simulated
    (truth,) = (one for key, one in by_configuration(board).items() if "/".join(key[1:]) == curves.DEFAULT_WORKLOAD)
    measured = {one.point: one for one in truth.results()}
    found = [one for one in recorded.results()[1:] if one.point in measured]
    assert least_watts in {one.point.power_limit_watts for one in found}
    for one in found:
        real = measured[one.point]
        assert one.saving_percent is not None
        assert real.saving_percent is not None
        assert one.saving_percent.mean == pytest.approx(real.saving_percent.mean, abs=0.5)
    best = recorded.best(10.0)
    assert best.saving_percent is not None
    assert best.saving_percent.mean >= 20.0
