"""G2 and G1 on any history of one node: specs, pods, a dying operator, broken GPUs, other tools, and death anywhere.

What is checked at each moment: a GPU for which nobody asked gets no call that changes it; a round in which nothing
fails brings every GPU to what is asked, and never lets the limits' sum above both its ends. And in the end, once nobody
asks for anything and nothing is broken any more, every board has what was found on it.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from ballast.agent.capping.assignments import assign
from ballast.agent.capping.capped_gpu import RETRY_SECONDS
from ballast.agent.capping.originals import Part
from ballast.agent.device import DeviceError, DeviceLost, DriverGone, NoPermission, NotSupported, Sample
from ballast.api.nodepower import FreeGpus, NodePowerSpec, PodOperatingPoint, WithoutOperator
from ballast.api.operatingpoint import OperatingPoint
from tests.unit.agent.capping import FAILPOINTS, Capping, Died, point
from tests.unit.agent.fake_gpu import (
    CLOCKS,
    DEFAULT_WATTS,
    HIGHEST_WATTS,
    LOWEST_WATTS,
    MEMORY_CLOCKS,
    Fault,
    description,
)

UUIDS = ("a", "b", "c")
PODS = ("p", "q", "r")
CALLS = (
    "set_power_limit",
    "set_power_limit",
    "lock_clocks",
    "lock_memory_clock",
    "unlock_clocks",
    "unlock_memory_clock",
)
uuids = st.sampled_from(UUIDS)
watts = st.integers(int(LOWEST_WATTS), int(HIGHEST_WATTS)).map(float)
high = st.integers(180, int(HIGHEST_WATTS)).map(float)  # else most points would be above what was found
points = (
    st.tuples(st.none() | watts, st.none() | st.integers(210, 1410), st.none() | st.sampled_from([405, 810, 1215]))
    .filter(lambda parts: any(part is not None for part in parts))
    .map(lambda parts: point(*parts))
)
specs = st.builds(
    lambda pods, free, without: NodePowerSpec(
        pods=tuple(PodOperatingPoint(uid=uid, operating_point=one) for uid, one in pods.items()),
        free_gpus=free,
        without_operator=without,
    ),
    st.dictionaries(st.sampled_from(PODS), points, min_size=1),
    st.sampled_from([FreeGpus.LEAVE, FreeGpus.LEAVE, FreeGpus.PARK]),
    st.sampled_from(WithoutOperator),
)
faults = st.one_of(
    st.builds(Fault, st.sampled_from([NotSupported("no"), NoPermission("no")]), times=st.integers(1, 3)),
    st.builds(
        Fault,
        st.sampled_from([DeviceError("busy"), DeviceError("timeout"), DeviceLost("lost"), DriverGone("reloaded")]),
        is_done=st.booleans(),
        times=st.integers(1, 3),
    ),
)

events = st.one_of(
    st.tuples(st.just("operator_asks"), specs),
    st.tuples(st.just("pods_change"), uuids, st.sets(st.sampled_from(PODS), max_size=2)),
    st.tuples(st.just("lease"), st.booleans()),
    st.tuples(st.just("another_tool"), uuids, high),
    st.tuples(st.just("reset"), uuids),
    st.tuples(st.just("fall_off_the_bus"), uuids),
    st.tuples(st.just("reload_driver")),
    *[st.tuples(st.just("break_call"), uuids, st.sampled_from([*CALLS, "power_limit_watts"]), faults)] * 3,
    st.tuples(st.just("repair")),
    st.tuples(st.just("restart")),
    st.tuples(st.just("uninstall")),
)


class Node:
    """A node, and what was found on its boards as its admin would remember it."""

    def __init__(self, folder: Path, found: list[float], spec: NodePowerSpec) -> None:
        self.node = Capping(folder, *UUIDS)
        self.found = dict(zip(UUIDS, found, strict=True))
        for uuid, limit in self.found.items():
            self.node.board(uuid).limit_watts = limit
            self.node.board(uuid).on_change = self.note_sum
        self.spec = spec
        self.holders: dict[str, set[str]] = {"a": {"p"}, "b": {"q"}}
        self.operator_fresh = True
        self.sums: list[float] = []
        self.reset_at: dict[str, float] = {}
        self.resets = 0

    # -- the world

    def operator_asks(self, spec: NodePowerSpec) -> None:
        self.spec = spec

    def pods_change(self, uuid: str, pods: set[str]) -> None:
        self.holders[uuid] = pods

    def lease(self, fresh: bool) -> None:
        self.operator_fresh = fresh

    def another_tool(self, uuid: str, limit: float) -> None:
        self.changed_outside(uuid, limit)

    def reset(self, uuid: str) -> None:
        board = self.node.board(uuid)
        board.is_lost = False
        board.reset()
        self.reset_at[uuid] = self.node.now
        self.resets += 1
        self.changed_outside(uuid, DEFAULT_WATTS)

    def fall_off_the_bus(self, uuid: str) -> None:
        self.node.board(uuid).is_lost = True

    def reload_driver(self) -> None:
        self.node.driver.reload()
        for uuid in UUIDS:
            self.changed_outside(uuid, DEFAULT_WATTS)

    def break_call(self, uuid: str, call: str, fault: Fault) -> None:
        self.node.board(uuid).faults[call] = Fault(fault.error, fault.is_done, fault.times)

    def repair(self) -> None:
        for board in self.node.driver.boards.values():
            board.faults.clear()

    # -- the agent

    def restart(self) -> None:
        self.node.start()

    def round(self, failpoint: str | None) -> None:
        """One round, and what must hold of it."""
        self.node.failpoint.armed = failpoint
        self.node.now += RETRY_SECONDS
        is_sound = self.is_sound
        asked = self.asked()
        in_hand = asked.keys() | self.node.capper.changed
        calls = {uuid: len(self.node.board(uuid).calls) for uuid in UUIDS}
        before = self.sum
        self.sums = []
        died = self.live(asked)
        for uuid in set(UUIDS) - in_hand:
            assert len(self.node.board(uuid).calls) == calls[uuid], f"{uuid}: nobody asked for that"
        if is_sound and not died:
            assert max(self.sums, default=0) <= max(before, self.sum) + 1e-6
            for uuid in UUIDS:
                assert self.node.board(uuid).settings == self.expected(uuid, asked.get(uuid)), uuid

    def uninstall(self) -> None:
        self.node.failpoint.armed = None
        restored = self.node.capper.restore_all()
        assert set(restored.problems) == self.node.capper.changed

    def check(self) -> None:
        """What is not kept on the disk is as it was found."""
        for uuid in set(UUIDS) - self.node.capper.changed:
            assert self.node.board(uuid).settings == (self.found[uuid], None, None)

    def end(self) -> None:
        """Everything is well again, and nobody wants anything."""
        self.repair()
        self.node.failpoint.armed = None
        for board in self.node.driver.boards.values():
            board.is_lost = False
        self.live({})
        self.live({})
        for uuid in UUIDS:
            assert self.node.board(uuid).settings == (self.found[uuid], None, None)
        assert self.node.files() == []

    # -- helpers

    @property
    def sum(self) -> float:
        return sum(board.limit_watts for board in self.node.driver.boards.values())

    @property
    def is_sound(self) -> bool:
        """Whether no fault is waiting to happen."""
        boards = self.node.driver.boards.values()
        return not self.node.driver.is_gone and not any(board.faults or board.is_lost for board in boards)

    def note_sum(self) -> None:
        self.sums.append(self.sum)

    def changed_outside(self, uuid: str, limit: float) -> None:
        """Somebody sets a limit: it is what was found, unless the agent has the limit in hand."""
        self.node.board(uuid).limit_watts = limit
        kept = self.node.capper._originals.all.get(uuid)
        if kept is None or Part.POWER_LIMIT not in kept.parts:
            self.found[uuid] = limit

    def asked(self) -> dict[str, OperatingPoint]:
        wanted = assign(
            self.spec,
            self.holders,
            {uuid: description(uuid) for uuid in UUIDS},
            operator_fresh=self.operator_fresh,
            enforced=self.node.capper.enforced,
        )
        assert wanted is not None
        points = {uuid: one.point for uuid, one in wanted.items() if one.point is not None}
        for uuid in points:
            pods = self.holders.get(uuid, set())
            entries = {entry.uid for entry in self.spec.pods}
            assert pods & entries or (not pods and self.spec.free_gpus is FreeGpus.PARK), f"{uuid}: nobody asked"
        return points

    def live(self, asked: dict[str, OperatingPoint]) -> bool:
        """One round as the agent's loop lives it; return whether the process died and was started again."""
        for _ in range(5):
            try:
                self.node.reconcile(self.samples(), **asked)
            except DriverGone:
                self.node.driver.reopen()
            except Died:
                self.node.start()
                return True
            else:
                return False
        return False

    def samples(self) -> dict[str, Sample]:
        """Boards under load: each runs as fast as its locks let it."""
        return {
            uuid: Sample(
                at=self.node.now,
                energy_joules=self.node.now - self.reset_at.get(uuid, 0) - self.resets / 1000,  # never twice the same
                clock_hertz=board.clocks[1] if board.clocks else CLOCKS[-1],
                memory_clock_hertz=board.memory_clock or MEMORY_CLOCKS[-1],
            )
            for uuid, board in self.node.driver.boards.items()
        }

    def expected(self, uuid: str, asked: OperatingPoint | None) -> tuple[object, ...]:
        """What a board must have after a round in which nothing failed."""
        found = self.found[uuid]
        if asked is None or (asked.power_limit_watts or 0) > found + 0.5:
            return found, None, None
        clocks = None if asked.max_clock_hertz is None else (asked.min_clock_hertz, asked.max_clock_hertz)
        limit = found if asked.power_limit_watts is None else asked.power_limit_watts
        return limit, clocks, asked.memory_clock_hertz


@settings(max_examples=300)
@given(
    found=st.lists(high, min_size=len(UUIDS), max_size=len(UUIDS)),
    spec=specs,
    history=st.lists(st.tuples(events, st.none() | st.none() | st.sampled_from(FAILPOINTS)), min_size=3, max_size=25),
)
def test_any_history(
    found: list[float], spec: NodePowerSpec, history: list[tuple[tuple[str, ...], str | None]]
) -> None:
    """Whatever happens, between any two rounds and within them."""
    # Processes die here, not machines: without waiting for the disk there is time for more histories.
    with tempfile.TemporaryDirectory() as folder, patch("os.fsync"):
        node = Node(Path(folder), found, spec)
        try:
            for (event, *arguments), failpoint in history:
                getattr(node, event)(*arguments)
                node.round(failpoint)
                node.check()
            node.end()
        finally:
            node.node.close()
