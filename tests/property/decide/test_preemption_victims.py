"""Whoever runs: the victims are enough, and all needed; none is without a checkpoint, or as important."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ballast.decide.capacity import Capacity
from ballast.decide.gang_request import GangRequest
from ballast.decide.placement import Placement, place
from ballast.decide.preemption import Plan
from ballast.decide.snapshot import Job
from tests.builders import JobBuilder, NodeBuilder, job, node
from tests.unit.decide.preempting import chosen, running

PRIORITIES = (-5, 0, 7)


@st.composite
def scenes(draw: st.DrawFn) -> tuple[list[NodeBuilder], list[JobBuilder]]:
    """Return nodes, and jobs that run on them within what they have."""
    names = "abcd"[: draw(st.integers(1, 4))]
    free = {name: draw(st.integers(1, 4)) for name in names}
    nodes = {name: node(name).with_gpus(draw(st.sampled_from(["A100", "V100"])), gpus) for name, gpus in free.items()}
    jobs: list[JobBuilder] = []
    for number in range(draw(st.integers(0, 8))):
        gpus = draw(st.integers(1, 3))
        open_to = [name for name in names if free[name] >= gpus]
        on = draw(st.lists(st.sampled_from(open_to), min_size=1, max_size=3, unique=True)) if open_to else []
        if on:
            for name in on:
                free[name] -= gpus
            joules = draw(st.sampled_from([None, 0.0, 5.0, 1e6]))
            made = running(f"r{number}", *on, gpus=gpus, joules=joules, saves=draw(st.integers(0, 4)) > 0)
            jobs.append(made.valued(draw(st.sampled_from(PRIORITIES))))
    return [each.using(gpus=each.gpus - free[name]) for name, each in nodes.items()], jobs


def fits_without(gang: GangRequest, gone: list[Job], nodes: list[NodeBuilder]) -> bool:
    freed = dict.fromkeys([each.name for each in nodes], 0)
    for each in gone:
        for pod in each.pods:
            assert each.gang is not None
            freed[pod.node or ""] += each.gang.gpus_per_pod
    after = [each.using(gpus=dict(each.taken)["nvidia.com/gpu"] - freed[each.name]) for each in nodes]
    return isinstance(place(gang, Capacity(each.build() for each in after)), Placement)


@given(scenes(), st.integers(1, 4), st.integers(1, 3), st.sampled_from(PRIORITIES))
def test_victims_are_enough_and_all_needed(
    scene: tuple[list[NodeBuilder], list[JobBuilder]], gpus: int, replicas: int, priority: int
) -> None:
    nodes, builders = scene
    waiting = job("waits").with_gpus(gpus).replicas(replicas).slowed_by_at_most(1000).valued(priority)
    gang = waiting.gang()
    jobs = [each.build() for each in builders]
    allowed = [each for each in jobs if each.keeps_checkpoints and (each.priority or 0) < priority]
    capacity = Capacity(each.build() for each in nodes)
    if isinstance(place(gang, capacity), Placement):
        return
    found = chosen(waiting.build(), jobs, capacity)
    assert isinstance(found, Plan) == fits_without(gang, allowed, nodes)
    if isinstance(found, Plan):
        victims = list(found.victims)
        assert all(victim in allowed for victim in victims)
        assert fits_without(gang, victims, nodes)
        for spared in victims:
            assert not fits_without(gang, [each for each in victims if each is not spared], nodes)
        assert chosen(waiting.build(), list(reversed(jobs)), capacity) == found, "whatever their order"
