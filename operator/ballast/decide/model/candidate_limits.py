"""Which power limits there are to choose from on a GPU model.

What must hold: the found limit is among them, and two are never the same to a board, which rounds to whole watts.
"""

from __future__ import annotations

import math

from ballast.decide.model.known_limits import whole
from ballast.decide.model.prediction import GpuRange

STEP_WATTS = 25
"""Distance of the limits that are considered, on a board whose range holds at least `LEAST_STEPS` of them."""

LEAST_STEPS = 4

STEP_PERCENT = 5
"""Their distance on others, in percent of the found limit; in whole watts."""


def candidate_limits(gpu: GpuRange) -> tuple[float, ...]:
    """Return the limits to choose from on a GPU model, ascending; the last is the found one.

    Whole multiples of 25 W, so that all jobs and all boards of a fleet have few distinct limits, which agents confirm
    and people recognize, and so that what one job measured is of use to the next. The best limit lies where joules are
    flat in it: half a step, on boards of 250 W and more, is at most 5 percent of the found limit. A board whose range
    is narrow gets multiples of 5 percent of its found limit instead.
    """
    step = STEP_WATTS
    if gpu.max_limit_watts - gpu.min_limit_watts < LEAST_STEPS * STEP_WATTS:
        step = max(round(gpu.max_limit_watts * STEP_PERCENT / 100), 1)
    first, last = math.ceil(gpu.min_limit_watts / step), math.floor(gpu.max_limit_watts / step)
    # Watts are what limits are told apart by: a found limit of 249.9 W is no other than 250 W.
    below = [step * index for index in range(first, last + 1) if step * index < whole(gpu.max_limit_watts)]
    return (*(float(watts) for watts in below), gpu.max_limit_watts)
