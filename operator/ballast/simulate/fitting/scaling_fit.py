"""How throughput scales with the number of GPUs, computed from Gavel's published measurements.

The table in `ballast.decide.model.gpu_scaling` is what this module computes; a test holds the two together. What must
hold: an efficiency never rises with the number of GPUs, and entries that are no measurements are left out, not
repaired.
"""

from __future__ import annotations

import csv
import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ballast.decide.model.gpu_scaling import Scaling
from ballast.errors import UserError

FILE = "gavel_throughputs_flat.csv"


@dataclass(frozen=True, slots=True)
class Throughput:
    """One row of the measurements.

    Attributes:
        series: GPU model, job type and batch size: what was scaled.
        on_one_node: Whether all of its GPUs were in one node.
        gpus: How many.
        steps_per_second: Of the whole job.
    """

    series: tuple[str, str, str]
    on_one_node: bool
    gpus: int
    steps_per_second: float


def gavel_throughputs(folder: Path) -> list[Throughput]:
    """Read Gavel's isolated throughputs, flattened to CSV.

    Raises:
        UserError: The folder has no such file.
    """
    path = folder / FILE
    if not path.is_file():
        raise UserError(f"{folder} has no {FILE}: name the folder with Gavel's throughputs")
    with path.open(newline="") as file:
        return [
            Throughput(
                series=(row["gpu"], row["job_type"], row["batch_size"]),
                on_one_node=row["consolidated"] == "1",
                gpus=int(row["scale_factor"]),
                steps_per_second=float(row["steps_per_s"]),
            )
            for row in csv.DictReader(file)
        ]


def fit_scaling(throughputs: Iterable[Throughput], on_one_node: bool) -> tuple[Scaling, ...]:
    """Return the efficiency by number of GPUs: median and quartiles over all series that were scaled so far.

    Entries of no throughput are left out, and so are those where more GPUs did less work in all than fewer did. Then
    neighbours are pooled until efficiency falls with every step: what looks like a gain is another machine.

    Args:
        throughputs: As read.
        on_one_node: Whether to judge jobs whose GPUs share a node, or those spread over nodes.
    """
    series: dict[tuple[str, str, str], dict[int, float]] = defaultdict(dict)
    for entry in throughputs:
        if entry.on_one_node is on_one_node and entry.steps_per_second > 0:
            series[entry.series][entry.gpus] = entry.steps_per_second
    efficiencies: dict[int, list[float]] = defaultdict(list)
    for speeds in series.values():
        most = 0.0
        for gpus, speed in sorted(speeds.items()):
            if gpus > 1 and 1 in speeds and speed > most:
                efficiencies[gpus].append(speed / (gpus * speeds[1]))
            most = max(most, speed)
    found = [_summary(gpus, values) for gpus, values in sorted(efficiencies.items())]
    return (Scaling(1, 1.0, 1.0, 1.0, len(series)), *_never_rising(found))


def _summary(gpus: int, values: Sequence[float]) -> Scaling:
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return Scaling(gpus, min(1.0, middle), min(1.0, low), min(1.0, high), len(values))


def _never_rising(found: Sequence[Scaling]) -> list[Scaling]:
    """Pool adjacent violators: means of neighbours, weighted by how many series each rests on."""
    blocks: list[list[Scaling]] = []
    for entry in found:
        blocks.append([entry])
        while len(blocks) > 1 and _efficiency(blocks[-1]) > _efficiency(blocks[-2]):
            last = blocks.pop()
            blocks[-1].extend(last)
    return [
        Scaling(
            entry.gpus,
            round(_efficiency(block), 3),
            round(min(each.low for each in block), 3),
            round(max(each.high for each in block), 3),
            entry.series,
        )
        for block in blocks
        for entry in block
    ]


def _efficiency(block: Sequence[Scaling]) -> float:
    return sum(each.efficiency * each.series for each in block) / sum(each.series for each in block)
