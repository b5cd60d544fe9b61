"""Power, energy and their owners as time passes, read through `pynvml`."""

from __future__ import annotations

import pynvml  # type: ignore[import-untyped]
import pytest

from tests.nvmlsim import curves, physics
from tests.nvmlsim.boards import A40, V100
from tests.nvmlsim.simulator import Load, Simulator
from tests.unit.nvmlsim.builders import (
    A40_INDEX,
    A100_INDEX,
    H100_INDEX,
    V100_INDEX,
    handle,
    needs_data,
    refused,
)

RESNET = "imagenet/resnet50/128/adadelta"


def _milliwatts(sim: Simulator, index: int, field: int) -> int:
    (value,) = pynvml.nvmlDeviceGetFieldValues(handle(sim, index), [field])
    assert value.nvmlReturn == pynvml.NVML_SUCCESS
    return int(value.value.uiVal)


def test_the_counter_is_the_integral_of_power(sim: Simulator) -> None:
    """Summed over fine steps of a changing load and limit, it agrees to half a percent."""
    uuid, device = sim.uuids[V100_INDEX], handle(sim, V100_INDEX)
    summed, before = 0.0, sim.gpu(uuid).watts
    for step in range(600):
        if not step % 100:
            sim.set_load(uuid, [Load("a", demand=(step // 100 % 3) / 2)])
            sim.set_power_limit(uuid, 100.0 + step / 4)
        sim.advance(0.1)
        present = sim.gpu(uuid).watts
        summed, before = summed + 0.1 * (before + present) / 2, present
    counted = pynvml.nvmlDeviceGetTotalEnergyConsumption(device) / 1000
    assert counted == pytest.approx(summed, rel=5e-3)
    assert counted == pytest.approx(sim.truth(uuid).total_joules, abs=1e-3)


def test_the_energy_of_a_step_is_the_exact_integral_of_its_power() -> None:
    """From 200 W to 50 W in 0.3 s: against ten thousand rectangles."""
    powers = [physics.follow(200.0, 50.0, (place + 0.5) * 0.3e-4)[0] for place in range(10_000)]
    reached, joules = physics.follow(200.0, 50.0, 0.3)
    assert joules == pytest.approx(sum(powers) * 0.3e-4, rel=1e-6)
    assert 50.0 < reached < powers[-1] < powers[0] < 200.0


def test_steps_of_any_size_give_the_same_joules(sim: Simulator) -> None:
    uuid, other = sim.uuids[V100_INDEX], sim.uuids[A40_INDEX]
    sim.set_load(uuid, [Load("a")])
    for _ in range(100):
        sim.advance(0.037)
    by_small_steps = sim.truth(uuid).total_joules
    with Simulator.create(sim.path, [V100]) as again:
        again.set_load(again.uuids[0], [Load("a")])
        again.advance(3.7)
        assert again.truth(again.uuids[0]).total_joules == pytest.approx(by_small_steps)
    assert other != uuid


def test_counter_and_power_move_every_hundred_milliseconds(sim: Simulator) -> None:
    """In between they stand still, though energy is drawn."""
    uuid, device = sim.uuids[V100_INDEX], handle(sim, V100_INDEX)
    sim.set_load(uuid, [Load("a")])
    seen = []
    for _ in range(40):
        sim.advance(0.01)
        seen.append(pynvml.nvmlDeviceGetTotalEnergyConsumption(device))
    assert len(set(seen)) == 5
    assert seen[8] == 0
    assert seen[9] == seen[18] > 0
    assert sim.truth(uuid).total_joules > 0


def test_power_is_averaged_over_a_second_where_boards_do_that(sim: Simulator) -> None:
    """Half a second into full load the A40 tells half of it, by call and by field; the V100 and the A100 what is."""
    for index in (V100_INDEX, A40_INDEX):
        sim.set_load(sim.uuids[index], [Load("a")])
    sim.advance(2.0)
    for index in (V100_INDEX, A40_INDEX):
        sim.set_load(sim.uuids[index], [])
    sim.advance(0.5)
    full = curves.curve(A40).watts_at(300) * 1000
    averaged = pynvml.nvmlDeviceGetPowerUsage(handle(sim, A40_INDEX))
    assert averaged == pytest.approx((full + 30_000) / 2, rel=0.01)
    assert _milliwatts(sim, A40_INDEX, pynvml.NVML_FI_DEV_POWER_AVERAGE) == averaged
    assert _milliwatts(sim, A40_INDEX, pynvml.NVML_FI_DEV_POWER_INSTANT) == 30_000
    assert pynvml.nvmlDeviceGetPowerUsage(handle(sim, V100_INDEX)) == 25_000
    for index in (V100_INDEX, A100_INDEX):
        (value,) = pynvml.nvmlDeviceGetFieldValues(handle(sim, index), [pynvml.NVML_FI_DEV_POWER_AVERAGE])
        assert value.nvmlReturn == pynvml.NVML_ERROR_NOT_SUPPORTED


def test_fields_tell_what_the_calls_tell(sim: Simulator) -> None:
    sim.set_power_limit(sim.uuids[H100_INDEX], 400.0)
    sim.advance(1.0)
    assert _milliwatts(sim, H100_INDEX, pynvml.NVML_FI_DEV_POWER_MIN_LIMIT) == 200_000
    assert _milliwatts(sim, H100_INDEX, pynvml.NVML_FI_DEV_POWER_MAX_LIMIT) == 700_000
    assert _milliwatts(sim, H100_INDEX, pynvml.NVML_FI_DEV_POWER_DEFAULT_LIMIT) == 700_000
    assert _milliwatts(sim, H100_INDEX, pynvml.NVML_FI_DEV_POWER_CURRENT_LIMIT) == 400_000
    energy, unknown = pynvml.nvmlDeviceGetFieldValues(
        handle(sim, H100_INDEX), [pynvml.NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION, 1]
    )
    assert energy.value.ullVal == 70_000
    assert unknown.nvmlReturn == pynvml.NVML_ERROR_NOT_SUPPORTED


@pytest.mark.parametrize("limit", [100.0, 125.0, 140.0, 250.0])
def test_watts_and_speed_follow_the_curve(sim: Simulator, limit: float) -> None:
    uuid = sim.uuids[V100_INDEX]
    sim.set_load(uuid, [Load("a", workload=RESNET)])
    sim.set_power_limit(uuid, limit)
    sim.advance(5.0)
    curve = curves.curve(V100, RESNET)
    assert sim.speed(uuid, "a") == pytest.approx(curve.speed_at(limit))
    assert sim.gpu(uuid).watts == pytest.approx(curve.watts_at(limit), abs=1e-3)


@needs_data
def test_power_stays_above_a_lowered_limit_for_a_moment(sim: Simulator) -> None:
    """Two tenths of a second later it is still above; a second later it is where it settles."""
    uuid = sim.uuids[V100_INDEX]
    sim.set_load(uuid, [Load("a", workload=RESNET)])
    sim.advance(5.0)
    sim.set_power_limit(uuid, 125.0)
    watts = []
    for _ in range(10):
        sim.advance(0.1)
        watts.append(sim.gpu(uuid).watts)
    assert watts == sorted(watts, reverse=True)
    assert watts[1] > 125.0
    assert watts[-1] == pytest.approx(curves.curve(V100, RESNET).watts_at(125.0), rel=1e-3)


@needs_data
def test_an_a40_at_its_lowest_limit_draws_more_than_it(sim: Simulator) -> None:
    """As measured: a cap is not a ceiling."""
    uuid = sim.uuids[A40_INDEX]
    sim.set_load(uuid, [Load("a", workload=RESNET)])
    sim.set_power_limit(uuid, 100.0)
    sim.advance(5.0)
    assert sim.gpu(uuid).watts == pytest.approx(114.7, abs=0.1)


def test_half_the_demand_draws_half_of_what_is_above_idle(sim: Simulator) -> None:
    uuid = sim.uuids[V100_INDEX]
    sim.set_load(uuid, [Load("a", demand=0.5)])
    sim.advance(5.0)
    full = curves.curve(V100).watts_at(250.0)
    assert sim.gpu(uuid).watts == pytest.approx(25.0 + (full - 25.0) / 2, abs=1e-3)
    assert sim.gpu(uuid).utilization == 0.5
    assert sim.speed(uuid, "a") == 1.0


def test_holders_that_want_more_than_there_is_take_turns(sim: Simulator) -> None:
    """Each has its share of the time, and of what is drawn above idle."""
    uuid = sim.uuids[V100_INDEX]
    sim.set_load(uuid, [Load("a", demand=1.0), Load("b", demand=0.5)])
    sim.advance(30.0)
    assert sim.speed(uuid, "a") == sim.speed(uuid, "b") == pytest.approx(2 / 3)
    truth = sim.truth(uuid)
    assert truth.active_joules["a"] == pytest.approx(2 * truth.active_joules["b"])
    assert sim.gpu(uuid).watts == pytest.approx(curves.curve(V100).watts_at(250.0), abs=1e-3)
    assert sim.gpu(uuid).utilization == 1.0


def test_every_joule_has_one_owner(sim: Simulator) -> None:
    """Whole, shared and free for a while each: active, idle and unattributed add up to what was drawn."""
    uuid = sim.uuids[V100_INDEX]
    for loads in ([Load("a")], [Load("a", demand=0.3), Load("b", demand=0.9)], [Load("b", demand=0.0)], []):
        sim.set_load(uuid, loads)
        sim.advance(10.0)
    truth = sim.truth(uuid)
    owned = sum(truth.active_joules.values()) + sum(truth.idle_joules.values())
    assert owned + truth.unattributed_joules == pytest.approx(truth.total_joules)
    assert truth.idle_joules == pytest.approx({"a": 250.0 + 125.0, "b": 125.0 + 250.0})
    assert truth.unattributed_joules == pytest.approx(250.0)


def test_locked_clocks_slow_and_save(sim: Simulator) -> None:
    """Of the limit and the lock, the tighter one binds, and the throttle reason says which."""
    uuid, device = sim.uuids[V100_INDEX], handle(sim, V100_INDEX)
    sim.set_load(uuid, [Load("a", workload=RESNET)])
    sim.advance(2.0)
    assert pynvml.nvmlDeviceGetCurrentClocksEventReasons(device) == 0
    free = sim.gpu(uuid)
    sim.lock_clocks(uuid, 135, 690)
    sim.advance(2.0)
    locked = sim.gpu(uuid)
    assert pynvml.nvmlDeviceGetClockInfo(device, pynvml.NVML_CLOCK_SM) == locked.clock_mhz == 690
    assert locked.watts < free.watts
    assert sim.speed(uuid, "a") == pytest.approx(curves.speed_at_clock(0.5))
    assert pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(device) == 0x2
    sim.unlock_clocks(uuid)
    sim.set_power_limit(uuid, 100.0)
    sim.advance(2.0)
    assert pynvml.nvmlDeviceGetCurrentClocksEventReasons(device) == pynvml.nvmlClocksEventReasonSwPowerCap
    assert sim.gpu(uuid).clock_mhz < 1380


def test_locked_memory_clocks_slow_and_save(sim: Simulator) -> None:
    uuid, device = sim.uuids[A40_INDEX], handle(sim, A40_INDEX)
    sim.set_load(uuid, [Load("a")])
    sim.advance(2.0)
    free, fast = sim.gpu(uuid), sim.speed(uuid, "a")
    sim.lock_memory_clocks(uuid, 405, 810)
    sim.advance(2.0)
    assert pynvml.nvmlDeviceGetClockInfo(device, pynvml.NVML_CLOCK_MEM) == 810
    assert sim.gpu(uuid).watts < free.watts
    assert sim.speed(uuid, "a") < fast


def test_an_idle_board_says_that_it_is(sim: Simulator) -> None:
    device = handle(sim, V100_INDEX)
    sim.advance(1.0)
    assert pynvml.nvmlDeviceGetPowerUsage(device) == 25_000
    assert pynvml.nvmlDeviceGetCurrentClocksEventReasons(device) == pynvml.nvmlClocksEventReasonGpuIdle
    assert pynvml.nvmlDeviceGetUtilizationRates(device).gpu == 0
    assert pynvml.nvmlDeviceGetPerformanceState(device) == pynvml.NVML_PSTATE_8
    assert pynvml.nvmlDeviceGetClockInfo(device, pynvml.NVML_CLOCK_SM) == 135


def test_an_idle_board_keeps_the_lowest_locked_clock(sim: Simulator) -> None:
    sim.lock_clocks(sim.uuids[V100_INDEX], 690, 900)
    sim.advance(1.0)
    assert pynvml.nvmlDeviceGetClockInfo(handle(sim, V100_INDEX), pynvml.NVML_CLOCK_SM) == 690


def test_a_busy_board_gets_warm(sim: Simulator) -> None:
    uuid, device = sim.uuids[V100_INDEX], handle(sim, V100_INDEX)
    sim.set_load(uuid, [Load("a")])
    temperatures = []
    for _ in range(5):
        sim.advance(20.0)
        temperatures.append(pynvml.nvmlDeviceGetTemperature(device, pynvml.NVML_TEMPERATURE_GPU))
    assert temperatures == sorted(temperatures)
    assert temperatures[0] < temperatures[-1] < 80


def test_processes_are_sampled_once_a_second(sim: Simulator) -> None:
    """Samples after a time; each process has an equal part of what its load used."""
    uuid, device = sim.uuids[V100_INDEX], handle(sim, V100_INDEX)
    with refused(pynvml.NVML_ERROR_NOT_FOUND):
        pynvml.nvmlDeviceGetProcessUtilization(device, 0)
    sim.set_load(uuid, [Load("a", pids=(11, 12), demand=0.5), Load("b", pids=(13,), demand=0.25)])
    sim.advance(2.0)
    first = pynvml.nvmlDeviceGetProcessUtilization(device, 0)
    assert sorted((sample.pid, sample.smUtil) for sample in first) == [(11, 25)] * 2 + [(12, 25)] * 2 + [(13, 25)] * 2
    newest = max(sample.timeStamp for sample in first)
    with refused(pynvml.NVML_ERROR_NOT_FOUND):
        pynvml.nvmlDeviceGetProcessUtilization(device, newest)
    sim.advance(1.0)
    later = pynvml.nvmlDeviceGetProcessUtilization(device, newest)
    assert {sample.timeStamp for sample in later} == {newest + 1_000_000}
    assert [sample.pid for sample in later] == [11, 12, 13]


def test_a_demand_is_a_share(sim: Simulator) -> None:
    with pytest.raises(ValueError, match="0 to 1"):
        sim.set_load(sim.uuids[0], [Load("a", demand=1.5)])


def test_who_does_not_hold_a_gpu_has_no_speed(sim: Simulator) -> None:
    with pytest.raises(KeyError, match="does not hold"):
        sim.speed(sim.uuids[0], "nobody")
