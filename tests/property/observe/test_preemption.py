"""Whoever is stopped for another job makes room for just that one, comes back and finishes, and never in circles.

The real loop on the small Kubernetes: jobs of any priority come at any time, with and without checkpoints, and the
operator may be replaced in between; nobody else disturbs it, so that every preemption must come to its placement.
"""

from __future__ import annotations

from hypothesis import event, given, settings
from hypothesis import strategies as st

from ballast.observe.cluster_state import Kind
from tests.builders import JobBuilder, job, node
from tests.property.observe import ledgers, preempted, settled
from tests.property.observe.operated import Operator
from tests.property.observe.world import Outcome, World

NODES = [node("a").with_gpus("A100", 4), node("b").with_gpus("A100", 2)]
CLASSES = {"low": -5, "high": 1000, "urgent": 2000}


@st.composite
def arrivals(draw: st.DrawFn, number: int) -> JobBuilder:
    gpus, replicas = draw(st.sampled_from([(1, 1), (2, 1), (4, 1), (2, 2), (2, 3), (1, 5)]))
    made = job(f"job-{number}").with_gpus(gpus).replicas(replicas)
    made = made.keeping_checkpoints() if draw(st.integers(0, 5)) else made
    name = draw(st.sampled_from([None, *CLASSES]))
    return made.with_pod_spec(priorityClassName=name) if name is not None else made


class Story:
    """What happens to the jobs of one example."""

    def __init__(self) -> None:
        self.world = World(NODES, [])
        for name, value in CLASSES.items():
            self.world.create(Kind.PRIORITY_CLASS, {"metadata": {"name": name}, "value": value})
        self.requests: dict[str, JobBuilder] = {}
        self.operator = Operator(self.world)
        self._heard = len(self.world.log)

    def hears(self) -> None:
        for event_ in self.world.log[self._heard :]:
            self.operator.hears(*event_)
        self._heard = len(self.world.log)

    def comes(self, request: JobBuilder, ago: float) -> None:
        created = JobBuilder(**{**vars(request), "created": self.world.now - ago})
        self.requests[self.world.user_creates(created)] = created

    def goes_on(self, turns: int, *, trained: bool = False) -> None:
        for _ in range(turns):
            settled.turn(self.world, self.operator, self.hears, trained=trained)
            self.world.now += 5

    def is_replaced(self, fate: Outcome) -> None:
        self.operator.dies([fate] * self.operator.writes)
        self.operator = Operator(self.world)
        self._heard = len(self.world.log)


@settings(max_examples=80)
@given(st.data())
def test_every_preemption_comes_to_a_placement(data: st.DataObject) -> None:
    story = Story()
    for number in range(data.draw(st.integers(3, 8))):
        story.comes(data.draw(arrivals(number)), ago=data.draw(st.sampled_from([0.0, 0.0, 300.0, 20000.0])))
        story.goes_on(data.draw(st.integers(3, 12)))
        if not data.draw(st.integers(0, 5)):
            story.is_replaced(data.draw(st.sampled_from([Outcome.UNREACHED, Outcome.ANSWER_LOST])))
        if not data.draw(st.integers(0, 5)):
            story.goes_on(1, trained=True)
    settled.settle(story.world, story.operator, story.hears)
    settled.check(story.world, story.operator, story.requests, NODES)
    ledgers.check_end(story.world)
    preempted.check_end(story.world)
    times = preempted.count(story.world)
    # Each victim made room for a placement of a strictly higher class: at most one for each pair of jobs.
    assert times <= len(story.requests) ** 2
    event(f"{min(times, 5)} preemptions")
    story.operator.dies([Outcome.UNREACHED] * story.operator.writes)
