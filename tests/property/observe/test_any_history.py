"""Over any history - lost answers, crashes, stale, repeated and reordered news - the guarantees hold.

No node is promised beyond what it has; a gang is ungated whole, each pod once, to its reserved node; once everything
has settled, every job that the cluster could hold has ended and nothing is reserved any more.
"""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ballast.decide.capacity import Capacity
from ballast.decide.placement import Placement, place
from ballast.observe.cluster_state import Kind
from tests.builders import JobBuilder, foreign_pod, job, node
from tests.property.observe.operated import LISTED, Operator
from tests.property.observe.world import JsonObject, Outcome, World

NODES = [
    node("a").with_gpus("A100", 4),
    node("b").with_gpus("A100", 2),
    node("h").with_gpus("H100", 2),
    node("plain").with_cpus(4),
]
FOREIGN = [foreign_pod("web").asking_for(gpus="1", cpu="1").running_on("a"), foreign_pod("db").running_on("plain")]
REQUESTS = [
    job("one").with_gpus(1),
    job("pair").with_gpus(2).replicas(2),
    job("wide").with_gpus(1).replicas(5).slowed_by_at_most(1000),
    job("fast").with_gpus(2).minimizing("MinimizeTime"),
    job("cpus").with_cpus(2).replicas(2).launched_by("torchrun"),
    job("never").with_gpus(9),
    job("odd").with_pod_spec(tolerations="all"),
]

outcomes = st.sampled_from([*[Outcome.DONE] * 5, Outcome.REFUSED, Outcome.UNREACHED, Outcome.ANSWER_LOST])


class AnyHistory(RuleBasedStateMachine):
    """Users, cluster and operator take turns in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(NODES, FOREIGN)
        self.operator = Operator(self.world)
        self.requests: dict[str, JobBuilder] = {}
        self.old_lists: list[tuple[Kind, list[JsonObject], int]] = []
        self.started_at = self.heard = len(self.world.log)

    # users

    @precondition(lambda self: len(self.requests) < 10)
    @rule(request=st.sampled_from(REQUESTS), since=st.integers(-3, 0))
    def user_creates(self, request: JobBuilder, since: int) -> None:
        name = f"{request.name}-{len(self.requests)}"
        created = JobBuilder(**{**vars(request), "name": name, "created": since})
        self.world.user_creates(created)
        self.requests[name] = created

    @precondition(lambda self: self.world.objects[Kind.TRAINING_JOB])
    @rule(data=st.data())
    def user_deletes(self, data: st.DataObject) -> None:
        uid = data.draw(st.sampled_from(sorted(self.world.objects[Kind.TRAINING_JOB])))
        if data.draw(st.integers(0, 3)) == 0:
            self.world.user_deletes(uid)

    # the cluster

    @rule(name=st.sampled_from(["web", "db"]))
    def somebody_elses_pod_ends(self, name: str) -> None:
        self.world.foreign_pod_ends(name)

    @precondition(lambda self: self.world.steps())
    @rule(data=st.data(), count=st.integers(1, 6))
    def cluster_steps(self, data: st.DataObject, count: int) -> None:
        for _ in range(count):
            possible = self.world.steps()
            if possible:
                verb, uid = data.draw(st.sampled_from(possible))
                self.world.step(verb, uid, well=data.draw(st.integers(0, 5)) > 0)

    # what the operator hears

    @precondition(lambda self: self.heard < len(self.world.log))
    @rule()
    def hears_all_news(self) -> None:
        for event in self.world.log[self.heard :]:
            self.operator.hears(*event)
        self.heard = len(self.world.log)

    @precondition(lambda self: self.started_at < len(self.world.log))
    @rule(data=st.data())
    def hears_anything_again_or_early(self, data: st.DataObject) -> None:
        # A watch begins where the first list was taken: what happened before is never heard.
        back = data.draw(st.integers(1, min(20, len(self.world.log) - self.started_at)))
        self.operator.hears(*self.world.log[-back])

    @rule(kind=st.sampled_from(LISTED))
    def a_list_is_taken(self, kind: Kind) -> None:
        self.old_lists.append((kind, list(self.world.objects[kind].values()), self.world.version))

    @precondition(lambda self: self.old_lists)
    @rule(data=st.data())
    def a_list_arrives(self, data: st.DataObject) -> None:
        self.operator.takes_list(*self.old_lists.pop(data.draw(st.integers(0, len(self.old_lists) - 1))))

    # what it does

    @precondition(lambda self: not self.operator.decides)
    @rule()
    def cycle_begins(self) -> None:
        self.operator.begins_cycle()

    @precondition(lambda self: self.operator.decides)
    @rule()
    def cycle_ends(self) -> None:
        self.operator.ends_cycle()

    @precondition(lambda self: self.operator.under_way)
    @rule(data=st.data(), count=st.integers(1, 3))
    def writes_end(self, data: st.DataObject, count: int) -> None:
        for _ in range(min(count, len(self.operator.under_way))):
            data.draw(st.sampled_from(self.operator.under_way)).answer(data.draw(outcomes))

    @rule(seconds=st.sampled_from([0.5, 2.0, 60.0]))
    def time_passes(self, seconds: float) -> None:
        self.operator.time += seconds

    @rule(data=st.data())
    def it_is_killed_and_started_again(self, data: st.DataObject) -> None:
        fates = st.sampled_from([Outcome.UNREACHED, Outcome.ANSWER_LOST])
        self.operator.dies([data.draw(fates) for _ in range(self.operator.writes)])
        self.operator = Operator(self.world, self.operator.time)
        self.started_at = self.heard = len(self.world.log)
        self.old_lists.clear()

    # what must hold

    @invariant()
    def no_node_is_promised_beyond_what_it_has(self) -> None:
        self.world.check()

    @invariant()
    def every_action_ends_once_at_most(self) -> None:
        assert len(self.operator.ended) + len(self.operator.under_way) == self.operator.submitted

    def teardown(self) -> None:
        self._settle()
        self.world.check()
        empty = Capacity([builder.build() for builder in NODES])
        for obj in self.world.objects[Kind.TRAINING_JOB].values():
            asking = self.requests[obj["metadata"]["name"]].build()
            feasible = asking.gang is not None and isinstance(place(asking.gang, empty), Placement)
            phase = obj["status"]["phase"]
            assert phase in (("Succeeded", "Failed") if feasible else ("Queued",)), obj["metadata"]["name"]
        for seen in self.operator.state.snapshot(0, 10).nodes:
            assert seen.free == seen.allocatable
        self.operator.dies([Outcome.UNREACHED] * self.operator.writes)

    def _settle(self) -> None:
        """Let everybody go on until nothing happens any more."""
        for name in ("web", "db"):
            self.world.foreign_pod_ends(name)
        for _ in range(300):
            before: Any = (self.world.version, len(self.operator.ended))
            self.hears_all_news()
            self.operator.ends_cycle()
            while self.operator.under_way:
                self.operator.under_way[0].answer(Outcome.DONE)
                self.world.check()
            self.operator.time += 100
            self.hears_all_news()
            self.operator.begins_cycle()
            self.operator.ends_cycle()
            for verb, uid in self.world.steps():
                if (verb, uid) in self.world.steps():
                    self.world.step(verb, uid)
                    self.world.check()
            if before == (self.world.version, len(self.operator.ended)) and not self.operator.under_way:
                return
        raise AssertionError("it does not come to rest")


TestAnyHistory = AnyHistory.TestCase
TestAnyHistory.settings = settings(max_examples=50, stateful_step_count=40)
