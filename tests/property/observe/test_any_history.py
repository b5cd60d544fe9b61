"""Over any history the guarantees hold: users, the cluster, lost answers, crashes, stale and reordered news.

No node is promised beyond what it has; gangs are ungated whole, each pod once, to its reserved node; no two attempts of
a job run at a time; what each pod used enters its job's ledger once, and before the pod goes. Once everything has
settled, every job that the cluster could hold has ended, or is suspended as its owner wants, and nothing is reserved,
running, kept or due any more.
"""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ballast.observe.cluster_state import Kind
from tests.builders import JobBuilder, foreign_pod, job, node
from tests.property.observe import settled
from tests.property.observe.operated import LISTED, Operator, Task
from tests.property.observe.store import JsonObject
from tests.property.observe.world import Outcome, World

NODES = [
    node("a").with_gpus("A100", 4),
    node("b").with_gpus("A100", 2),
    node("h").with_gpus("H100", 2),
    node("plain").with_cpus(4),
]
FOREIGN = [foreign_pod("web").asking_for(gpus="1", cpu="1").running_on("a"), foreign_pod("db").running_on("plain")]
REQUESTS = [
    job("one").with_gpus(1),
    job("kept").with_gpus(2).keeping_checkpoints(),
    job("pair").with_gpus(2).replicas(2).keeping_checkpoints(),
    job("wide").with_gpus(1).replicas(5).slowed_by_at_most(1000),
    job("fast").with_gpus(2).minimizing("MinimizeTime"),
    job("cpus").with_cpus(2).replicas(2).launched_by("torchrun"),
    job("never").with_gpus(9),
    job("odd").with_pod_spec(tolerations="all"),
]
EDITS: list[dict[str, Any]] = [
    {"retryLimit": 0},
    {"retryLimit": 1},
    {"activeDeadlineSeconds": 90},
    {"ttlSecondsAfterFinished": 100},
    {"replicas": 1},
    {"launcher": "none"},
]
CLASSES = {"high": 1000, "low": -5}

outcomes = st.sampled_from([*[Outcome.DONE] * 5, Outcome.REFUSED, Outcome.UNREACHED, Outcome.ANSWER_LOST])
rarely = st.integers(0, 5).map(lambda drawn: drawn == 5)  # not 0, which is drawn more often than others


