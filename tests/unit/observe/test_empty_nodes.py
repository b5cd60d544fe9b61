"""Only nodes that changed, or whose time has come, are looked at; since when a node is empty outlives a restart."""

from __future__ import annotations

from ballast.api.jobstatus import Phase
from ballast.api.labels import EMPTY
from ballast.decide.actions import MarkNode
from ballast.decide.cycle import decide
from ballast.decide.policy import Policy
from ballast.decide.vacancies import Vacancy
from ballast.observe.cluster_state import ClusterState, Kind
from ballast.observe.empty_nodes import MOST_UNDER_WAY
from ballast.observe.timers import FIRST_RETRY_SECONDS
from tests.builders import NOW, JobBuilder, NodeBuilder, PodBuilder, foreign_pod, job, node, pod
from tests.power_builders import gpu, manifest
from tests.unit.observe.watched import kind_of

GPU_NODE = node("a").with_gpus("A100", 8)


class Cluster:
    """The operator's state, and cycles on it."""

    def __init__(self, *objects: NodeBuilder | JobBuilder | PodBuilder, mark: bool = True, after: float = 60) -> None:
        self.now = NOW
        self.state = ClusterState(
            clock=lambda: self.now, policy=Policy(mark_empty_nodes=mark, empty_node_seconds=after)
        )
        self.version = 100
        self.sees(*objects)

    def sees(self, *objects: NodeBuilder | JobBuilder | PodBuilder) -> None:
        for each in objects:
            self.version += 1
            self.state.observe(kind_of(each), {**each.manifest(), **self._versioned(each.manifest())})

    def _versioned(self, obj: dict[str, object]) -> dict[str, object]:
        return {"metadata": {**obj["metadata"], "resourceVersion": str(self.version)}}  # type: ignore[dict-item]

    def looked_at(self, after: float = 0) -> dict[str, Vacancy]:
        self.now += after
        return {view.name: view for view in self.state.snapshot(self.now, 256).vacancies}

    def decides(self, after: float = 0) -> list[MarkNode]:
        """Run a cycle, and return what it does about marks; its actions are under way."""
        self.now += after
        decision = decide(self.state.snapshot(self.now, 256))
        self.state.remember(decision.refused, decision.held_for, decision.held)
        for action in decision.actions:
            self.state.assume(action)
        return [action for action in decision.actions if isinstance(action, MarkNode)]

    def marks(self, after: float = 0) -> list[tuple[str, bool | None]]:
        return [(action.node, action.empty) for action in self.decides(after)]


def test_an_empty_node_is_looked_at_when_it_comes_and_when_it_is_to_be_marked() -> None:
    cluster = Cluster(GPU_NODE)
    assert cluster.marks() == []
    assert cluster.state.seconds_to_next_due() == 60
    assert cluster.looked_at(after=59) == {}
    assert cluster.marks(after=1) == [("a", True)]


def test_a_change_of_one_node_has_no_other_looked_at() -> None:
    cluster = Cluster(GPU_NODE, node("b").with_gpus("A100", 8), node("c").with_gpus("A100", 8))
    cluster.looked_at()
    cluster.sees(foreign_pod("notebook").asking_for(gpus="1").running_on("b"))
    assert set(cluster.looked_at()) == {"b"}


def test_heartbeats_and_nodes_without_gpus_are_nothing_to_look_at() -> None:
    cluster = Cluster(GPU_NODE, node("cpu"))
    assert set(cluster.looked_at()) == {"a"}
    cluster.sees(GPU_NODE, node("cpu"), foreign_pod("web").running_on("cpu"))
    assert cluster.looked_at() == {}


def test_a_pod_without_gpus_leaves_a_node_empty() -> None:
    cluster = Cluster(GPU_NODE, foreign_pod("logs").running_on("a"))
    assert cluster.marks(after=0) == []
    assert cluster.marks(after=60) == [("a", True)]


def test_a_pod_with_a_gpu_or_a_part_of_one_does_not() -> None:
    for resource in ("gpus", "nvidia.com/gpu.shared", "nvidia.com/mig-1g.10gb"):
        cluster = Cluster(GPU_NODE, foreign_pod("notebook").asking_for(**{resource: "1"}).running_on("a"))
        assert cluster.looked_at()["a"].empty_since is None


