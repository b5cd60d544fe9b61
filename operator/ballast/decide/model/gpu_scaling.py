"""What Ballast assumes of how a job's throughput grows with its GPUs, before it has measured anything.

One small table fitted to published figures, with its source and spread; `ballast.simulate.fitting.scaling_fit` made it,
and a test proves that. It ranks placements; it never states a saving. What must hold: efficiency never rises with the
number of GPUs, nor when the same GPUs are spread over more nodes.

Source: isolated throughputs of Gavel (OSDI 2020): 5 job types at 1, 2, 4 and 8 GPUs on K80, P100 and V100, on one
node and over nodes joined by the network of a public cloud of 2019. Entries of no throughput are left out, and so
are those where more GPUs did less work in all. Today's networks lose less: over nodes the figures are cautious.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scaling:
    """How well a number of GPUs is used.

    Attributes:
        gpus: How many one job has.
        efficiency: Its throughput, over that of one GPU times their number: median.
        low: Lower quartile of that.
        high: Upper quartile.
        series: How many measured series it rests on; 0 if it is extrapolated.
    """

    gpus: int
    efficiency: float
    low: float
    high: float
    series: int

    @property
    def speedup(self) -> float:
        """Throughput over that of one GPU."""
        return self.gpus * self.efficiency


ON_ONE_NODE: tuple[Scaling, ...] = (
    Scaling(gpus=1, efficiency=1.0, low=1.0, high=1.0, series=78),
    Scaling(gpus=2, efficiency=0.881, low=0.732, high=0.942, series=54),
    Scaling(gpus=4, efficiency=0.692, low=0.484, high=0.877, series=53),
    Scaling(gpus=8, efficiency=0.692, low=0.484, high=0.877, series=56),
)

OVER_NODES: tuple[Scaling, ...] = (
    Scaling(gpus=1, efficiency=1.0, low=1.0, high=1.0, series=78),
    Scaling(gpus=2, efficiency=0.798, low=0.605, high=0.966, series=33),
    Scaling(gpus=4, efficiency=0.497, low=0.376, high=0.757, series=46),
    Scaling(gpus=8, efficiency=0.42, low=0.277, high=0.663, series=52),
)


def scaling(gpus: int, nodes: int = 1) -> Scaling:
    """Return what to expect of a job on so many GPUs.

    Between measured numbers it goes linearly with the number of doublings. Beyond the largest, each doubling costs
    what the last measured one did.

    Args:
        gpus: Of the whole job.
        nodes: Over how many they are spread; more than one node is judged alike, however many they are.

    Raises:
        ValueError: There are fewer GPUs than nodes, or none.
    """
    if nodes < 1 or gpus < nodes:
        raise ValueError(f"{gpus} GPUs on {nodes} nodes: a job needs a GPU on each of its nodes")
    table = ON_ONE_NODE if nodes == 1 else OVER_NODES
    doublings = math.log2(gpus)
    below = max(index for index, entry in enumerate(table) if entry.gpus <= gpus)
    if below < len(table) - 1:
        low, high = table[below], table[below + 1]
        share = (doublings - math.log2(low.gpus)) / (math.log2(high.gpus) - math.log2(low.gpus))
        if share == 0:
            return low
        return _of_each(low, high, gpus, min(low.series, high.series), lambda a, b: a + share * (b - a))
    before, last = table[-2:]
    steps = (doublings - math.log2(last.gpus)) / (math.log2(last.gpus) - math.log2(before.gpus))
    if steps == 0:
        return last
    return _of_each(before, last, gpus, 0, lambda a, b: b * min(1.0, b / a) ** steps)


def _of_each(
    first: Scaling, second: Scaling, gpus: int, series: int, between: Callable[[float, float], float]
) -> Scaling:
    return Scaling(
        gpus=gpus,
        efficiency=between(first.efficiency, second.efficiency),
        low=between(first.low, second.low),
        high=between(first.high, second.high),
        series=series,
    )
