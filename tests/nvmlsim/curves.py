"""How fast a workload runs on a GPU model, and what it draws, against the power limit.

V100 and A40 replay the raw points of `shared/data/zeus`: one curve is one measured configuration (dataset, network,
batch size, optimizer), speed is its epoch time at the maximum limit divided by that at the limit, watts are the mean
power of the whole run, and between two measured limits both are linear. Nothing is smoothed: a point that draws more
than its limit does so here, and one that was measured faster than at the maximum limit (NCF, which no limit binds, is
noise by up to 14 %) is so here.

Without that folder V100 and A40 run on our own fit: cubics in x = 1 - limit / maximum, least squares over all measured
configurations but NCF (`FITTED`, with the root mean square errors, which are mostly the spread between workloads).

A100 and H100 were not measured: theirs is a synthetic model, stated in `synthetic`. It appears in no savings figure.
None of this shares code or coefficients with the operator's energy model.
"""

from __future__ import annotations

import bisect
import csv
import os
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from tests.cluster.paths import CHECKOUT
from tests.nvmlsim.boards import BoardModel, Curves

DEFAULT_WORKLOAD = "cifar100/shufflenetv2/1024/adadelta"
DATA_VARIABLE = "NVMLSIM_DATA"

UNCAPPED_SHARE = 0.9
"""Synthetic boards: what full load draws without a cap, as a share of the maximum limit."""
COMPUTE_SHARE = 0.7
"""Synthetic: the share of the time at the highest clock that scales with the clock; the rest waits for memory."""
POWER_EXPONENT = 2.4
"""Synthetic: what a GPU draws above idle goes with its clock to this power, voltage falling with the clock."""
MEMORY_SHARE = 0.3
"""Synthetic: the share of the time that scales with the memory clock."""
MEMORY_POWER_SHARE = 0.25
"""Synthetic: the share of what is drawn above idle that scales with the memory clock."""


class UnknownWorkload(Exception):
    """No such configuration was measured on this GPU model; the message names some that were."""


@dataclass(frozen=True)
class Curve:
    """Speed and watts at ascending power limits; linear between them, level beyond.

    Attributes:
        speeds: 1 is the speed at the maximum limit.
        watts: Mean power while it runs without a pause.
    """

    limits: tuple[float, ...]
    speeds: tuple[float, ...]
    watts: tuple[float, ...]

    def speed_at(self, limit_watts: float) -> float:
        """Return the speed under a limit."""
        return _between(self.limits, self.speeds, limit_watts)

    def watts_at(self, limit_watts: float) -> float:
        """Return the mean power under a limit."""
        return _between(self.limits, self.watts, limit_watts)


@dataclass(frozen=True)
class Fit:
    """Cubics in x = 1 - limit / maximum: speed = 1 + ax + bx² + cx³, watts / maximum = d + ex + fx² + gx³."""

    speed: tuple[float, float, float]
    watts: tuple[float, float, float, float]


FITTED: Mapping[Curves, Fit] = {
    # Root mean square error over 55 configurations: 0.085 of the speed, 39 W.
    Curves.V100: Fit((-0.1906, 0.4881, -1.5768), (0.7020, -0.4055, -0.4027, 0.2012)),
    # Over 40 configurations: 0.124 of the speed, 32 W.
    Curves.A40: Fit((0.1599, -0.4957, -1.7071), (0.7167, -0.2265, -0.9411, 0.6897)),
}


def data_folder() -> Path:
    """Return where the measurements are: `$NVMLSIM_DATA`, else `shared/data/zeus` beside the checkout."""
    return Path(os.environ.get(DATA_VARIABLE) or CHECKOUT.parent / "shared" / "data" / "zeus")


def curve(board: BoardModel, workload: str = "") -> Curve:
    """Return the curve of a workload on a GPU model.

    Args:
        board: The GPU model.
        workload: `dataset/network/batch size/optimizer`, as in the measurements; empty for `DEFAULT_WORKLOAD`. It makes
            no difference where nothing was measured.

    Raises:
        UnknownWorkload: It was not measured on this GPU model, though others were.
    """
    if board.curves is Curves.SYNTHETIC:
        return synthetic(board)
    known = measured(os.environ.get(DATA_VARIABLE), board.curves)
    if not known:
        return fitted(board)
    found = known.get(workload or DEFAULT_WORKLOAD)
    if found is None:
        some = ", ".join(sorted(known)[:3])
        raise UnknownWorkload(f"{workload!r} was not measured on {board.name}: name one of {len(known)}, as {some}")
    return found


