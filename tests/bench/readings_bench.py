"""What it costs to know what jobs draw, in three parts that can also be run alone.

`exporter`: what each pod pays for it; `queries`: how long the operator takes to read everything back; `status-writes`:
how often it tells so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from tests.bench import readings_exporter, readings_queries, readings_status
from tests.bench.measurement import Measurement

RUNS = 3

PARTS: Mapping[str, Callable[[int], list[Measurement]]] = {
    "exporter": readings_exporter.measure,
    "queries": lambda runs: [readings_queries.measure()],
    "status-writes": lambda runs: [readings_status.measure(runs)],
}


def measure(runs: int) -> Iterator[Measurement]:
    """Yield every figure as soon as its part is done."""
    for part in PARTS.values():
        yield from part(runs)


EXPLAINED = "\n".join(
    str(text) for text in (__doc__, readings_exporter.__doc__, readings_queries.__doc__, readings_status.__doc__)
)
