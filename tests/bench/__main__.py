"""Command line of the benchmarks: results on standard output, a JSON object a line; progress on standard error."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from tests.bench import (
    energy_bench,
    metering_bench,
    operating_point_bench,
    operator_bench,
    placement_bench,
    readings_bench,
)
from tests.bench.measurement import Measurement, commit_of
from tests.bench.operator_bench import PARTS, Size
from tests.e2e.operator_process import REPOSITORY


def _of_readings(part: Callable[[int], Iterable[Measurement]]) -> Callable[[Size], Iterable[Measurement]]:
    return lambda size: part(size.runs or readings_bench.RUNS)


def _alone(part: Callable[[Size], Measurement]) -> Callable[[Size], Iterable[Measurement]]:
    return lambda size: [part(size)]


BENCHES: dict[str, Callable[[Size], Iterable[Measurement]]] = {
    "operator": operator_bench.measure,
    **PARTS,
    "metering": lambda size: metering_bench.measure(size.runs or operator_bench.RUNS),
    "operating-point": lambda size: operating_point_bench.measure(size.runs or operating_point_bench.RUNS),
    "readings": lambda size: readings_bench.measure(size.runs or readings_bench.RUNS),
    **{name: _of_readings(part) for name, part in readings_bench.PARTS.items()},
    "energy": lambda size: energy_bench.measure(size.runs, size.keep),
    "placement": placement_bench.measure,
    **{name: _alone(part) for name, part in placement_bench.PARTS.items()},
}
EXPLAINED = "\n".join(
    str(text)
    for text in (
        operator_bench.EXPLAINED,
        metering_bench.__doc__,
        operating_point_bench.__doc__,
        readings_bench.EXPLAINED,
        energy_bench.__doc__,
        placement_bench.EXPLAINED,
    )
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run benchmarks; the exit code tells whether they ran, not whether their aims hold."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description="Benchmarks. Each figure is the median of its runs; `holds` tells whether its aim is reached.",
        epilog=EXPLAINED,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("bench", nargs="*", help=f"which to run: {', '.join(BENCHES)} (default: operator)")
    parser.add_argument(
        "--runs",
        type=int,
        metavar="N",
        help=f"runs (default {operator_bench.RUNS}, of admissions {operator_bench.RUNS_OF_ADMISSIONS})",
    )
    parser.add_argument(
        "--jobs",
        type=int,
        metavar="N",
        help=f"queued TrainingJobs of queue (default {operator_bench.JOBS}), simulated ones of placement"
        f" (default {placement_bench.SIMULATED_JOBS})",
    )
    parser.add_argument(
        "--nodes", type=int, default=Size.nodes, metavar="N", help="simulated nodes of queue (default %(default)s)"
    )
    parser.add_argument(
        "--scale", type=float, default=Size.scale, metavar="X", help="share of the jobs of admissions and placements"
    )
    parser.add_argument(
        "--keep",
        type=Path,
        metavar="FOLDER",
        help="energy: keep its raw results there; the same command goes on from them",
    )
    words = parser.parse_args(arguments)
    unknown = [name for name in words.bench if name not in BENCHES]
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}; there is {', '.join(BENCHES)}")
    if words.runs is not None and words.runs < 1:
        parser.error(f"--runs is {words.runs}: give at least 1")
    if words.jobs is not None and words.jobs < 2:
        parser.error(f"--jobs is {words.jobs}: give at least 2")
    if not 0 < words.scale <= 1:
        parser.error(f"--scale is {words.scale:g}: give a share above 0, at most 1")
    commit = commit_of(REPOSITORY)
    for name in words.bench or ["operator"]:
        for measurement in BENCHES[name](Size(words.runs, words.jobs, words.nodes, words.scale, words.keep)):
            print(measurement.line(commit), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
