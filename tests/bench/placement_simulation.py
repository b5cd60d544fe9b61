"""A long trace for `ballast simulate`'s engine, and how long the arm `ballast` takes over it.

Jobs of mixed sizes, kinds, slowdowns and deadlines come at random to a cluster of a hundred nodes that they keep busy
to four fifths. What must hold: the same number of jobs gives the same trace.
"""

from __future__ import annotations

import time
from random import Random
from typing import Final

from ballast.simulate.curves import fitted_curves
from ballast.simulate.engine.engine import run
from ballast.simulate.inputs.load import scaled_to_load
from ballast.simulate.job import TraceJob
from ballast.simulate.policies.ballast import ballast
from ballast.simulate.policy import SimNode

NODES: Final = 100
LOAD: Final = 0.8
SIZES: Final = ((1, 50), (2, 15), (4, 15), (8, 14), (16, 4), (32, 2))
"""(GPUs, how many of a hundred jobs ask for them)."""
SLOWDOWNS: Final = (0, 10, 25, 50, 100)
KIND_OF_NODE: Final = (("V100", 100.0, 250.0, 33.0), ("A40", 100.0, 300.0, 30.0))
"""GPU model, least and highest limit, idle power of one: those of which the fitted curves know."""


def cluster() -> list[SimNode]:
    """Return the nodes."""
    return [
        SimNode(f"{model.lower()}-{number:02}", model, 8, least, highest, idle, 300.0)
        for model, least, highest, idle in KIND_OF_NODE
        for number in range(NODES // len(KIND_OF_NODE))
    ]


def trace(count: int, seed: int = 0) -> list[TraceJob]:
    """Return so many jobs, at least two."""
    choose = Random(seed)  # noqa: S311 - a reproducible trace, no secret
    curves = fitted_curves()
    gpus, weights = zip(*SIZES, strict=True)
    jobs, now = [], 0.0
    for number in range(count):
        now += choose.expovariate(1.0)
        seconds = min(max(choose.lognormvariate(8.0, 1.2), 120.0), 100_000.0)
        deadline = now + 3 * seconds if choose.random() < 0.2 else None
        size, slowdown = choose.choices(gpus, weights)[0], choose.choice(SLOWDOWNS)
        jobs.append(TraceJob(f"job-{number:06}", choose.choice(curves.kinds), now, size, seconds, slowdown, deadline))
    return scaled_to_load(jobs, LOAD, cluster(), curves)


def seconds_for(count: int) -> tuple[float, float]:
    """Simulate so many jobs; return the seconds on the wall's clock, and those of the processor."""
    jobs, nodes, curves = trace(count), cluster(), fitted_curves()
    began, began_cpu = time.perf_counter(), time.process_time()
    run(jobs, nodes, curves, ballast(), seed=0)
    return time.perf_counter() - began, time.process_time() - began_cpu
