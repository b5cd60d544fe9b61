"""A job's fixed operating point is set on its GPUs, told with numbers, and gone with the job."""

from __future__ import annotations

import pytest

from tests.e2e.agent.conftest import GpuSite
from tests.e2e.agent.jobs import gpu_job
from tests.e2e.agents import Agents
from tests.e2e.namespace import Namespace, condition


def test_set_while_the_job_runs_and_restored_when_it_ends(agents: Agents, v100: GpuSite, namespace: Namespace) -> None:
    namespace.submit(gpu_job("train", v100.node, watts=150, seconds=8))

    uuid = v100.wait_until_capped(150)
    job = namespace.wait_for_job("train", lambda job: _verdict(job) == "PointConfirmed", "the point is confirmed")
    [place] = job["status"]["placement"]
    assert place["gpuUuids"] == [uuid]
    assert place["operatingPoint"] == {"powerLimitWatts": 150}
    told = condition(job, "OperatingPointSet") or {}
    assert told["message"] == "1 GPU at 150 W; found at 230 W"
    assert namespace.wait_for_event("train", "OperatingPoint")["message"] == told["message"]
    assert v100.capped() == [uuid], "only the job's own GPU is touched"

    namespace.wait_for_phase("train", "Succeeded")
    v100.wait_until_restored()
    power = agents.wait_for_power(v100.node, lambda power: power["status"]["cappedGpus"] == 0, "nothing is capped")
    assert not power["spec"].get("pods")


def test_clocks_are_locked_and_unlocked(agents: Agents, v100: GpuSite, namespace: Namespace) -> None:
    namespace.submit(gpu_job("train", v100.node, clock="1000MHz"))
    v100.wait_until(lambda: bool(v100.capped()), "clocks are locked")
    [uuid] = v100.capped()
    gpu = v100.gpus.gpu(uuid)
    assert gpu.locked_clocks_mhz is not None
    assert 990 <= gpu.locked_clocks_mhz[1] <= 1000, "the next lower clock that the board knows"
    assert gpu.power_limit_watts == v100.found_watts
    namespace.delete_job("train")
    v100.wait_until_restored()


def test_a_point_that_the_board_does_not_take_is_refused_whole(
    agents: Agents, v100: GpuSite, namespace: Namespace
) -> None:
    calls = len(v100.gpus.calls())
    namespace.submit(gpu_job("train", v100.node, watts=50))
    job = namespace.wait_for_job("train", lambda job: _verdict(job) == "PointRefused", "the point is refused")
    message = (condition(job, "OperatingPointSet") or {})["message"]
    assert "50" in message
    assert "100" in message, "it names the range"
    assert not v100.capped()
    assert len(v100.gpus.calls()) == calls, "nothing was even tried"


@pytest.mark.parametrize("mode", ["Auto", "None"])
def test_a_job_of_which_nothing_is_known_touches_nothing(
    mode: str, agents: Agents, v100: GpuSite, namespace: Namespace
) -> None:
    calls = len(v100.gpus.calls())
    namespace.submit(gpu_job("train", v100.node, seconds=3).spec(energy={"operatingPoint": {"mode": mode}}))
    job = namespace.wait_for_job("train", lambda job: _gpus(job) != [None], "its GPU is known")
    assert _verdict(job) in {"None"} | ({"PointAsFound"} if mode == "Auto" else set())
    namespace.wait_for_phase("train", "Succeeded")
    assert len(v100.gpus.calls()) == calls


def _verdict(job: dict[str, object]) -> str:
    return str((condition(job, "OperatingPointSet") or {}).get("reason"))


def _gpus(job: dict[str, dict[str, list[dict[str, object]]]]) -> list[object]:
    return [place.get("gpuUuids") for place in job.get("status", {}).get("placement", [{}])] or [None]
