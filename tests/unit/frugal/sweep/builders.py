"""Boards of the simulated NVML under a training that runs as fast as the board's own model says.

Time is the simulation's. The speed at a point and the joules are the board's: on V100 and A40 those that were measured
for a workload of the Zeus data set where that is there, else a fit to them; the effect of clocks is synthetic always.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from frugal.sweep.gpu import Gpu
from frugal.sweep.points import Board, OperatingPoint
from frugal.sweep.result import SweepResult
from frugal.sweep.settings import Settings
from frugal.sweep.sweeping import Measurement, sweep
from frugal.sweep.work import Done, Window
from tests.nvmlsim.boards import BoardModel
from tests.nvmlsim.simulator import Load, Simulator
from tests.nvmlsim.testing import nvml

KEY = "training"
STEPS_PER_SECOND = 10.0  # at the maximum limit
MEASURED_SECONDS = 60.0
SETTLE_SECONDS = 2.0


@dataclass
class SimulatedWork:
    """600 steps on a simulated board, as fast as it is under what is set.

    Attributes:
        simulator: Where the board is.
        workload: As in `tests.nvmlsim.curves`; empty for its default.
        disturb: What happens in the middle of each run.
        pids: Processes that compute from its begin on.
    """

    simulator: Simulator
    uuid: str
    workload: str = ""
    disturb: Callable[[], None] = lambda: None
    pids: tuple[int, ...] = (4711,)
    holds_gpu: bool = True

    def prepare(self) -> None:
        self.simulator.set_load(self.uuid, [Load(KEY, pids=self.pids, workload=self.workload)])
        self.simulator.advance(SETTLE_SECONDS)

    def run(self, window: Window) -> Done:
        steps = round(MEASURED_SECONDS * STEPS_PER_SECOND)
        self.simulator.advance(SETTLE_SECONDS)
        window.begin()
        self.disturb()
        self.simulator.advance(steps / (STEPS_PER_SECOND * self.simulator.speed(self.uuid, KEY)))
        window.end()
        return Done(steps=steps)


@dataclass
class Bench:
    """A GPU of the simulated NVML, opened as a real one is."""

    simulator: Simulator
    gpu: Gpu
    settings: Settings

    @property
    def uuid(self) -> str:
        return self.gpu.uuid

    def work(self, workload: str = "") -> SimulatedWork:
        return SimulatedWork(self.simulator, self.uuid, workload)

    def sweep(self, work: SimulatedWork, points: list[OperatingPoint], rounds: int = 1) -> list[Measurement]:
        return sweep(self.gpu, self.settings, work, points, rounds=rounds, clock=lambda: self.simulator.now_seconds)

    def result(
        self, points: list[OperatingPoint], measurements: list[Measurement], work: str = "a test"
    ) -> SweepResult:
        return SweepResult(
            gpu_model=self.gpu.name,
            simulated=self.gpu.simulated,
            work=work,
            measured_at="2026-05-01T12:00:00Z",
            highest_clock_mhz=self.gpu.clocks_mhz[-1],
            points=points,
            measurements=measurements,
        )


@contextmanager
def bench(folder: Path, board: BoardModel) -> Iterator[Bench]:
    """One board."""
    with nvml(folder, [board]) as simulator:
        gpu = Gpu.open("0")
        yield Bench(simulator, gpu, Settings(gpu))


def limits(*watts: float) -> list[OperatingPoint]:
    """Points with these power limits, the first being the baseline."""
    return [OperatingPoint(power_limit_watts=one) for one in watts]


def plain_board() -> Board:
    """100 to 300 W, found at 250 W, clocks 15 MHz apart."""
    return Board(found_watts=250.0, limits_watts=(100.0, 300.0), clocks_mhz=tuple(range(210, 1411, 15)))


def measured(watts: float, round_number: int, seconds: float, joules: float, loss: float | None = None) -> Measurement:
    """100 steps under a power limit."""
    point = OperatingPoint(power_limit_watts=watts)
    return Measurement(point=point, round=round_number, steps=100, seconds=seconds, joules=joules, loss=loss)


def result(*measurements: Measurement, simulated: bool = False) -> SweepResult:
    """A sweep's result; the first measurement's point is the baseline."""
    return SweepResult(
        gpu_model="NVIDIA A40",
        simulated=simulated,
        work="a test",
        measured_at="2026-05-01T12:00:00Z",
        highest_clock_mhz=1740,
        points=list(dict.fromkeys(one.point for one in measurements)),
        measurements=measurements,
    )