def is_measured(board: BoardModel) -> bool:
    """Return whether measured points of a GPU model are there to be replayed."""
    return board.curves is not Curves.SYNTHETIC and bool(measured(os.environ.get(DATA_VARIABLE), board.curves))


@lru_cache
def measured(named_folder: str | None, curves: Curves) -> Mapping[str, Curve]:
    """Return the measured curves of a GPU model by workload; empty without the data.

    Args:
        named_folder: What `DATA_VARIABLE` says now; the data are read once for each.
        curves: Of which GPU model.
    """
    path = data_folder() / f"summary_power_{curves.value}.csv"
    if not path.is_file():
        return {}
    points: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            workload = "/".join(row[name] for name in ("dataset", "network", "batch_size", "optimizer"))
            points[workload].append(
                (float(row["power_limit"]), float(row["time_per_epoch"]), float(row["average_power"]))
            )
    return {workload: _replay(sorted(found)) for workload, found in points.items()}


def _replay(points: Sequence[tuple[float, float, float]]) -> Curve:
    seconds_at_maximum = points[-1][1]
    return Curve(
        limits=tuple(limit for limit, _, _ in points),
        speeds=tuple(seconds_at_maximum / seconds for _, seconds, _ in points),
        watts=tuple(watts for _, _, watts in points),
    )


@lru_cache
def fitted(board: BoardModel) -> Curve:
    """Return the curve of any workload on a GPU model, from our fit."""
    fit, most = FITTED[board.curves], board.max_limit_watts

    def at(limit: float) -> tuple[float, float]:
        x = 1.0 - limit / most
        speed = 1.0 + sum(factor * x ** (power + 1) for power, factor in enumerate(fit.speed))
        return min(1.0, speed), most * sum(factor * x**power for power, factor in enumerate(fit.watts))

    return _table(board, at)


@lru_cache
def synthetic(board: BoardModel) -> Curve:
    """Return the stated model of a GPU model without measurements.

    Full load draws `UNCAPPED_SHARE` of the maximum limit. A lower limit is kept exactly, by a clock that follows from
    `POWER_EXPONENT`; what that clock costs in speed, `speed_at_clock` says.
    """
    uncapped = UNCAPPED_SHARE * board.max_limit_watts

    def at(limit: float) -> tuple[float, float]:
        watts = min(limit, uncapped)
        clock = ((watts - board.idle_watts) / (uncapped - board.idle_watts)) ** (1.0 / POWER_EXPONENT)
        return speed_at_clock(clock), watts

    return _table(board, at)


def speed_at_clock(clock: float) -> float:
    """Return the speed at a share of the highest clock: synthetic, since the data vary only the limit."""
    return 1.0 / (COMPUTE_SHARE / clock + 1.0 - COMPUTE_SHARE)


def clock_at_speed(speed: float) -> float:
    """Return the share of the highest clock at which the speed is so: the inverse of `speed_at_clock`."""
    return COMPUTE_SHARE / (1.0 / speed - 1.0 + COMPUTE_SHARE)


def power_at_clock(clock: float) -> float:
    """Return what is drawn above idle at a share of the highest clock, as a share of that at the highest: synthetic."""
    return float(clock**POWER_EXPONENT)


def speed_at_memory_clock(clock: float) -> float:
    """Return the speed at a share of the highest memory clock: synthetic."""
    return 1.0 / (MEMORY_SHARE / clock + 1.0 - MEMORY_SHARE)


def power_at_memory_clock(clock: float) -> float:
    """Return what is drawn above idle at a share of the highest memory clock: synthetic."""
    return 1.0 - MEMORY_POWER_SHARE * (1.0 - clock)


def _table(board: BoardModel, at: Callable[[float], tuple[float, float]]) -> Curve:
    least, most = board.min_limit_watts, board.max_limit_watts
    limits = tuple(least + (most - least) * i / 100 for i in range(101))
    points = [at(limit) for limit in limits]
    return Curve(limits, tuple(speed for speed, _ in points), tuple(watts for _, watts in points))


def _between(xs: Sequence[float], ys: Sequence[float], x: float) -> float:
    if x <= xs[0]:
        return ys[0]
    if x >= xs[-1]:
        return ys[-1]
    i = bisect.bisect_right(xs, x)
    share = (x - xs[i - 1]) / (xs[i] - xs[i - 1])
    return ys[i - 1] + share * (ys[i] - ys[i - 1])
