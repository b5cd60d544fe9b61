"""Command line of the benchmarks: results on standard output, a JSON object a line; progress on standard error."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from tests.bench import operator_bench
from tests.bench.measurement import Measurement, commit_of
from tests.e2e.operator_process import REPOSITORY

DEFAULT_RUNS = 3
JOBS = 5000
NODES = 500


def main(arguments: Sequence[str] | None = None) -> int:
    """Run benchmarks; the exit code tells whether they ran, not whether their aims hold."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description="Benchmarks. Each figure is the median of its runs; `holds` tells whether its aim is reached.",
        epilog=operator_bench.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("bench", nargs="*", help="which to run: operator (default: all)")
    parser.add_argument("--runs", type=int, default=DEFAULT_RUNS, metavar="N", help="runs (default %(default)s)")
    parser.add_argument("--jobs", type=int, default=JOBS, metavar="N", help="queued TrainingJobs (default %(default)s)")
    parser.add_argument("--nodes", type=int, default=NODES, metavar="N", help="simulated nodes (default %(default)s)")
    words = parser.parse_args(arguments)
    benches: dict[str, Callable[[], list[Measurement]]] = {
        "operator": lambda: operator_bench.measure(words.runs, words.jobs, words.nodes),
    }
    unknown = [name for name in words.bench if name not in benches]
    if unknown or words.runs < 1:
        parser.error(f"no benchmark {', '.join(unknown)}; there is {', '.join(benches)}" if unknown else "--runs is 0")
    commit = commit_of(REPOSITORY)
    for name in words.bench or benches:
        for measurement in benches[name]():
            print(measurement.line(commit), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
