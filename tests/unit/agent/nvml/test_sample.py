"""A sample takes few calls, does without what the board does not tell, and fails only if the board is gone."""

from __future__ import annotations

from itertools import count
from types import SimpleNamespace

import pynvml  # type: ignore[import-untyped]
import pytest

from ballast.agent.device import DeviceError, DeviceLost, DriverGone, ProcessUsage, Sample, Throttle
from ballast.agent.nvml.values import throttles
from tests.unit.agent.nvml.recorded import NOT_SUPPORTED, Code, RecordedNvml, device

TIMEOUT = Code(pynvml.NVML_ERROR_TIMEOUT)


def test_a_sample_in_base_units() -> None:
    assert device(RecordedNvml(), clock=lambda: 17.0).sample() == Sample(
        at=17.0,
        energy_joules=1234.567,
        power_watts=71.5,
        power_limit_watts=300.0,
        clock_hertz=1_725_000_000,
        memory_clock_hertz=1_725_000_000,
        temperature_celsius=41.0,
        utilization=0.25,
        throttle=frozenset({Throttle.POWER_LIMIT}),
    )


def test_reading_energy_is_two_calls() -> None:
    nvml = RecordedNvml()
    sample = device(nvml).read_energy()
    assert (sample.energy_joules, sample.power_watts) == (1234.567, 71.5)
    assert nvml.names() == ["nvmlDeviceGetTotalEnergyConsumption", "nvmlDeviceGetPowerUsage"]


def test_a_slow_counter_is_dated_in_the_middle_of_its_call() -> None:
    ticks = count(100, 4)
    assert device(RecordedNvml(), clock=lambda: float(next(ticks))).read_energy().at == 102.0


def test_what_is_not_supported_is_asked_once_only() -> None:
    nvml = RecordedNvml(nvmlDeviceGetUtilizationRates=NOT_SUPPORTED, nvmlDeviceGetTotalEnergyConsumption=NOT_SUPPORTED)
    gpu = device(nvml)
    first = gpu.sample()
    assert first.utilization is None
    assert first.energy_joules is None
    assert first.power_watts == 71.5
    nvml.calls.clear()
    gpu.sample()
    names = nvml.names()
    assert "nvmlDeviceGetUtilizationRates" not in names
    assert "nvmlDeviceGetTotalEnergyConsumption" not in names


def test_describing_tries_out_again() -> None:
    nvml = RecordedNvml(nvmlDeviceGetTotalEnergyConsumption=NOT_SUPPORTED)
    gpu = device(nvml)
    assert gpu.read_energy().energy_joules is None
    nvml.answers["nvmlDeviceGetTotalEnergyConsumption"] = 5000
    gpu.describe()
    assert gpu.read_energy().energy_joules == 5.0


def test_a_part_that_fails_for_now_is_missing_and_asked_again() -> None:
    nvml = RecordedNvml(nvmlDeviceGetTemperature=TIMEOUT)
    gpu = device(nvml)
    assert gpu.sample().temperature_celsius is None
    nvml.answers["nvmlDeviceGetTemperature"] = 50
    assert gpu.sample().temperature_celsius == 50.0


def test_an_energy_counter_that_fails_for_now_fails_the_sample() -> None:
    """A sample without it would look like a board that has none."""
    gpu = device(RecordedNvml(nvmlDeviceGetTotalEnergyConsumption=TIMEOUT))
    with pytest.raises(DeviceError, match="Timeout"):
        gpu.sample()


@pytest.mark.parametrize(
    ("code", "error"),
    [(pynvml.NVML_ERROR_GPU_IS_LOST, DeviceLost), (pynvml.NVML_ERROR_UNINITIALIZED, DriverGone)],
)
@pytest.mark.parametrize("call", ["nvmlDeviceGetTemperature", "nvmlDeviceGetPowerUsage"])
def test_a_board_that_is_gone_fails_the_sample(call: str, code: int, error: type[DeviceError]) -> None:
    gpu = device(RecordedNvml(**{call: Code(code)}))
    with pytest.raises(error):
        gpu.sample()


def test_an_old_driver_knows_throttle_reasons_by_their_old_name() -> None:
    nvml = RecordedNvml(nvmlDeviceGetCurrentClocksEventReasons=Code(pynvml.NVML_ERROR_FUNCTION_NOT_FOUND))
    gpu = device(nvml)
    assert gpu.sample().throttle == {Throttle.IDLE}
    nvml.calls.clear()
    assert gpu.sample().throttle == {Throttle.IDLE}
    assert "nvmlDeviceGetCurrentClocksEventReasons" not in nvml.names()


@pytest.mark.parametrize(
    ("reasons", "expected"),
    [
        (0, set()),
        (pynvml.nvmlClocksEventReasonApplicationsClocksSetting, {Throttle.CLOCKS}),
        (pynvml.nvmlClocksEventReasonHwThermalSlowdown | pynvml.nvmlClocksEventReasonHwSlowdown,
         {Throttle.THERMAL, Throttle.HARDWARE}),
        (pynvml.nvmlClocksEventReasonHwPowerBrakeSlowdown, {Throttle.HARDWARE}),
        (pynvml.nvmlClocksEventReasonSwThermalSlowdown, {Throttle.THERMAL}),
        (pynvml.nvmlClocksEventReasonSyncBoost, {Throttle.OTHER}),
        (1 << 40 | pynvml.nvmlClocksEventReasonGpuIdle, {Throttle.OTHER, Throttle.IDLE}),
    ],
)  # fmt: skip
def test_throttle_reasons(reasons: int, expected: set[Throttle]) -> None:
    assert throttles(reasons) == expected


def test_usage_of_processes_is_the_mean_of_their_samples() -> None:
    def used(pid: int, at: int, percent: int) -> SimpleNamespace:
        return SimpleNamespace(pid=pid, timeStamp=at, smUtil=percent)

    nvml = RecordedNvml(
        nvmlDeviceGetProcessUtilization=[
            used(7, 2000, 40),
            used(7, 3000, 60),
            used(8, 2500, 10),
            used(0, 2500, 10),  # drivers leave slots empty,
            used(9, 1000, 10),  # give what was told before,
            used(10, 2500, 4_000_000),  # or what was in memory
        ]
    )
    gpu = device(nvml)
    assert gpu.usage_since(1000) == (ProcessUsage(7, 3000, 0.5), ProcessUsage(8, 2500, 0.1))
    assert nvml.calls == [("nvmlDeviceGetProcessUtilization", "a handle", 1000)]


@pytest.mark.parametrize("code", [pynvml.NVML_ERROR_NOT_FOUND, pynvml.NVML_SUCCESS])
def test_no_sample_of_any_process_is_no_usage(code: int) -> None:
    assert device(RecordedNvml(nvmlDeviceGetProcessUtilization=Code(code))).usage_since(0) == ()


def test_an_old_driver_tells_processes_by_its_own_version_of_the_call() -> None:
    nvml = RecordedNvml(
        nvmlDeviceGetComputeRunningProcesses_v3=Code(pynvml.NVML_ERROR_FUNCTION_NOT_FOUND),
        nvmlDeviceGetComputeRunningProcesses_v2=[
            SimpleNamespace(pid=5, gpuInstanceId=0xFFFFFFFF, computeInstanceId=0xFFFFFFFF)
        ],
    )
    gpu = device(nvml)
    assert [process.pid for process in gpu.processes()] == [5]
    nvml.calls.clear()
    gpu.processes()
    assert nvml.names() == ["nvmlDeviceGetComputeRunningProcesses_v2"]
