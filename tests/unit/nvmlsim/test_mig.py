"""A GPU that is divided by MIG."""

from __future__ import annotations

from pathlib import Path

import pynvml  # type: ignore[import-untyped]
import pytest

from tests.nvmlsim.boards import A100, V100
from tests.nvmlsim.simulator import Load, Simulator
from tests.unit.nvmlsim.builders import A100_INDEX, H100_INDEX, handle, refused


def test_mig_devices_tell_their_slices(sim: Simulator) -> None:
    gpu = handle(sim, A100_INDEX)
    assert pynvml.nvmlDeviceGetMaxMigDeviceCount(gpu) == 7
    devices = [pynvml.nvmlDeviceGetMigDeviceHandleByIndex(gpu, index) for index in range(3)]
    assert tuple(pynvml.nvmlDeviceGetUUID(device) for device in devices) == sim.mig_uuids(sim.uuids[A100_INDEX])
    attributes = [pynvml.nvmlDeviceGetAttributes_v2(device) for device in devices]
    assert [one.gpuInstanceSliceCount for one in attributes] == [3, 2, 1]
    assert [one.computeInstanceSliceCount for one in attributes] == [3, 2, 1]
    assert [one.memorySizeMB // 1024 for one in attributes] == [40, 20, 10]
    assert [pynvml.nvmlDeviceGetName(device).split()[-1] for device in devices] == ["3g.40gb", "2g.20gb", "1g.10gb"]
    assert len({pynvml.nvmlDeviceGetGpuInstanceId(device) for device in devices}) == 3
    assert {pynvml.nvmlDeviceGetComputeInstanceId(device) for device in devices} == {0}
    assert all(pynvml.nvmlDeviceIsMigDeviceHandle(device).value for device in devices)
    with refused(pynvml.NVML_ERROR_NOT_FOUND):
        pynvml.nvmlDeviceGetMigDeviceHandleByIndex(gpu, 3)


def test_a_mig_device_is_found_by_its_uuid_and_knows_its_gpu(sim: Simulator) -> None:
    device = pynvml.nvmlDeviceGetHandleByUUID(sim.mig_uuids(sim.uuids[A100_INDEX])[1])
    gpu = pynvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(device)
    assert pynvml.nvmlDeviceGetUUID(gpu) == sim.uuids[A100_INDEX]
    with refused(pynvml.NVML_ERROR_INVALID_ARGUMENT):
        pynvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(gpu)


def test_power_is_told_by_the_gpu_only(sim: Simulator) -> None:
    device = pynvml.nvmlDeviceGetMigDeviceHandleByIndex(handle(sim, A100_INDEX), 0)
    for call in (
        pynvml.nvmlDeviceGetPowerUsage,
        pynvml.nvmlDeviceGetTotalEnergyConsumption,
        pynvml.nvmlDeviceGetPowerManagementLimit,
    ):
        with refused(pynvml.NVML_ERROR_NOT_SUPPORTED):
            call(device)


def test_a_divided_gpu_accounts_for_no_process(sim: Simulator) -> None:
    """Neither its utilization nor that of its processes."""
    for call in (pynvml.nvmlDeviceGetUtilizationRates, lambda gpu: pynvml.nvmlDeviceGetProcessUtilization(gpu, 0)):
        with refused(pynvml.NVML_ERROR_NOT_SUPPORTED):
            call(handle(sim, A100_INDEX))


def test_processes_show_on_their_mig_device(sim: Simulator) -> None:
    uuid = sim.uuids[A100_INDEX]
    first, second, _ = sim.mig_uuids(uuid)
    sim.set_load(uuid, [Load("a", pids=(1,), mig_device=first), Load("b", pids=(2,), mig_device=second)])
    whole = pynvml.nvmlDeviceGetComputeRunningProcesses(handle(sim, A100_INDEX))
    part = pynvml.nvmlDeviceGetComputeRunningProcesses(pynvml.nvmlDeviceGetHandleByUUID(second))
    assert [process.pid for process in whole] == [1, 2]
    assert [process.pid for process in part] == [2]
    assert part[0].gpuInstanceId == pynvml.nvmlDeviceGetGpuInstanceId(pynvml.nvmlDeviceGetHandleByUUID(second))


def test_idle_watts_of_free_slices_belong_to_nobody(sim: Simulator) -> None:
    """3 and 1 of 7 slices are held: 4/7 of 60 W have owners."""
    uuid = sim.uuids[A100_INDEX]
    first, _, third = sim.mig_uuids(uuid)
    sim.set_load(uuid, [Load("a", demand=1.0, mig_device=first), Load("b", demand=0.0, mig_device=third)])
    sim.advance(70.0)
    truth = sim.truth(uuid)
    assert truth.idle_joules == pytest.approx({"a": 1800.0, "b": 600.0})
    assert truth.unattributed_joules == pytest.approx(1800.0)
    assert truth.active_joules["b"] == 0.0
    assert truth.active_joules["a"] > 0.0


def test_the_limit_binds_all_mig_devices_together(sim: Simulator) -> None:
    """At full load on 6 of 7 slices the board keeps its limit, whatever the loads are."""
    uuid = sim.uuids[A100_INDEX]
    sim.set_power_limit(uuid, 200.0)
    sim.set_load(uuid, [Load(str(place), mig_device=device) for place, device in enumerate(sim.mig_uuids(uuid))])
    sim.advance(5.0)
    assert sim.gpu(uuid).watts == pytest.approx(200.0, rel=0.01)
    sim.set_load(uuid, [Load("a", mig_device=sim.mig_uuids(uuid)[2])])
    sim.advance(5.0)
    assert sim.gpu(uuid).watts == pytest.approx(60.0 + (360.0 - 60.0) / 7, rel=0.01)
    assert sim.speed(uuid, "a") == pytest.approx(1.0)


def test_a_load_must_say_on_which_mig_device_it_is(sim: Simulator) -> None:
    with pytest.raises(ValueError, match="MIG device None"):
        sim.set_load(sim.uuids[A100_INDEX], [Load("a")])
    with pytest.raises(ValueError, match="not divided"):
        sim.set_load(sim.uuids[H100_INDEX], [Load("a", mig_device=sim.mig_uuids(sim.uuids[A100_INDEX])[0])])


@pytest.mark.parametrize(("board", "slices"), [(V100, (1,)), (A100, (4, 4)), (A100, (5,))])
def test_a_board_is_divided_only_as_it_can_be(tmp_path: Path, board: object, slices: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="compute slices"):
        Simulator.create(tmp_path / "state", [board], mig={0: slices})  # type: ignore[list-item]
