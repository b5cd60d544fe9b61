"""A training pod that has ended is told of once its account is final, and for as long as that is kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ballast.agent.metering.accounts import KEPT_SECONDS
from ballast.api.nodestatus import MAX_ENDED_PODS, EndedComponent, EndedPod
from ballast.api.source import Component, Source
from tests.unit.agent.metering.gpu_nodes import EPOCH, FakeGpu, GpuNode


def told(node: GpuNode) -> dict[str, EndedPod]:
    return {pod.uid: pod for pod in node.accounts.ended}


def gpu_joules(pod: EndedPod) -> float:
    return sum(used.active_joules + used.idle_joules for used in pod.used if used.component is Component.GPU)


@pytest.fixture
def uid(node: GpuNode) -> str:
    """A training pod that has held the GPU for ten seconds."""
    uid = node.pod("train", trains=True)
    node.hold("GPU-0", uid)
    node.tick()
    node.run(10)
    return uid


def test_nothing_is_told_of_a_pod_that_runs(node: GpuNode, uid: str) -> None:
    assert not told(node)


def test_what_it_used_up_to_the_next_look_is_its_own(node: GpuNode, uid: str, gpu: FakeGpu) -> None:
    node.pass_time(0.5)
    node.end(uid)
    node.hold("GPU-0")
    node.pass_time(0.5)
    node.tick()
    ended = told(node)[uid]
    assert gpu_joules(ended) == pytest.approx(gpu.joules) == 1100
    assert ended.at.timestamp() == EPOCH + node.now
    node.run(5)
    assert told(node)[uid] == ended


def test_while_the_kubelet_lists_it_it_is_charged_and_not_told_of(node: GpuNode, uid: str) -> None:
    node.end(uid)
    node.run(2)
    assert not told(node)
    node.hold("GPU-0")
    node.run(1)
    assert gpu_joules(told(node)[uid]) == pytest.approx(1300)


def test_the_next_holder_pays_for_itself(node: GpuNode, uid: str, gpu: FakeGpu) -> None:
    node.end(uid)
    after = node.pod("after", trains=True)
    node.hold("GPU-0", after)
    node.run(5)
    assert gpu_joules(told(node)[uid]) + node.joules(after) == pytest.approx(gpu.joules)
    assert gpu_joules(told(node)[uid]) == pytest.approx(1100)


def test_nothing_is_told_while_nobody_knows_who_holds_what(node: GpuNode, uid: str) -> None:
    node.end(uid)
    node.holders = None
    node.run(5)
    assert not told(node)


def test_nor_of_any_pod_before_an_agent_knows_the_nodes_pods(node: GpuNode) -> None:
    """It starts with what was saved, and no pods: their first list is still to come."""
    node.pod("train", trains=True)
    node.tick()
    node.run(1)
    node.metering.save()
    pods, node.pods, node.holders = node.pods, {}, None
    node.start()
    node.run(2)
    assert not told(node)
    node.pods, node.holders = pods, {}
    node.run(2)
    assert not told(node)


def test_active_and_idle_are_kept_apart_by_component_with_the_least_source(node: GpuNode, uid: str) -> None:
    node.accounts.charge_gpu(uid, ("GPU-1", None), 1, 2.0004, 3, Source.INTEGRAL)
    node.accounts.charge_cpu(uid, 7, 7, Source.ESTIMATED)
    node.end(uid)
    node.hold("GPU-0")
    node.run(1)
    gpu, cpu = told(node)[uid].used
    assert (gpu.component, gpu.source) == (Component.GPU, Source.INTEGRAL)
    assert gpu.active_joules + gpu.idle_joules == pytest.approx(1103)
    assert gpu.idle_joules >= 2
    assert cpu == EndedComponent(component=Component.CPU, active_joules=7, idle_joules=0, source=Source.ESTIMATED)


def test_a_pod_that_used_nothing_is_told_of_too(node: GpuNode) -> None:
    uid = node.pod("train", trains=True)
    node.run(1)
    node.end(uid)
    node.run(1)
    assert told(node)[uid].used == ()


def test_others_pods_are_not(node: GpuNode) -> None:
    uid = node.pod("other")
    node.run(1)
    node.end(uid)
    node.run(1)
    assert not told(node)


def test_a_pod_that_is_there_again_has_not_ended(node: GpuNode, uid: str) -> None:
    node.end(uid)
    node.hold("GPU-0")
    node.run(1)
    node.pod("train", trains=True)
    node.run(1)
    assert not told(node)


def test_it_is_told_for_some_time(node: GpuNode, uid: str) -> None:
    node.end(uid)
    node.hold("GPU-0")
    node.run(1)
    node.pass_time(KEPT_SECONDS)
    node.tick()
    assert uid in told(node)
    node.run(1)
    assert not told(node)


def test_as_long_as_its_object_is_held_it_is_told(node: GpuNode, uid: str) -> None:
    """The operator may be away for hours: it takes the finalizer off when it has entered what the pod used."""
    node.end(uid, is_held=True)
    node.hold("GPU-0")
    node.run(1)
    before = told(node)
    for _ in range(3):
        node.pass_time(10 * KEPT_SECONDS)
        node.tick()
    assert told(node) == before


def test_only_then_the_time_begins_for_which_it_is_kept(node: GpuNode, uid: str) -> None:
    node.end(uid, is_held=True)
    node.hold("GPU-0")
    node.run(1)
    node.pass_time(10 * KEPT_SECONDS)
    node.release(uid)
    node.tick()
    node.pass_time(KEPT_SECONDS)
    node.tick()
    assert uid in told(node)
    node.run(1)
    assert not told(node)


def test_a_restart_changes_nothing_while_its_object_is_held(node: GpuNode, uid: str) -> None:
    node.end(uid, is_held=True)
    node.hold("GPU-0")
    node.run(1)
    before, held = told(node), node.ended
    for _ in range(2):
        node.pass_time(10 * KEPT_SECONDS)
        node.pods, node.ended, node.holders = {}, None, None  # the first list is still to come
        node.start()
        node.run(1)
        node.pass_time(2 * KEPT_SECONDS)  # the API server is away
        node.tick()
        assert told(node) == before
        node.ended, node.holders = held, {}
        node.run(1)
        assert told(node) == before


def test_pods_that_run_are_kept_while_the_nodes_pods_are_not_known(node: GpuNode, uid: str) -> None:
    node.metering.save()
    pods, node.pods, node.ended = node.pods, {}, None
    node.start()
    node.tick()
    node.pass_time(2 * KEPT_SECONDS)
    node.tick()
    node.pods, node.ended = pods, frozenset()
    node.tick()
    assert node.joules(uid) >= 1000


def test_of_many_those_are_told_last_to_go_whose_objects_are_held(node: GpuNode) -> None:
    pods = [node.pod(f"{number:08}", trains=True) for number in range(MAX_ENDED_PODS + 2)]
    node.run(1)
    first, second, *rest = pods
    for uid, is_held in ((first, True), (second, False)):
        node.end(uid, is_held=is_held)
        node.run(1)
    for uid in rest:
        node.end(uid)
    node.run(1)
    assert set(told(node)) == {first, *rest[1:]}
    node.release(first)
    node.run(1)
    assert set(told(node)) == set(rest)


def test_nothing_is_said_anew_when_its_object_goes(node: GpuNode, uid: str) -> None:
    """It would be a write of the status for nothing."""
    other = node.pod("other", trains=True)
    for one in (uid, other):
        node.end(one, is_held=True)
        node.hold("GPU-0")
        node.run(1)
    before = node.accounts.ended
    node.release(other)
    node.run(1)
    assert node.accounts.ended is before


def test_of_many_the_newest_are_told(node: GpuNode) -> None:
    pods = [node.pod(f"{number:08}", trains=True) for number in range(MAX_ENDED_PODS + 2)]
    node.run(1)
    first, second, *rest = pods
    for uid in (first, second):
        node.end(uid)
        node.run(1)
    for uid in rest:
        node.end(uid)
    node.run(1)
    assert set(told(node)) == set(rest)


def test_it_is_saved_before_it_is_told(node: GpuNode, uid: str) -> None:
    """Else an agent that is killed then would tell less than it did."""
    node.end(uid)
    node.hold("GPU-0")
    node.run(1)
    before = told(node)
    node.start()  # as after SIGKILL
    assert told(node) == before
    node.run(1)
    assert told(node) == before


def test_a_pod_that_ended_while_no_agent_ran_is_told_of_with_what_is_known(node: GpuNode, uid: str) -> None:
    node.metering.save()
    node.end(uid)
    node.hold("GPU-0")
    node.pass_time(30)
    node.start()
    assert not told(node)
    node.tick()
    assert gpu_joules(told(node)[uid]) == pytest.approx(1000)
    assert told(node)[uid].at.timestamp() == EPOCH + node.now


def test_it_is_told_no_longer_than_had_there_been_no_restart(node: GpuNode, uid: str) -> None:
    node.end(uid)
    node.hold("GPU-0")
    node.run(1)
    node.pass_time(KEPT_SECONDS - 10)
    node.start()
    node.tick()
    assert uid in told(node)
    node.run(11)
    assert not told(node)


def test_what_an_earlier_version_saved_is_understood(node: GpuNode, uid: str, tmp_path: Path) -> None:
    node.metering.save()
    [file] = tmp_path.rglob("accounts.json")
    content = json.loads(file.read_text())
    for name in ("trains", "readAt", "endedAt", "goneAt", "concludedAt"):
        del content["pods"][uid][name]
    file.write_text(json.dumps(content))
    node.start()
    node.tick()
    assert node.joules(uid) == pytest.approx(1000)


def test_readings_are_whole_up_to_the_last_look(node: GpuNode, uid: str) -> None:
    node.pass_time(0.5)
    assert node.readings(uid).at.timestamp() == EPOCH + node.now - 0.5
    node.pass_time(0.5)
    node.tick()
    assert node.readings(uid).at.timestamp() == EPOCH + node.now


def test_while_its_gpu_cannot_be_read_time_stands_still(node: GpuNode, uid: str, gpu: FakeGpu) -> None:
    other = node.pod("other")
    lost_at = EPOCH + node.now
    gpu.lose()
    node.run(3)
    assert node.readings(uid).at.timestamp() == lost_at
    assert node.readings(other).at.timestamp() == lost_at + 3
