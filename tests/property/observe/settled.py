"""How a history goes on when nobody disturbs it any more, and what must be true in the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from ballast.decide.capacity import Capacity
from ballast.decide.placement import Placement, place
from ballast.observe.cluster_state import Kind
from tests.builders import JobBuilder, NodeBuilder
from tests.property.observe import ledgers
from tests.property.observe.operated import Operator
from tests.property.observe.store import conditions_of, has_ended
from tests.property.observe.world import Outcome, World

NODE_EVENTS = ("lost", "healthy", "cordoned", "deleted")
MOST_TURNS = 500


def turn(world: World, operator: Operator, hear: Callable[[], None], *, trained: bool = True) -> None:
    """Let everybody do what there is to do: the operator, then each part of the cluster once.

    Args:
        world: the cluster.
        operator: the operator.
        hear: tells it the news.
        trained: whether trainers that run come to their end.
    """
    if world.log:
        hear()
    operator.ends_cycle()
    answer_all(world, operator)
    hear()
    operator.begins_cycle()
    operator.ends_cycle()
    for verb, uid in world.steps():
        if (trained or verb != "end") and (verb, uid) in world.steps():
            world.step(verb, uid)
            world.check()


def answer_all(world: World, operator: Operator) -> None:
    """Let every request succeed."""
    while operator.under_way:
        operator.under_way[0].answer(Outcome.DONE)
        world.check()


def settle(world: World, operator: Operator, hear: Callable[[], None]) -> None:
    """Let everybody go on until nothing happens any more, nor will by time alone."""
    for _ in range(MOST_TURNS):
        before = world.version, len(operator.ended)
        turn(world, operator, hear)
        if before != (world.version, len(operator.ended)) or operator.under_way:
            continue
        due = operator.state.seconds_to_next_due()
        if due is None:
            return
        world.now += due
    raise AssertionError("it does not come to rest")


def check(world: World, operator: Operator, requests: Mapping[str, JobBuilder], nodes: Iterable[NodeBuilder]) -> None:
    """Assert that every job is where it belongs, and that nothing is left of what is over."""
    empty = Capacity([builder.build() for builder in nodes])
    for uid, obj in world.objects[Kind.TRAINING_JOB].items():
        name, status = obj["metadata"]["name"], obj["status"]
        asking = requests[uid].build()
        feasible = asking.gang is not None and isinstance(place(asking.gang, empty), Placement)
        phase = status["phase"]
        if phase not in {"Succeeded", "Failed"}:
            if requests[uid].spec.get("suspend"):
                assert phase == "Suspended", name
            else:
                assert not feasible, f"{name} is {phase}"
                assert phase == "Queued", name
        if uid in world.broken and feasible:
            assert phase != "Succeeded", name
        if status.get("attempts") and phase == "Succeeded":
            assert status["attempts"][-1]["outcome"] == "Succeeded"
        latest = max((attempt["number"] for attempt in status.get("attempts", ())), default=0)
        for batch_job in world.children(Kind.JOB, uid):
            assert conditions_of(batch_job) & {"Failed", "Complete"}, f"{batch_job['metadata']['name']} is left"
            assert int(batch_job["metadata"]["labels"]["ballast.dev/attempt"]) >= latest
    ledgers.check_end(world)
    for pod in world.objects[Kind.POD].values():
        assert has_ended(pod), f"{pod['metadata']['name']} is left"
    for seen in operator.state.snapshot(0, 10).nodes:
        assert seen.free == seen.allocatable
    assert operator.state.seconds_to_next_due() is None
    assert len(operator.ended) == operator.submitted, "each action ends exactly once"