def test_a_gang_without_gpus_is_a_gang() -> None:
    train = job("train").running_on("a")
    cluster = Cluster(GPU_NODE, train, pod(0, train).running_on("a"))
    assert cluster.looked_at()["a"].empty_since is None


def test_a_gang_that_winds_up_is_there_until_its_job_has_ended() -> None:
    train = job("train").with_gpus(1).running_on("a")
    cluster = Cluster(GPU_NODE, train, pod(0, train).asking_for(gpus="1").running_on("a"))
    cluster.looked_at()
    cluster.sees(pod(0, train).asking_for(gpus="1").on("a").succeeded())
    assert cluster.looked_at()["a"].empty_since is None
    cluster.sees(train.ended(Phase.SUCCEEDED))
    assert cluster.looked_at(after=5)["a"].empty_since == NOW + 5


def test_a_reservation_is_enough() -> None:
    cluster = Cluster(GPU_NODE, job("train").with_gpus(1).placed_on("a"))
    assert cluster.looked_at()["a"].empty_since is None


def test_a_gpu_that_the_agent_sees_held_is_in_use_whatever_requests_say() -> None:
    cluster = Cluster(GPU_NODE)
    cluster.state.observe(Kind.NODE_POWER, manifest("a", gpu(holders=["somebody"])))
    assert cluster.looked_at()["a"].empty_since is None
    cluster.state.observe(Kind.NODE_POWER, manifest("a", gpu(), version=2))
    assert cluster.looked_at()["a"].empty_since == NOW


def test_emptiness_counts_from_the_end_of_the_last_pod() -> None:
    notebook = foreign_pod("notebook").asking_for(gpus="1").running_on("a")
    cluster = Cluster(GPU_NODE, notebook)
    cluster.looked_at()
    cluster.now += 30
    cluster.sees(notebook.succeeded())
    assert cluster.looked_at()["a"].empty_since == NOW + 30


def test_what_an_agent_measured_is_known_of_the_watts_and_the_rest_is_assumed() -> None:
    cluster = Cluster(GPU_NODE)
    found = cluster.looked_at()["a"]
    assert (found.gpus, found.idle_watts, found.measured) == (8, 8 * 52, False)
    idle = gpu().model_copy(update={"idle_watts": 30.0})
    cluster.state.observe(Kind.NODE_POWER, manifest("a", idle, gpu("GPU-1", holders=["x"])))
    found = cluster.looked_at()["a"]
    assert (found.gpus, found.idle_watts, found.measured) == (2, 30 + 52, False)


def test_since_when_it_is_empty_outlives_a_restart() -> None:
    cluster = Cluster(GPU_NODE.marked_empty(-3600))
    assert cluster.looked_at()["a"].empty_since == NOW - 3600
    assert cluster.marks() == []


def test_a_mark_of_before_does_not_count_once_the_node_was_in_use() -> None:
    notebook = foreign_pod("notebook").asking_for(gpus="1").running_on("a")
    cluster = Cluster(GPU_NODE.marked_empty(-3600), notebook)
    assert cluster.marks() == [("a", False)]
    cluster.sees(notebook.succeeded())
    cluster.looked_at(after=10)  # the mark is still being taken off
    [action] = cluster.state.snapshot(cluster.now, 256).marking
    assert action == "a"
    cluster.state.settle(MarkNode("a", "uid-of-node-a", empty=False), [])
    assert cluster.looked_at()["a"].empty_since == NOW + 10


def test_a_mark_of_the_future_is_not_believed() -> None:
    assert Cluster(GPU_NODE.marked_empty(+3600)).looked_at()["a"].empty_since == NOW


def test_a_mark_makes_no_room() -> None:
    cluster = Cluster(GPU_NODE, job("too-big").with_gpus(64))
    cluster.decides()
    refused = cluster.state.snapshot(cluster.now, 256).refused
    assert refused
    cluster.sees(GPU_NODE.marked_empty(0))
    assert cluster.state.snapshot(cluster.now, 256).refused == refused


def test_no_job_can_ask_for_the_label() -> None:
    [seen] = Cluster(GPU_NODE.marked_empty(-60)).state.snapshot(NOW, 256).nodes
    assert EMPTY not in seen.labels


