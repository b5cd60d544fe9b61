"""G1 with chosen points: jobs come and go, readings differ, agents set late, tell later, or are never heard again.

However that goes, what counts as reserved is never less than what a board may draw; and a choice is not followed by
another one before agents have confirmed it, so that no agent can still be about to set a third.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from hypothesis import given
from hypothesis import strategies as st

from ballast.api.nodepower import NodePowerSpec
from ballast.api.operatingpoint import OperatingPoint
from ballast.decide.actions import WriteNodePower, WriteStatus
from ballast.decide.cycle import decide
from ballast.decide.gpu_asks import Ask, HeldGpu, NodeView
from ballast.decide.measurement import Measurement
from ballast.decide.operating_point import asks, reserved_watts
from ballast.decide.snapshot import Job
from tests.auto_builders import (
    LATER,
    auto_job,
    figures,
    known,
    measured_point,
    measurement,
    picture,
    profile,
    ready,
    with_status,
)
from tests.power_builders import gpu, node_power

FOUND = 300.0
JOBS = ("one", "two", "three")
OWN = profile(measured_point(300.0, 10.0), measured_point(250.0, 9.9), measured_point(200.0, 9.7))


@dataclass
class Board:
    """A GPU and the agent that sets it: what it reads of the spec, has, and has told."""

    has: float | None = None
    told: float | None = None
    read: float | None = None
    holder: str | None = None


@dataclass
class World:
    """A node whose jobs hold one GPU each; the operator decides with what it has heard."""

    spec: NodePowerSpec = field(default_factory=NodePowerSpec)
    jobs: dict[str, Job] = field(default_factory=dict)
    boards: dict[str, Board] = field(default_factory=lambda: {name: Board() for name in JOBS})
    now: float = LATER

    def arrive(self, name: str) -> None:
        if name not in self.jobs:
            self.jobs[name] = replace(ready(auto_job(name)), held_gpus={})
            self.boards[name].holder = self.jobs[name].own_pods[0].uid

    def leave(self, name: str) -> None:
        if name in self.jobs:
            del self.jobs[name]
            self.boards[name].holder = None

    def seen(self, name: str, reading: Measurement | None = None) -> Job:
        job, board = self.jobs[name], self.boards[name]
        enforced = None if board.told is None else OperatingPoint(power_limit_watts=board.told)
        held = {job.own_pods[0].uid: (HeldGpu(f"GPU-{name}", FOUND, enforced),)}
        return replace(job, held_gpus=held, telemetry=figures(self.now), learned=known(OWN), measurement=reading)

    def asked(self) -> tuple[Ask, ...]:
        return tuple(ask for name in self.jobs for ask in asks(self.seen(name)))

    def cycle(self, name: str | None, speed: float, *, loses_power_write: bool) -> None:
        """Decide, with a measurement of one job; a write to the NodePower may fail, and is then decided again."""
        self.now += 30
        jobs = []
        for each in self.jobs:
            has = self.boards[each].told or FOUND
            reading = measurement(has, speed, ended=self.now) if each == name else None
            jobs.append(self.seen(each, reading))
        for action in decide(picture(*jobs, now=self.now)).actions:
            if isinstance(action, WriteStatus):
                of = action.job.metadata.name
                self.jobs[of] = with_status(self.jobs[of], action.status)
        power = node_power("a", *(gpu(f"GPU-{each}") for each in JOBS), pods=self.spec.pods)
        view = NodeView("a", "uid-of-a", (), power, self.asked())
        for action in decide(replace(picture(now=self.now), powers=(view,))).actions:
            if isinstance(action, WriteNodePower) and not loses_power_write:
                self.spec = action.spec

    def reads(self, name: str) -> None:
        board = self.boards[name]
        entries = {entry.uid: entry.operating_point.power_limit_watts for entry in self.spec.pods}
        board.read = entries.get(board.holder) if board.holder is not None else None

    def sets(self, name: str) -> None:
        self.boards[name].has = self.boards[name].read

    def tells(self, name: str) -> None:
        self.boards[name].told = self.boards[name].has

    def reserved(self, name: str) -> float:
        board = self.boards[name]
        enforced = None if board.told is None else OperatingPoint(power_limit_watts=board.told)
        wanted = {ask.pod_uid: ask.power_limit_watts for ask in self.asked()}
        asked = [wanted[board.holder]] if board.holder in wanted else []
        found = reserved_watts(gpu(f"GPU-{name}", found=FOUND, enforced=enforced), asked)
        assert found is not None
        return found


events = st.tuples(
    st.sampled_from(["arrive", "arrive", "leave", "cycle", "cycle", "cycle", "lost", "reads", "sets", "tells", "all"]),
    st.sampled_from(JOBS),
    st.floats(5.0, 12.0),
)


@given(st.lists(events, min_size=10, max_size=80))
def test_what_is_reserved_covers_what_boards_may_draw(life: list[tuple[str, str, float]]) -> None:
    world = World()
    for event, name, speed in life:
        before = {each: job.job.status.operating_point for each, job in world.jobs.items()}
        settled = {each: _is_settled(world, each) for each in world.jobs}
        match event:
            case "arrive":
                world.arrive(name)
            case "leave":
                world.leave(name)
            case "cycle" | "lost":
                world.cycle(name, speed, loses_power_write=event == "lost")
            case "all":
                for step in (world.reads, world.sets, world.tells):
                    step(name)
            case _:
                getattr(world, event)(name)
        for each in JOBS:
            has = world.boards[each].has
            assert world.reserved(each) >= (FOUND if has is None else has)
        for each, point in before.items():
            if each in world.jobs and not settled[each] and point is not None:
                assert world.jobs[each].job.status.operating_point == point


def _is_settled(world: World, name: str) -> bool:
    [ask] = asks(world.seen(name)) or (None,)
    return (ask.power_limit_watts if ask is not None else None) == world.boards[name].told
