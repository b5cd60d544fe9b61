"""Whatever is deleted, whenever, also while no operator runs: every pod goes, and what it used is entered before.

The same small Kubernetes as in any history, but each example deletes something of a gang that holds something.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ballast.observe.cluster_state import Kind
from tests.builders import job, node
from tests.property.observe import ledgers, settled
from tests.property.observe.operated import Operator
from tests.property.observe.world import Outcome, World

HOW: dict[str, Callable[[World, str], Any]] = {
    "the job": lambda world, uid: world.user_deletes(uid),
    "the job, in the foreground": lambda world, uid: world.user_deletes(uid, foreground=True),
    "the Job": lambda world, uid: each(world, Kind.JOB, lambda o: world.somebody_deletes_a_job(o, foreground=False)),
    "the Job, in the foreground": lambda world, uid: each(
        world, Kind.JOB, lambda o: world.somebody_deletes_a_job(o, foreground=True)
    ),
    "the pods": lambda world, uid: each(world, Kind.POD, lambda o: world.somebody_ends("delete", o)),
    "the pods, by force": lambda world, uid: each(world, Kind.POD, lambda o: world.somebody_ends("force", o)),
    "the pods, by eviction": lambda world, uid: each(world, Kind.POD, lambda o: world.somebody_ends("evict", o)),
    "a node": lambda world, uid: world.node_becomes("a", "deleted"),
    "a node's answers": lambda world, uid: world.node_becomes("a", "lost"),
}


def each(world: World, kind: Kind, do: Callable[[str], Any]) -> None:
    """Do something to every object of a kind that is there now."""
    for uid in tuple(world.objects[kind]):
        do(uid)


class Life:
    """A gang of two, and the operator that looks after it."""

    def __init__(self, *, expires: bool) -> None:
        request = job("pair").with_gpus(2).replicas(2)
        if expires:
            request = request.with_spec(ttlSecondsAfterFinished=900)
        self.world = World([node("a").with_gpus("A100", 2), node("b").with_gpus("A100", 2)], [])
        self.uid = self.world.user_creates(request)
        self.operator = Operator(self.world)
        self._heard = 0

    def hears(self) -> None:
        for event in self.world.log[self._heard :]:
            self.operator.hears(*event)
        self._heard = len(self.world.log)

    def goes_on(self, turns: int, *, trained: bool) -> None:
        for _ in range(turns):
            settled.turn(self.world, self.operator, self.hears, trained=trained)

    def dies(self, outcome: Outcome) -> None:
        self.operator.dies([outcome] * self.operator.writes)

    def another_operator(self) -> None:
        self.operator = Operator(self.world)
        self._heard = len(self.world.log)


@settings(max_examples=150)
@given(
    turns=st.integers(2, 14),
    trained=st.booleans(),
    how=st.sampled_from(sorted(HOW)),
    is_down=st.booleans(),
    seconds=st.sampled_from([0.0, 3.0, 700.0]),
    silent=st.booleans(),
    expires=st.booleans(),
    data=st.data(),
)
def test_nobody_is_kept(
    turns: int,
    trained: bool,
    how: str,
    is_down: bool,
    seconds: float,
    silent: bool,
    expires: bool,
    data: st.DataObject,
) -> None:
    life = Life(expires=expires)
    world = life.world
    life.goes_on(turns, trained=trained)
    if silent:
        world.silent.update(world.ballast_pods())
        world.agents_speak = data.draw(st.booleans())
    if life.uid in world.objects[Kind.TRAINING_JOB]:
        HOW[how](world, life.uid)
    if is_down:
        life.dies(data.draw(st.sampled_from([Outcome.UNREACHED, Outcome.ANSWER_LOST])))
        for _ in range(data.draw(st.integers(0, 20))):
            possible = world.steps()
            if possible:
                world.step(*data.draw(st.sampled_from(possible)))
    world.now += seconds
    if is_down:
        life.another_operator()
    world.node_becomes("a", data.draw(st.sampled_from(["healthy", "cordoned"])))
    settled.settle(world, life.operator, life.hears)
    world.check()
    ledgers.check_end(world)
    for kind in (Kind.JOB, Kind.POD):
        assert life.uid in world.objects[Kind.TRAINING_JOB] or not world.objects[kind], "nothing is left of a job gone"
    life.dies(Outcome.UNREACHED)
