"""Whatever a counter does (resets, stalls, gaps), what is metered is what the board used, and all that is charged."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ballast.agent.metering.gpu_meter import STALL_SECONDS, GpuMeter
from tests.unit.agent.metering.gpu_nodes import FakeGpu, GpuNode
from tests.unit.agent.metering.readings import Board

STEPS = st.lists(
    st.tuples(st.sampled_from(["read", "reset", "stall", "go on", "miss"]), st.sampled_from([0.1, 1.0, 2.0])),
    min_size=1,
    max_size=60,
)


@given(steps=STEPS, watts=st.floats(20, 700))
def test_at_constant_power_every_second_is_counted_once(steps: list[tuple[str, float]], watts: float) -> None:
    board, meter = Board(watts=watts, counter=1e9), GpuMeter()
    meter.add(board.sample())
    metered, begin = 0.0, 1e9
    for step, seconds in steps:
        match step:
            case "reset":  # to less than it ever showed: else nobody can tell
                begin -= 1e6
                board.reset(begin)
            case "stall":
                board.stands_still = True
            case "go on":
                board.stands_still = False
            case "miss":
                meter.missed()
        interval = meter.add(board.after(seconds))
        assert interval is None or interval.joules >= 0
        metered += interval.joules if interval is not None else 0.0
    # A counter that stood still and goes on without catching up, too early to be noticed, takes along what it missed;
    # so does one that stands still when a gap begins, or the history ends.
    missed = watts * (STALL_SECONDS + 2.0) * sum(step in {"stall", "miss"} for step, _ in steps)
    resolution = 1e-4  # of the sum of such counters
    assert board.joules - missed - resolution <= metered <= board.joules + resolution


class AnyHistory(RuleBasedStateMachine):
    """GPUs are held, shared, lost, reset and freed, agents restarted: pods and nobody together pay what was metered."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self._gpu = FakeGpu()
        self._node = GpuNode(Path(self._folder.name), self._gpu, hertz=10)
        self._uids = [self._node.pod(name) for name in ("a", "b", "c")]
        self._processes = [self._node.process(uid) for uid in self._uids]
        self._node.tick()

    def teardown(self) -> None:
        self._folder.cleanup()

    @rule(holders=st.sets(st.integers(0, 2)))
    def hold(self, holders: set[int]) -> None:
        """Other pods hold it."""
        self._node.hold("GPU-0", *(self._uids[number] for number in holders))

    @rule(watts=st.floats(0, 700), usage=st.lists(st.floats(0, 1), min_size=3, max_size=3))
    def load(self, watts: float, usage: list[float]) -> None:
        """It draws something else, for others."""
        self._gpu.watts = watts
        self._gpu.usage = dict(zip(self._processes, usage, strict=True))

    @rule(ticks=st.integers(1, 25))
    def run(self, ticks: int) -> None:
        """Time passes."""
        self._node.run(ticks / 10)

    @rule()
    def reset(self) -> None:
        """Its counter begins anew."""
        self._gpu.counter = 0

    @rule()
    def lose(self) -> None:
        """It is lost."""
        self._gpu.lose()

    @rule()
    def come_back(self) -> None:
        """It answers again."""
        self._gpu.fails = None

    @rule(seconds=st.floats(0.1, 100))
    def restart(self, seconds: float) -> None:
        """The agent is restarted."""
        self._node.metering.save()
        self._node.pass_time(seconds)
        self._node.start()
        self._node.tick()

    @invariant()
    def pods_and_nobody_pay_what_was_metered(self) -> None:
        """G4, at each moment, but for what is due at the next full second."""
        metered = self._node.metered()
        due = metered.pending_joules + (metered.gap.joules if metered.gap is not None else 0.0)
        charged = self._node.accounts.gpu_joules("GPU-0") + metered.unattributed_joules
        assert charged + due == pytest.approx(metered.joules, rel=1e-9, abs=1e-6)


TestAnyHistory = AnyHistory.TestCase
