"""Whatever happens: no node is marked as empty that is in use or promised, and in the end all that are empty are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ballast.api.jobstatus import Phase
from ballast.decide.actions import Action, MarkNode, Transition, WriteStatus
from ballast.decide.cycle import Decision, decide
from ballast.decide.policy import Policy
from ballast.decide.vacancies import NO_MARK, Mark
from ballast.observe.cluster_state import ClusterState, Kind
from tests.builders import NOW, NodeBuilder, foreign_pod, job, node

AFTER = 60.0
# A job stays where it is placed, or is placed anew at once: else the world never comes to rest.
POLICY = Policy(
    mark_empty_nodes=True,
    empty_node_seconds=AFTER,
    placement_timeout_seconds=1e9,
    retry_seconds=1,
    retry_max_seconds=1,
)
NODES = tuple(node(name).with_gpus("A100", 4) for name in "abc")
PODS = {
    f"{name}{index}": foreign_pod(f"{name}{index}").asking_for(gpus="2").running_on(name)
    for name in "abc"
    for index in "01"
}
JOBS = {
    "small": job("small").with_gpus(1),
    "whole": job("whole").with_gpus(4),
    "gang": job("gang").with_gpus(4).replicas(3).waiting_since(-3600),
    "cpus": job("cpus").with_cpus(1),
}
HAPPENINGS = st.one_of(
    st.tuples(st.just("pod"), st.sampled_from(sorted(PODS))),
    st.tuples(st.just("job"), st.sampled_from(sorted(JOBS))),
    st.tuples(st.just("time"), st.sampled_from([1, 30, 59, 60, 200])),
    st.tuples(st.just("somebody labels"), st.sampled_from("abc")),
    st.tuples(st.just("restart"), st.just("")),
)
OUTCOMES = st.sampled_from(["done", "done", "failed", "under way"])


class World:
    """Nodes, pods of others and TrainingJobs that never get pods, and an operator whose writes do not all arrive."""

    def __init__(self) -> None:
        self.now = NOW
        self.version = 1
        self.nodes: dict[str, NodeBuilder] = {each.name: each for each in NODES}
        self.pods: set[str] = set()
        self.jobs: dict[str, dict[str, Any]] = {}
        self.used_at: dict[str, float] = {}
        self.held: frozenset[str] = frozenset()
        self.restart()

    # -- what happens

    def restart(self) -> None:
        """Another operator takes over, which knows what it sees."""
        self.held = frozenset()
        self.state = ClusterState(clock=lambda: self.now, policy=POLICY)
        for each in self.nodes.values():
            self.state.observe(Kind.NODE, self._new(each.manifest()))
        for name in self.pods:
            self.state.observe(Kind.POD, self._new(PODS[name].manifest()))
        for manifest in self.jobs.values():
            self.state.observe(Kind.TRAINING_JOB, manifest)

    def pod(self, name: str) -> None:
        """A pod of somebody else's comes, or ends."""
        builder = PODS[name]
        ends = name in self.pods
        (self.pods.discard if ends else self.pods.add)(name)
        self.state.observe(Kind.POD, self._new((builder.succeeded() if ends else builder).manifest()))

    def job(self, name: str) -> None:
        """A job comes, or is deleted with all that it holds."""
        if (gone := self.jobs.pop(name, None)) is not None:
            self.state.forget(Kind.TRAINING_JOB, gone["metadata"]["uid"])
            return
        self.jobs[name] = self._new(JOBS[name].known_as(f"{name}-{self.version}").manifest())
        self.state.observe(Kind.TRAINING_JOB, self.jobs[name])

    def label(self, name: str) -> None:
        """Somebody labels a node, whatever is on it."""
        mark = self.nodes[name].mark
        self._mark(name, Mark(labelled=True, empty=mark.empty, since=mark.since))
        self.state.observe(Kind.NODE, self._new(self.nodes[name].manifest()))

    def cycle(self, outcome: str) -> list[MarkNode]:
        """Run a cycle; its writes about marks come to the outcome, and all others succeed."""
        decision = decide(self.state.snapshot(self.now, 256))
        self.state.remember(decision.refused, decision.held_for, decision.held)
        self.held = decision.held
        self.check(decision)
        for action in decision.actions:
            self.state.assume(action)
        for action in decision.actions:
            self._carry_out(action, outcome)
        self.note()
        return [action for action in decision.actions if isinstance(action, MarkNode)]

    def _carry_out(self, action: Action, outcome: str) -> None:
        if not isinstance(action, MarkNode):
            answers = []
            if isinstance(action, WriteStatus):
                name = action.job.metadata.name
                self.jobs[name] = self._new({**self.jobs[name], "status": action.status.to_manifest()})
                answers = [(Kind.TRAINING_JOB, self.jobs[name])]
            self.state.settle(action, answers)
        elif outcome == "failed":
            self.state.reject(action)
        elif outcome == "done":
            since = action.since if action.empty is not None else None
            mark = Mark(action.empty is True, action.empty, since) if action.empty is not None else NO_MARK
            self._mark(action.node, mark)
            self.state.settle(action, [(Kind.NODE, self._new(self.nodes[action.node].manifest()))])

    # -- what must hold

    def used(self) -> set[str]:
        """The nodes that somebody has, or that are promised to somebody."""
        used = {name[0] for name in self.pods} | self.held
        for manifest in self.jobs.values():
            status = manifest.get("status") or {}
            if status.get("phase") in {Phase.PLACING, Phase.RUNNING, Phase.SUSPENDING}:
                used |= {place["node"] for place in status.get("placement") or ()}
        return used

    def note(self) -> None:
        """Remember when nodes were in use."""
        self.used_at.update(dict.fromkeys(self.used(), self.now))

    def check(self, decision: Decision) -> None:
        """No write says that a node is empty which is not, and no node is promised while its mark stays."""
        admitted = [a for a in decision.actions if isinstance(a, WriteStatus) and a.transition is Transition.ADMIT]
        promised = decision.held.union(place.node for write in admitted for place in write.status.placement)
        written: dict[str, int] = {}
        for position, action in enumerate(decision.actions):
            if not isinstance(action, MarkNode):
                continue
            assert action.node not in written, "one write about a node"
            written[action.node] = position
            if action.empty:
                assert action.node not in self.used() | promised
                assert self.now - action.since >= AFTER
                assert action.since >= self.used_at.get(action.node, 0)
        for write in admitted:
            for place in write.status.placement:
                assert written.get(place.node, -1) < decision.actions.index(write)

    def _mark(self, name: str, mark: Mark) -> None:
        self.nodes[name] = replace(self.nodes[name], mark=mark)

    def _new(self, manifest: dict[str, Any]) -> dict[str, Any]:
        self.version += 1
        return {**manifest, "metadata": {**manifest["metadata"], "resourceVersion": str(self.version)}}


@given(st.lists(st.tuples(HAPPENINGS, OUTCOMES), max_size=30))
def test_any_history(history: list[tuple[tuple[str, Any], str]]) -> None:
    world = World()
    for (what, how), outcome in history:
        match what:
            case "pod":
                world.pod(how)
            case "job":
                world.job(how)
            case "time":
                world.now += how
            case "restart":
                world.restart()
            case _:
                world.label(how)
        world.note()
        world.cycle(outcome)
    world.restart()  # whatever is under way comes to an end
    for _ in range(10):
        world.cycle("done")
        world.now += AFTER
    assert world.cycle("done") == []
    marked = {name for name, each in world.nodes.items() if each.mark.says_empty}
    assert marked == set(world.nodes) - world.used()
    assert all(world.nodes[name].mark.labelled and world.nodes[name].mark.empty for name in marked)
