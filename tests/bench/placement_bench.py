"""How fast and how good placements are, without a cluster, in parts that can also be run alone.

`placement-cycle`: a decide cycle (snapshot and `decide`) of 1,000 nodes with 8,000 GPUs and 1,000 waiting jobs, while
jobs come and go; each run is another cluster, 200 cycles after warm-up, its figure their 99th percentile. Aims are held
against the time on the wall; the processor's stands beside it, here and below, as others may keep the machine busy.
`placement-gang`: a gang of 500 whole nodes.
`placement-growth`: how the median cycle grows from 100 over 1,000 to 10,000 nodes, with jobs in proportion and as many
changes in each cycle (minutes; once unless told otherwise). `placement-simulation`: 100,000 jobs (`--jobs` for fewer)
in the simulator; one arm is one process, so that it has one core, whatever the machine has (many minutes; once unless
told otherwise). `placement-gap`: what a cycle decides against the exact optimum of 200 small instances.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from random import Random
from statistics import fmean, median
from typing import Final

from ballast.decide.capacity import Capacity
from ballast.decide.gang_request import GangRequest
from ballast.decide.node import Node
from ballast.decide.placement import Placement, place
from tests.bench import placement_gap, placement_simulation
from tests.bench.bench_cluster import say
from tests.bench.big_cluster import BigCluster
from tests.bench.figures import growth_exponent, percentile
from tests.bench.measurement import Aim, Measurement
from tests.bench.operator_bench import Size
from tests.builders import job, node

BENCH: Final = "placement"
RUNS: Final = 3
NODES: Final = 1_000
WARM_UP, CYCLES = 20, 200
SIZES: Final = (100, 1_000, 10_000)
GROWTH_WARM_UP, GROWTH_CYCLES = 3, 15
GANG_PODS: Final = 500
PLACINGS: Final = 5
SIMULATED_JOBS: Final = 100_000


def cycle(size: Size) -> Measurement:
    """Return the 99th percentile of a cycle's time."""
    figures, told = [], []
    for run in range(size.runs or RUNS):
        cluster = BigCluster(NODES, NODES, seed=run)
        processor = _turns(cluster, WARM_UP, CYCLES)
        milliseconds = [1000 * seconds for seconds in cluster.seconds]
        figures.append(percentile(milliseconds, 99))
        told.append(
            f"median {median(milliseconds):.0f} ms, p99 of processor time {1000 * percentile(processor, 99):.0f} ms,"
            f" {cluster.waiting} jobs wait, {100 * cluster.gpus_in_use:.0f} % of the GPUs in use"
        )
        say(f"cycle, run {run + 1}: p99 {figures[-1]:.0f} ms, {told[-1]}")
    return Measurement(BENCH, "cycle_p99_ms", "ms", Aim("<", 250), figures, note="; ".join(told))


def gang(size: Size) -> Measurement:
    """Return how long placing a gang of 500 whole nodes takes."""
    nodes, asked = nodes_of_gang(seed=0), job("large").replicas(GANG_PODS).with_gpus(8).gang()
    figures, processor = [], []
    for _ in range(size.runs or RUNS):
        found = [seconds_of_placing(asked, nodes) for _ in range(PLACINGS)]
        figures.append(1000 * median(seconds for seconds, _ in found))
        processor.append(1000 * median(seconds for _, seconds in found))
    note = f"of processor time {', '.join(f'{each:.3g}' for each in processor)} ms"
    return Measurement(BENCH, "gang500_ms", "ms", Aim("<", 100), figures, note=note)


def nodes_of_gang(seed: int) -> list[Node]:
    """Return nodes of two GPU models, of which every tenth is in use in part."""
    choose = Random(seed)  # noqa: S311 - a reproducible cluster, no secret
    models = ("H100", "H100", "H100", "A100", "A100")
    return [
        node(f"node-{number:04}")
        .with_gpus(models[number % len(models)], 8)
        .using(gpus=choose.randint(1, 7) if number % 10 == 0 else 0)
        .build()
        for number in range(NODES)
    ]


