"""Each setter is exactly one setting call of NVML, with its units."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ballast.agent.device import OutOfRange
from ballast.agent.nvml.driver import NvmlDevice
from ballast.agent.nvml.values import MEGA, locked_range
from tests.unit.agent.nvml.recorded import RecordedNvml, device

CLOCKS = [210, 225, 1710, 1725, 1740]


@pytest.mark.parametrize(
    ("told", "call"),
    [
        (lambda gpu: gpu.set_power_limit(187.5), ("nvmlDeviceSetPowerManagementLimit", "a handle", 187_500)),
        (lambda gpu: gpu.set_power_limit(0.1 + 0.2), ("nvmlDeviceSetPowerManagementLimit", "a handle", 300)),
        (lambda gpu: gpu.lock_clocks(210 * MEGA, 1725 * MEGA), ("nvmlDeviceSetGpuLockedClocks", "a handle", 210, 1725)),
        (lambda gpu: gpu.unlock_clocks(), ("nvmlDeviceResetGpuLockedClocks", "a handle")),
        (lambda gpu: gpu.lock_memory_clock(405 * MEGA), ("nvmlDeviceSetMemoryLockedClocks", "a handle", 405, 405)),
        (lambda gpu: gpu.unlock_memory_clock(), ("nvmlDeviceResetMemoryLockedClocks", "a handle")),
    ],
)
def test_one_call_and_its_units(told: Callable[[NvmlDevice], None], call: tuple[object, ...]) -> None:
    nvml = RecordedNvml()
    told(device(nvml))
    changing = [made for made in nvml.calls if made[0].startswith(("nvmlDeviceSet", "nvmlDeviceReset"))]
    assert changing == [call]
    assert nvml.calls[-1] == call


@pytest.mark.parametrize(
    ("lowest", "highest", "locked"),
    [
        (210, 1740, (210, 1740)),
        (210, 1739, (210, 1725)),  # never above what was asked
        (300, 1725, (1710, 1725)),  # the next that it knows within the range
        (1, 225, (210, 225)),
        (1724, 1724, (1710, 1710)),  # between two clocks: both ends go down
        (1000, 5000, (1710, 1740)),
    ],
)
def test_only_clocks_that_the_gpu_knows_are_locked(lowest: int, highest: int, locked: tuple[int, int]) -> None:
    assert locked_range(CLOCKS, lowest * MEGA, highest * MEGA) == locked


def test_a_gpu_that_does_not_tell_its_clocks_gets_whole_megahertz() -> None:
    assert locked_range([], 300_500_000, 1_234_900_000) == (301, 1234)


@pytest.mark.parametrize("clocks", [CLOCKS, []])
def test_a_clock_below_all_is_refused_before_the_board_is_asked(clocks: list[int]) -> None:
    with pytest.raises(OutOfRange, match="ask for"):
        locked_range(clocks, 0, 900_000)


def test_an_empty_range_is_refused() -> None:
    with pytest.raises(OutOfRange, match="swap"):
        locked_range(CLOCKS, 1725 * MEGA, 210 * MEGA)
