"""A node without a driver has no GPUs; a driver that was reloaded is opened anew, and old devices stay dead."""

from __future__ import annotations

import logging

import pynvml  # type: ignore[import-untyped]
import pytest

from ballast.agent.device import DriverGone
from tests.unit.agent.nvml.recorded import UUID, Code, RecordedNvml, driver

LOST = Code(pynvml.NVML_ERROR_GPU_IS_LOST)


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        (pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, "libnvidia-ml.so.1"),
        (pynvml.NVML_ERROR_DRIVER_NOT_LOADED, "modprobe nvidia"),
        (pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH, "restart"),
    ],
)
def test_without_a_driver_there_are_no_gpus_and_a_reason(code: int, remedy: str) -> None:
    opened = driver(RecordedNvml(nvmlInit=Code(code)))
    assert opened.version is None
    assert opened.devices() == ()
    assert opened.problem is not None
    assert remedy in opened.problem
    with pytest.raises(DriverGone, match=remedy):
        opened.reopen()
    opened.close()


def test_a_driver_that_comes_later_is_found() -> None:
    nvml = RecordedNvml(nvmlInit=Code(pynvml.NVML_ERROR_DRIVER_NOT_LOADED))
    opened = driver(nvml)
    nvml.answers["nvmlInit"] = None
    opened.reopen()
    assert opened.version == "580.95.05"
    assert opened.problem is None
    assert [device.uuid for device in opened.devices()] == [UUID]


def test_reopening_shuts_down_first() -> None:
    nvml = RecordedNvml()
    opened = driver(nvml)
    nvml.calls.clear()
    opened.reopen()
    assert nvml.names() == ["nvmlShutdown", "nvmlInit", "nvmlSystemGetDriverVersion"]


def test_reopening_gets_over_a_shutdown_that_fails() -> None:
    nvml = RecordedNvml(nvmlShutdown=Code(pynvml.NVML_ERROR_UNINITIALIZED))
    opened = driver(nvml)
    opened.reopen()
    assert opened.devices()


def test_old_devices_do_not_ask_the_driver_any_more() -> None:
    """NVML would follow a handle that is void into freed memory."""
    nvml = RecordedNvml()
    opened = driver(nvml)
    [old] = opened.devices()
    opened.reopen()
    nvml.calls.clear()
    for use in (old.read_energy, old.sample, old.describe, old.processes, old.unlock_clocks, old.power_limit_watts):
        with pytest.raises(DriverGone, match="anew"):
            use()
    assert nvml.calls == []
    [new] = opened.devices()
    assert new.power_limit_watts() == 300.0


def test_closing_shuts_down_once() -> None:
    nvml = RecordedNvml()
    opened = driver(nvml)
    nvml.calls.clear()
    opened.close()
    opened.close()
    assert nvml.names() == ["nvmlShutdown"]
    assert opened.devices() == ()


def test_a_gpu_that_does_not_answer_is_left_out_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    def handle(index: int) -> str:
        if index == 1:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)
        return f"handle {index}"

    nvml = RecordedNvml(
        nvmlDeviceGetCount=3, nvmlDeviceGetHandleByIndex=handle, nvmlDeviceGetUUID=lambda it: f"GPU-{it[-1]}"
    )
    opened = driver(nvml)
    with caplog.at_level(logging.WARNING):
        assert [device.uuid for device in opened.devices()] == ["GPU-0", "GPU-2"]
        opened.devices()
    assert len(caplog.records) == 1


def test_a_driver_that_was_unloaded_says_so() -> None:
    nvml = RecordedNvml()
    opened = driver(nvml)
    nvml.answers["nvmlDeviceGetCount"] = Code(pynvml.NVML_ERROR_UNINITIALIZED)
    with pytest.raises(DriverGone):
        opened.devices()


def test_a_gpu_stays_the_same_object_and_remembers_what_it_does_not_support() -> None:
    nvml = RecordedNvml(nvmlDeviceGetTemperature=Code(pynvml.NVML_ERROR_NOT_SUPPORTED))
    opened = driver(nvml)
    [gpu] = opened.devices()
    gpu.sample()
    nvml.answers["nvmlDeviceGetHandleByIndex"] = "another handle"
    [again] = opened.devices()
    assert again is gpu
    nvml.calls.clear()
    again.sample()
    assert "nvmlDeviceGetTemperature" not in [call[0] for call in nvml.calls]
    assert {call[1] for call in nvml.calls} == {"another handle"}


def test_a_driver_that_goes_while_gpus_are_listed_says_so() -> None:
    """Otherwise it would look as if each GPU had broken by itself."""
    nvml = RecordedNvml()
    opened = driver(nvml)
    nvml.answers["nvmlDeviceGetUUID"] = Code(pynvml.NVML_ERROR_UNINITIALIZED)
    with pytest.raises(DriverGone):
        opened.devices()