def seconds_of_placing(asked: GangRequest, nodes: list[Node]) -> tuple[float, float]:
    """Return how long one placement takes, the capacity made anew included: on the wall's clock and the processor's.

    Raises:
        RuntimeError: the gang is not placed.
    """
    began, began_processor = time.perf_counter(), time.process_time()
    found = place(asked, Capacity(nodes))
    seconds = time.perf_counter() - began, time.process_time() - began_processor
    if not isinstance(found, Placement) or len(set(found.nodes)) != asked.replicas:
        raise RuntimeError(f"a gang of {asked.replicas} whole nodes was to be placed on {len(nodes)}: {found}")
    return seconds


def growth(size: Size) -> Measurement:
    """Return the exponent of the median cycle's growth."""
    figures, told = [], []
    for run in range(size.runs or 1):
        medians, processor = [], []
        for nodes in SIZES:
            cluster = BigCluster(nodes, nodes, seed=run)
            processor.append((nodes, median(_turns(cluster, GROWTH_WARM_UP, GROWTH_CYCLES))))
            medians.append((nodes, median(cluster.seconds)))
            say(f"growth, run {run + 1}: {nodes} nodes, median {1000 * medians[-1][1]:.1f} ms")
        figures.append(growth_exponent(medians))
        sizes = ", ".join(f"{1000 * seconds:.3g} ms with {nodes} nodes" for nodes, seconds in processor)
        told.append(f"of processor time {sizes}: exponent {growth_exponent(processor):.2f}")
    return Measurement(BENCH, "growth_exponent", "1", Aim("<=", 1.15), figures, note="; ".join(told))


def simulation(size: Size) -> Measurement:
    """Return how long 100,000 jobs, or as many as are asked for, are simulated."""
    jobs = size.jobs or SIMULATED_JOBS
    figures, told = [], [f"{jobs} jobs, one process on one core"]
    for run in range(size.runs or 1):
        seconds, processor = placement_simulation.seconds_for(jobs)
        figures.append(seconds)
        told.append(f"{1000 * seconds / jobs:.2f} ms a job, {processor:.0f} s of processor time")
        say(f"simulation, run {run + 1}: {seconds:.0f} s for {jobs} jobs, {told[-1]}")
    if jobs != SIMULATED_JOBS:
        told.append(f"no official figure with fewer than {SIMULATED_JOBS} jobs")
    aim = Aim("<", 300) if jobs == SIMULATED_JOBS else None
    return Measurement(BENCH, "sim_100k_seconds", "s", aim, figures, note="; ".join(told))


def optimality(size: Size) -> Measurement:
    """Return the mean gap between what a cycle decides and the optimum."""
    costs = placement_gap.EngineCosts()
    figures, told = [], []
    for run in range(size.runs or RUNS):
        gaps = [placement_gap.gap(each, costs) for each in placement_gap.instances(placement_gap.INSTANCES, run)]
        figures.append(fmean(gaps))
        best = sum(each < 1e-6 for each in gaps)
        told.append(f"{best} of {len(gaps)} optimal, median {median(gaps):.2g} %, largest {max(gaps):.3g} %")
    note = "; ".join(told)
    return Measurement(BENCH, "optimality_gap_small_percent", "%", Aim("<=", 3), figures, note=note)


PARTS: Mapping[str, Callable[[Size], Measurement]] = {
    "placement-cycle": cycle,
    "placement-gang": gang,
    "placement-growth": growth,
    "placement-gap": optimality,
    "placement-simulation": simulation,
}


def measure(size: Size) -> Iterator[Measurement]:
    """Yield every figure as soon as its part is done."""
    for part in PARTS.values():
        yield part(size)


def _turns(cluster: BigCluster, warm_up: int, cycles: int) -> list[float]:
    """Let cycles run, the first of them not counted; return the processor's seconds of the others."""
    for _ in range(warm_up):
        cluster.next_cycle()
    cluster.seconds.clear()
    cluster.processor_seconds.clear()
    for _ in range(cycles):
        cluster.next_cycle()
    return cluster.processor_seconds


EXPLAINED = f"{__doc__}\n{placement_gap.__doc__}"