class AnyHistory(RuleBasedStateMachine):
    """Users, cluster and operator take turns in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(NODES, FOREIGN)
        for name, value in CLASSES.items():
            self.world.create(Kind.PRIORITY_CLASS, {"metadata": {"name": name}, "value": value})
        self.operator = Operator(self.world)
        self.late: list[Task] = []
        self.requests: dict[str, JobBuilder] = {}
        self.old_lists: list[tuple[Kind, list[JsonObject], int]] = []
        self.started_at = self.heard = len(self.world.log)

    # users

    @initialize(requests=st.lists(st.sampled_from(REQUESTS), min_size=1, max_size=4), turns=st.integers(0, 8))
    def some_jobs_are_there(self, requests: list[JobBuilder], turns: int) -> None:
        for request in requests:
            self.user_creates(request, {}, None, suspended=False, broken=False)
        self.all_goes_well_for_a_while(turns, trained=False)

    @precondition(lambda self: len(self.requests) < 8)
    @rule(
        request=st.sampled_from(REQUESTS),
        spec=st.sampled_from([{}, {}, {}, *EDITS]),
        priority=st.sampled_from([None, None, *CLASSES]),
        suspended=rarely,
        broken=rarely,
    )
    def user_creates(
        self, request: JobBuilder, spec: dict[str, Any], priority: str | None, suspended: bool, broken: bool
    ) -> None:
        # The name of a job that was deleted may be taken while its pods are still going.
        names = (f"{request.name}-{number}" for number in range(len(self.requests) + 1))
        name = next(name for name in names if self.world.find(Kind.TRAINING_JOB, name) is None)
        asking = request.with_spec(**spec, suspend=suspended)
        if priority is not None:
            asking = asking.with_pod_spec(priorityClassName=priority)
        created = JobBuilder(**{**vars(asking), "name": name, "created": self.world.now})
        uid = self.world.user_creates(created)
        if broken:
            self.world.broken.add(uid)
        self.requests[uid] = created

    @precondition(lambda self: self.world.objects[Kind.TRAINING_JOB])
    @rule(data=st.data(), edit=st.sampled_from(EDITS))
    def user_edits(self, data: st.DataObject, edit: dict[str, Any]) -> None:
        self._edit(data, edit)

    @precondition(lambda self: self.world.objects[Kind.TRAINING_JOB])
    @rule(data=st.data(), suspend=st.booleans())
    def user_suspends_or_resumes(self, data: st.DataObject, suspend: bool) -> None:
        self._edit(data, {"suspend": suspend})

    def _edit(self, data: st.DataObject, edit: dict[str, Any]) -> None:
        uid = data.draw(st.sampled_from(sorted(self.world.objects[Kind.TRAINING_JOB])))
        edited = self.requests[uid].with_spec(**edit)
        if self.world.user_edits(uid, edited):
            self.requests[uid] = edited

    @precondition(lambda self: self.world.objects[Kind.TRAINING_JOB])
    @rule(data=st.data(), really=rarely, foreground=st.booleans())
    def user_deletes(self, data: st.DataObject, really: bool, foreground: bool) -> None:
        uid = data.draw(st.sampled_from(sorted(self.world.objects[Kind.TRAINING_JOB])))
        if really:
            self.world.user_deletes(uid, foreground=foreground)

    # the cluster and everybody else

    @rule(name=st.sampled_from(["web", "db", "late"]))
    def somebody_elses_pod_ends(self, name: str) -> None:
        self.world.foreign_pod_ends(name)

    @rule(where=st.sampled_from(["a", "b", "h"]))
    def another_scheduler_takes_a_gpu(self, where: str) -> None:
        if self.world.find(Kind.POD, "late") is None:
            self.world.foreign_pod_comes(foreign_pod("late").asking_for(gpus="1", cpu="1").running_on(where))

    @rule(name=st.sampled_from([builder.name for builder in NODES]), what=st.sampled_from(settled.NODE_EVENTS))
    def a_node_changes(self, name: str, what: str) -> None:
        self.world.node_becomes(name, what)

    @rule(why=st.sampled_from([None, "exceeded quota: requests.nvidia.com/gpu"]))
    def a_quota_changes(self, why: str | None) -> None:
        self.world.quota = why

    @rule(name=st.sampled_from(sorted(CLASSES)))
    def a_priority_class_comes_or_goes(self, name: str) -> None:
        found = self.world.find(Kind.PRIORITY_CLASS, name)
        if found is not None:
            self.world.remove(Kind.PRIORITY_CLASS, found["metadata"]["uid"])
        else:
            self.world.create(Kind.PRIORITY_CLASS, {"metadata": {"name": name}, "value": CLASSES[name]})

    @precondition(lambda self: self.world.ballast_pods())
    @rule(data=st.data(), how=st.sampled_from(["delete", "force", "drain", "preempt", "evict"]))
    def somebody_ends_a_pod(self, data: st.DataObject, how: str) -> None:
        self.world.somebody_ends(how, data.draw(st.sampled_from(self.world.ballast_pods())))

    @precondition(lambda self: self.world.ballast_pods())
    @rule(data=st.data())
    def an_exporter_falls_silent(self, data: st.DataObject) -> None:
        self.world.silent.add(data.draw(st.sampled_from(self.world.ballast_pods())))

    @precondition(lambda self: self.world.objects[Kind.JOB])
    @rule(data=st.data(), really=rarely, foreground=st.booleans())
    def somebody_deletes_a_job(self, data: st.DataObject, really: bool, foreground: bool) -> None:
        uid = data.draw(st.sampled_from(sorted(self.world.objects[Kind.JOB])))
        if really:
            self.world.somebody_deletes_a_job(uid, foreground=foreground)

    @precondition(lambda self: self.world.steps())
    @rule(data=st.data(), count=st.integers(1, 6))
    def cluster_steps(self, data: st.DataObject, count: int) -> None:
        for _ in range(count):
            possible = self.world.steps()
            if possible:
                verb, uid = data.draw(st.sampled_from(possible))
                self.world.step(verb, uid, well=not data.draw(rarely))

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

    @rule(turns=st.integers(1, 8), trained=rarely)
    def all_goes_well_for_a_while(self, turns: int, trained: bool) -> None:
        for _ in range(turns):
            settled.turn(self.world, self.operator, self.hears_all_news, trained=trained)

    @rule(turns=st.integers(1, 3))
    def all_goes_well_for_a_moment(self, turns: int) -> None:
        self.all_goes_well_for_a_while(turns, trained=False)

    @rule(seconds=st.sampled_from([0.5, 2.0, 60.0, 700.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.now += seconds

    @rule(data=st.data())
    def it_is_killed_and_started_again(self, data: st.DataObject) -> None:
        fates = st.sampled_from([Outcome.UNREACHED, Outcome.ANSWER_LOST])
        self.operator.dies([data.draw(fates) for _ in range(self.operator.writes)])
        self._another_operator()

    @rule()
    def it_loses_its_leadership(self) -> None:
        self.late += self.operator.is_replaced()
        self._another_operator()

    @precondition(lambda self: self.late)
    @rule(data=st.data())
    def a_late_request_arrives(self, data: st.DataObject) -> None:
        task = self.late.pop(data.draw(st.integers(0, len(self.late) - 1)))
        self.world.is_late = True
        task.kill(Outcome.ANSWER_LOST)
        self.world.is_late = False

    def _another_operator(self) -> None:
        self.operator = Operator(self.world)
        self.started_at = self.heard = len(self.world.log)
        self.old_lists.clear()

    # what must hold

    @invariant()
    def guarantees_hold(self) -> None:
        self.world.check()
        assert not self.operator.invalid

    @invariant()
    def every_action_ends_once_at_most(self) -> None:
        assert len(self.operator.ended) + len(self.operator.under_way) <= self.operator.submitted

    def teardown(self) -> None:
        for task in self.late:
            task.kill(Outcome.UNREACHED)
        for name in ("web", "db", "late"):
            self.world.foreign_pod_ends(name)
        for builder in NODES:
            self.world.node_becomes(builder.name, "healthy")
        for name in CLASSES:
            if self.world.find(Kind.PRIORITY_CLASS, name) is None:
                self.a_priority_class_comes_or_goes(name)
        self.world.quota = None
        settled.settle(self.world, self.operator, self.hears_all_news)
        settled.check(self.world, self.operator, self.requests, NODES)
        self.operator.dies([Outcome.UNREACHED] * self.operator.writes)


TestAnyHistory = AnyHistory.TestCase
TestAnyHistory.settings = settings(max_examples=50, stateful_step_count=40)
