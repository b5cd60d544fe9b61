"""What a job asks of GPUs reaches its nodes, and what agents say of GPUs reaches their jobs."""

from __future__ import annotations

from ballast.decide.actions import WriteNodePower
from ballast.decide.cycle import decide
from ballast.decide.policy import Policy
from ballast.observe.cluster_state import ClusterState, Kind
from tests.builders import NOW, node, pod
from tests.power_builders import capped_job, gpu, manifest, on_gpus, point

JOB = on_gpus(capped_job().running_on("a"))
POD = pod(0, JOB).running_on("a")


def watched() -> ClusterState:
    state = ClusterState(clock=lambda: NOW, policy=Policy(agents=True))
    state.observe(Kind.NODE, node("a").with_gpus("A40", 4).manifest())
    state.observe(Kind.NODE_POWER, manifest("a", gpu()))
    state.observe(Kind.TRAINING_JOB, JOB.manifest())
    state.observe(Kind.POD, POD.manifest())
    return state


def writes(state: ClusterState) -> list[WriteNodePower]:
    return [each for each in decide(state.snapshot(NOW, 100)).actions if isinstance(each, WriteNodePower)]


def test_a_pods_point_is_asked_for_and_taken_back() -> None:
    state = watched()
    [write] = writes(state)
    assert [(entry.uid, entry.operating_point) for entry in write.spec.pods] == [(POD.uid, point(150))]
    state.assume(write)
    assert writes(state) == [], "while the write is under way"
    state.settle(write, [("NodePower", manifest("a", gpu(), version=2, pods=write.spec.pods))])
    assert writes(state) == []
    state.forget(Kind.POD, POD.uid)
    [write] = writes(state)
    assert write.spec.pods == ()


def test_a_job_sees_what_its_node_s_agent_says() -> None:
    state = watched()
    state.snapshot(NOW, 100)
    state.observe(Kind.NODE_POWER, manifest("a", gpu(holders=[POD.uid], enforced=point(150)), version=2))
    [job] = state.snapshot(NOW, 100).changed
    assert [held.enforced for held in job.held_gpus[POD.uid]] == [point(150)]


def test_what_agents_say_of_others_does_not_concern_it() -> None:
    state = watched()
    state.snapshot(NOW, 100)
    state.observe(Kind.NODE_POWER, manifest("another", gpu(holders=["uid"], enforced=point(150)), version=2))
    assert state.snapshot(NOW, 100).changed == ()


def test_a_deleted_node_power_is_made_again() -> None:
    state = watched()
    state.settle(writes(state)[0], [])
    state.forget(Kind.NODE_POWER, "uid-of-power-of-a")
    assert [write.node for write in writes(state)] == ["a"]
