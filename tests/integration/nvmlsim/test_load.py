"""A container's CPU use is its GPU's load, and its GPU's limit is its CPU quota."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.api_client import wait_until
from tests.cluster.node import RealNode
from tests.integration.nvmlsim.pods import PATIENCE_SECONDS, Pods
from tests.nvmlsim.curves import curve
from tests.nvmlsim.node import GpuNodeControl

LOW_LIMIT_WATTS = 125.0
CPU_LIMIT = 0.1


@pytest.fixture
def found_limits(v100: RealNode) -> Iterator[None]:
    """Limits are afterwards as they were."""
    yield
    for uuid in v100.gpus.uuids:
        v100.gpus.set_power_limit(uuid, v100.gpus.gpu(uuid).default_power_limit_watts)


def wait_for_load(gpus: GpuNodeControl, uuid: str) -> None:
    wait_until(lambda: gpus.gpu(uuid).utilization > 0.6, "a busy GPU", timeout_seconds=PATIENCE_SECONDS)


def wait_for_rest(gpus: GpuNodeControl, uuid: str) -> None:
    """Wait until nothing is drawn above idle for a second: a container's start is work, which ends in steps."""
    seen = []

    def rests() -> bool:
        seen.append(sum(gpus.truth(uuid).active_joules.values()))
        return gpus.gpu(uuid).utilization == 0 and len(seen) > 5 and seen[-1] == seen[-6]

    wait_until(rests, "an idle GPU", timeout_seconds=PATIENCE_SECONDS)


def wait_for_power(gpus: GpuNodeControl, uuid: str, limit_watts: float) -> None:
    """Wait until a GPU draws what was measured under the limit, for as long as it is busy."""

    def holds() -> bool:
        gpu = gpus.gpu(uuid)
        measured = curve(gpu.model).watts_at(limit_watts)
        expected = gpu.model.idle_watts + gpu.utilization * (measured - gpu.model.idle_watts)
        return gpu.average_watts == pytest.approx(expected, rel=0.05)

    wait_until(holds, f"the measured power at {limit_watts} W", timeout_seconds=PATIENCE_SECONDS)


def test_work_raises_the_watts_of_its_gpu_and_no_others(pods: Pods, v100: RealNode) -> None:
    gpus = v100.gpus
    uid = pods.start("busy", v100, busy=True)
    (uuid,) = pods.told("busy")["visible"]
    wait_for_load(gpus, uuid)
    wait_for_power(gpus, uuid, gpus.gpu(uuid).power_limit_watts)
    assert gpus.truth(uuid).active_joules[uid] > 0
    others = [gpus.gpu(other) for other in gpus.uuids if other != uuid]
    # One that a pod before this one held takes a moment to come down.
    wait_until(
        lambda: all(gpus.gpu(o.uuid).watts == pytest.approx(o.model.idle_watts, rel=0.05) for o in others),
        "the other GPUs are idle",
        timeout_seconds=PATIENCE_SECONDS,
    )
    assert all(uid not in gpus.truth(other.uuid).active_joules for other in others)


def test_an_idle_holder_has_the_idle_joules(pods: Pods, v100: RealNode) -> None:
    gpus = v100.gpus
    uid = pods.start("idle", v100)
    (uuid,) = pods.told("idle")["visible"]
    wait_for_rest(gpus, uuid)
    before = gpus.truth(uuid)
    wait_until(
        lambda: gpus.truth(uuid).idle_joules[uid] > before.idle_joules[uid] + 20,
        "idle joules of the holder",
        timeout_seconds=PATIENCE_SECONDS,
    )
    truth = gpus.truth(uuid)
    assert truth.active_joules[uid] - before.active_joules[uid] < 2
    assert truth.unattributed_joules == before.unattributed_joules
    parts = sum(truth.active_joules.values()) + sum(truth.idle_joules.values()) + truth.unattributed_joules
    assert parts == pytest.approx(truth.total_joules)


@pytest.mark.usefixtures("found_limits")
def test_a_lower_limit_slows_the_container_as_measured(pods: Pods, v100: RealNode) -> None:
    gpus = v100.gpus
    pods.start("slowed", v100, busy=True)
    (uuid,) = pods.told("slowed")["visible"]
    wait_for_load(gpus, uuid)
    group = pods.container("slowed").group
    assert group.quota().cpus == pytest.approx(CPU_LIMIT, rel=0.01)
    gpus.set_power_limit(uuid, LOW_LIMIT_WATTS)
    speed = curve(gpus.gpu(uuid).model).speed_at(LOW_LIMIT_WATTS)
    assert speed < 0.95
    wait_until(
        lambda: group.quota().cpus == pytest.approx(CPU_LIMIT * speed, rel=0.01), "a lower quota", timeout_seconds=20
    )
    wait_for_power(gpus, uuid, LOW_LIMIT_WATTS)
    gpus.set_power_limit(uuid, gpus.gpu(uuid).default_power_limit_watts)
    wait_until(lambda: group.quota().cpus == pytest.approx(CPU_LIMIT, rel=0.001), "the found quota", timeout_seconds=20)
