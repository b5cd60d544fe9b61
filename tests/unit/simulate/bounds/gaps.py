"""How far the lower bound lies below the optimum, on drawn instances of measured curves.

`python -m tests.unit.simulate.bounds.gaps FOLDER`, where FOLDER holds Zeus's tables. Each line is one horizon, twenty
instances. "Impossible" are those that no schedule ends by then, or for which none was found in 20 s.
"""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path
from statistics import median

from ballast.errors import UserError
from ballast.simulate.bounds.milp import optimum
from ballast.simulate.bounds.problem import Problem
from ballast.simulate.bounds.relaxation import lower_bound
from ballast.simulate.curves import Curves, zeus_curves
from ballast.simulate.engine.options import Options
from ballast.simulate.job import TraceJob
from ballast.simulate.policy import SimNode

NODES = (
    SimNode("v", "V100", 8, 100, 250, 33, 350),
    SimNode("a", "A40", 8, 100, 300, 30, 350),
)


def drawn(curves: Curves, seed: int, jobs: int, options: Options, keeps_slowdown: bool, stretch: float) -> Problem:
    """Return an instance whose horizon is so many times the latest end of any job that would run alone."""
    dice = random.Random(seed)  # noqa: S311
    some = tuple(
        TraceJob(
            f"job-{number}",
            dice.choice(curves.kinds),
            dice.uniform(0, 3600),
            dice.choice([1, 2, 4, 8]),
            dice.uniform(600, 7200),
        )
        for number in range(jobs)
    )
    alone = max(job.submitted_at + 1.5 * job.reference_seconds for job in some)
    return Problem(some, NODES, curves, stretch * alone, options, keeps_slowdown)


def main() -> None:
    """Print the gaps."""
    curves = zeus_curves(Path(sys.argv[1]))
    for options, jobs in ((Options(), 8), (Options(switch_off_after_seconds=120.0), 4)):
        for keeps_slowdown in (True, False):
            for stretch in (1.0, 1.5, 2.5):
                _line(curves, options, jobs, keeps_slowdown, stretch)


def _line(curves: Curves, options: Options, jobs: int, keeps_slowdown: bool, stretch: float) -> None:
    gaps, dynamic, seconds, open_searches, impossible = [], [], [], 0, 0
    for seed in range(20):
        began = time.monotonic()
        try:
            instance = drawn(curves, seed, jobs, options, keeps_slowdown, stretch)
            best = optimum(instance, seconds=20)
        except UserError:
            impossible += 1
            continue
        seconds.append(time.monotonic() - began)
        open_searches += not best.proven
        bound = lower_bound(instance)
        gaps.append(100 * (1 - bound.joules / best.joules))
        if options.switch_off_after_seconds is None:
            standby = instance.horizon * sum(instance.standby_watts(node) for node in NODES)
            dynamic.append(100 * (best.joules - bound.joules) / (best.joules - standby))
    above_idle = f"of joules above idle {median(dynamic):.2f} %, {max(dynamic):.2f} %; " if dynamic else ""
    print(
        f"nodes {'stay on' if options.switch_off_after_seconds is None else 'switched off'}, {jobs} jobs, "
        f"slowdown {'kept' if keeps_slowdown else 'free'}, horizon x {stretch}: "
        f"gap median {median(gaps):.2f} %, most {max(gaps):.2f} %; {above_idle}"
        f"{len(gaps)} solved, {open_searches} not proven, {impossible} impossible; "
        f"median {median(seconds):.2f} s, most {max(seconds):.1f} s",
        flush=True,
    )


if __name__ == "__main__":
    main()