def test_one_write_at_a_time_and_failures_rest() -> None:
    cluster = Cluster(GPU_NODE, after=0)
    [action] = cluster.decides()
    cluster.sees(GPU_NODE.labelled(team="vision"))
    assert cluster.marks() == []
    cluster.state.reject(action)
    assert cluster.marks() == []
    assert cluster.marks(after=FIRST_RETRY_SECONDS) == [("a", True)]


def test_many_nodes_are_marked_a_few_at_a_time_and_marks_come_off_at_once() -> None:
    names = [f"n{number:02}" for number in range(40)]
    cluster = Cluster(*(node(name).with_gpus("A100", 8) for name in names), after=0)
    begun = cluster.decides()
    assert [action.node for action in begun] == names[:MOST_UNDER_WAY]
    assert cluster.marks() == []
    assert cluster.state.seconds_to_next_due() is None, "the end of one of them wakes the loop"
    marked = [node(name).with_gpus("A100", 8).marked_empty(0) for name in names[-2:]]
    cluster.sees(*marked, *(foreign_pod(name).asking_for(gpus="1").running_on(name) for name in names[-2:]))
    assert cluster.marks() == [(name, False) for name in names[-2:]]
    for action in begun[:4]:
        done = node(action.node).with_gpus("A100", 8).marked_empty(0).at_version(500 + int(action.node[1:]))
        cluster.state.settle(action, [("Node", done.manifest())])
    assert cluster.state.seconds_to_next_due() == 0
    assert cluster.marks() == [(name, True) for name in names[16:18]]


def test_a_write_that_is_done_is_looked_at_and_was_right() -> None:
    cluster = Cluster(GPU_NODE, after=0)
    [action] = cluster.decides()
    cluster.state.settle(action, [("Node", {**GPU_NODE.marked_empty(0).at_version(500).manifest()})])
    assert set(cluster.looked_at()) == {"a"}
    assert cluster.marks() == []


def test_an_admission_takes_the_mark_off_first_and_once() -> None:
    cluster = Cluster(GPU_NODE.marked_empty(-3600), job("train").with_gpus(8))
    decision = decide(cluster.state.snapshot(cluster.now, 256))
    assert [type(action).__name__ for action in decision.actions] == ["MarkNode", "WriteStatus"]
    for action in decision.actions:
        cluster.state.assume(action)
    assert cluster.marks() == []


def test_a_node_that_was_promised_for_a_moment_counts_anew() -> None:
    cluster = Cluster(GPU_NODE)
    cluster.looked_at()
    cluster.sees(job("train").with_gpus(1))
    cluster.decides(after=30)
    cluster.state.forget(Kind.TRAINING_JOB, "uid-of-train")
    assert cluster.looked_at()["a"].empty_since == NOW + 30


def test_a_held_node_is_not_empty_and_counts_anew_afterwards() -> None:
    cluster = Cluster(GPU_NODE.marked_empty(-3600))
    cluster.looked_at()
    cluster.state.remember({}, "uid", frozenset({"a"}))
    assert cluster.looked_at(after=5)["a"].empty_since is None
    cluster.state.remember({}, None, frozenset())
    assert cluster.looked_at(after=5)["a"].empty_since == NOW + 10


def test_a_node_that_is_cut_off_is_looked_at_again() -> None:
    cluster = Cluster(GPU_NODE)
    cluster.state.look_again(cluster.state.snapshot(NOW, 256))
    assert set(cluster.looked_at()) == {"a"}


def test_a_node_that_comes_back_is_another_one() -> None:
    cluster = Cluster(GPU_NODE)
    cluster.looked_at()
    cluster.state.forget(Kind.NODE, "uid-of-node-a")
    assert cluster.looked_at(after=60) == {}
    cluster.sees(GPU_NODE.known_as("uid-2"))
    found = cluster.looked_at()["a"]
    assert (found.uid, found.empty_since) == ("uid-2", NOW + 60)


def test_switched_off_marks_that_are_left_go_and_none_come() -> None:
    cluster = Cluster(GPU_NODE.marked_empty(-60), node("b").with_gpus("A100", 8), mark=False, after=0)
    assert cluster.marks() == [("a", None)]
