"""All figures of the operator, in three parts that can also be run alone, each on clusters of its own.

`queue`: beside thousands of queued jobs (minutes); `admissions`: how fast it admits (about 6 minutes for each of two
rates and each run, so that it is run once unless told otherwise); `placements`: how fast jobs come to run (minutes).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.bench import admissions_bench, placements_bench, queue_bench
from tests.bench.measurement import Measurement

RUNS = 3
RUNS_OF_ADMISSIONS = 1
JOBS = 5000
NODES = 500


@dataclass(frozen=True)
class Size:
    """How much is measured.

    Attributes:
        runs: of each part; None for what is usual.
        jobs: that wait in `queue`, or that `placement` simulates; None for as many as are usual.
        nodes: of `queue`.
        scale: of the jobs in `admissions` and `placements`; only 1 gives official figures.
        keep: a folder for the raw results of `energy`; None to keep none.
    """

    runs: int | None = None
    jobs: int | None = None
    nodes: int = NODES
    scale: float = 1.0
    keep: Path | None = None


PARTS: Mapping[str, Callable[[Size], list[Measurement]]] = {
    "queue": lambda size: queue_bench.measure(size.runs or RUNS, size.jobs or JOBS, size.nodes),
    "admissions": lambda size: admissions_bench.measure(size.runs or RUNS_OF_ADMISSIONS, size.scale),
    "placements": lambda size: placements_bench.measure(size.runs or RUNS, size.scale),
}


def measure(size: Size) -> Iterator[Measurement]:
    """Yield every figure as soon as its part is done."""
    for part in PARTS.values():
        yield from part(size)


EXPLAINED = "\n".join(
    str(text) for text in (__doc__, queue_bench.__doc__, admissions_bench.__doc__, placements_bench.__doc__)
)
