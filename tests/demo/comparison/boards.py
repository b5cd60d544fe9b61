"""The boards of both nodes: their energy counters, their limits, and what is known of the workloads on them.

Invariant: nothing is set on a board here. Joules are those of NVML's counter of total energy, by which agents meter,
too; idle joules are the boards' idle watts for the time that passed on the boards.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tests.cluster.node import RealNode
from tests.demo.comparison.workloads import WORKLOADS, Workload
from tests.demo.kubectl import JsonObject
from tests.nvmlsim.boards import MODELS, BoardModel
from tests.nvmlsim.curves import curve

MODEL_NAMES = ("V100", "A40")
LIMIT_STEP_WATTS = 25
KNOWN_SAMPLES = 20
KNOWN_SECONDS = 600.0
#: Of the mean: how much single measurements of the earlier runs differed.
DEVIATION = 0.005


@dataclass(frozen=True)
class Counters:
    """The counters of all boards at one moment.

    Attributes:
        joules: counted so far, together.
        idle_joules: what they would have counted so far if nobody had used them, together.
    """

    joules: float
    idle_joules: float


@dataclass(frozen=True)
class Boards:
    """The boards of nodes with simulated GPUs.

    Attributes:
        nodes: by GPU model.
    """

    nodes: Mapping[str, RealNode]

    @property
    def idle_watts(self) -> float:
        """What all of them draw together while nobody uses them."""
        return sum(len(node.gpus.uuids) * MODELS[model.lower()].idle_watts for model, node in self.nodes.items())

    def counters(self) -> Counters:
        """Read them."""
        joules = idle = 0.0
        for model, node in self.nodes.items():
            with node.gpus.simulator() as simulator:
                uuids = simulator.uuids
                joules += sum(simulator.gpu(uuid).energy_joules for uuid in uuids)
                idle += len(uuids) * MODELS[model.lower()].idle_watts * simulator.now_seconds
        return Counters(joules, idle)

    def least_joules(self, workload: Workload, model: str) -> float:
        """What a job of a workload takes above idle on a GPU model at the limit that is best for that.

        No board takes less for this work: who counts less has not seen all of it.
        """
        board = MODELS[model.lower()]
        known = curve(board, workload.measured_as)
        limits = limits_of(board, board.max_limit_watts)
        a_second = min((known.watts_at(limit) - board.idle_watts) / known.speed_at(limit) for limit in limits)
        return a_second * workload.steps * workload.step_seconds[model]

    def limits(self) -> dict[str, float]:
        """The power limit that each has now, in watts, by UUID."""
        return {uuid: node.gpus.gpu(uuid).power_limit_watts for node in self.nodes.values() for uuid in node.gpus.uuids}

    def profiles(self, namespace: str, now: str) -> list[JsonObject]:
        """What earlier runs of the workloads would have taught Ballast: a profile for each, on each GPU model.

        Args:
            namespace: of the jobs.
            now: when it was measured, as the API writes times.
        """
        found = []
        for model, node in self.nodes.items():
            limit = node.gpus.gpu(node.gpus.uuids[0]).power_limit_watts
            found += [profile(each, model, limit, namespace, now) for each in WORKLOADS]
        return found


def limits_of(board: BoardModel, found_watts: float) -> Iterable[float]:
    """The limits that earlier runs tried: whole steps below the found one, and that."""
    lowest = round(board.min_limit_watts)
    return (*(float(watts) for watts in range(lowest, 1000, LIMIT_STEP_WATTS) if watts < found_watts), found_watts)


def profile(workload: Workload, model: str, found_watts: float, namespace: str, now: str) -> JsonObject:
    """The EnergyProfile of a workload on a GPU model, as earlier runs at each limit would have left it.

    Args:
        workload: that was run.
        model: a key of `boards.MODELS` in capitals.
        found_watts: the power limit that boards of this model have.
        namespace: where the profile is.
        now: when it was measured, as the API writes times.
    """
    board = MODELS[model.lower()]
    known = curve(board, workload.measured_as)
    points = []
    for limit in limits_of(board, found_watts):
        speed, watts = known.speed_at(limit) / workload.step_seconds[model], known.watts_at(limit)
        points.append(
            {
                "gpus": 1,
                "powerLimitWatts": limit,
                "maxClockHertz": board.clocks_mhz[-1] * 1_000_000,
                "stepsPerSecond": speed,
                "stepsPerSecondDeviation": DEVIATION * speed,
                "wattsPerGpu": watts,
                "wattsPerGpuDeviation": DEVIATION * watts,
                "samples": KNOWN_SAMPLES,
                "measuredSeconds": KNOWN_SECONDS,
                "measuredAt": now,
            }
        )
    return {
        "apiVersion": "ballast.dev/v1alpha1",
        "kind": "EnergyProfile",
        "metadata": {"name": f"{workload.name}-{model.lower()}", "namespace": namespace},
        "spec": {"profileKey": workload.name, "gpuModel": board.name.replace(" ", "-"), "points": points},
    }
