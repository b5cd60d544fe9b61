"""Beginning, ending, and the driver going away meanwhile."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pynvml  # type: ignore[import-untyped]
import pytest

from tests.nvmlsim.boards import A40, V100, BoardModel
from tests.nvmlsim.faults import Fault
from tests.nvmlsim.simulator import Load, Simulator
from tests.nvmlsim.state import State, StateError
from tests.nvmlsim.testing import nvml
from tests.unit.nvmlsim.builders import V100_INDEX, handle, only_root, refused


def test_nothing_is_told_before_init_and_after_shutdown(tmp_path: Path) -> None:
    """Shutdown counts: the session ends with the last one."""
    with nvml(tmp_path, [V100]):
        pynvml.nvmlInit()
        pynvml.nvmlInit()
        pynvml.nvmlShutdown()
        assert pynvml.nvmlDeviceGetCount() == 1
        pynvml.nvmlShutdown()
        for call in (pynvml.nvmlDeviceGetCount, pynvml.nvmlShutdown):
            with refused(pynvml.NVML_ERROR_UNINITIALIZED):
                call()


def test_without_a_state_file_there_is_no_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with nvml(tmp_path, [V100]):
        monkeypatch.setenv("NVMLSIM_STATE", str(tmp_path / "nowhere"))
        with refused(pynvml.NVML_ERROR_DRIVER_NOT_LOADED):
            pynvml.nvmlInit()


def test_a_file_that_is_no_state_is_another_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with nvml(tmp_path, [V100]):
        (tmp_path / "other").write_bytes(b"something else")
        monkeypatch.setenv("NVMLSIM_STATE", str(tmp_path / "other"))
        with refused(pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH):
            pynvml.nvmlInit()


@only_root
def test_a_driver_reset_voids_handles_and_what_was_set(sim: Simulator) -> None:
    """Limits are the defaults again, locks gone, counters at zero; the next session sees the boards."""
    device, uuid = handle(sim, V100_INDEX), sim.uuids[V100_INDEX]
    pynvml.nvmlDeviceSetPowerManagementLimit(device, 150_000)
    pynvml.nvmlDeviceSetGpuLockedClocks(device, 135, 900)
    sim.advance(1.0)
    sim.inject(None, Fault.driver_reset())
    for call in (pynvml.nvmlDeviceGetCount, lambda: pynvml.nvmlDeviceGetPowerUsage(device), lambda: handle(sim, 0)):
        with refused(pynvml.NVML_ERROR_UNINITIALIZED):
            call()
    pynvml.nvmlShutdown()
    pynvml.nvmlInit()
    with refused(pynvml.NVML_ERROR_INVALID_ARGUMENT):
        pynvml.nvmlDeviceGetPowerUsage(device)
    assert pynvml.nvmlDeviceGetTotalEnergyConsumption(handle(sim, V100_INDEX)) == 0
    board = sim.gpu(uuid)
    assert (board.power_limit_watts, board.locked_clocks_mhz, board.energy_joules) == (250.0, None, 0.0)


def test_while_the_driver_is_unloaded_no_session_begins(sim: Simulator) -> None:
    sim.inject(None, Fault.driver_unloaded())
    with refused(pynvml.NVML_ERROR_UNINITIALIZED):
        pynvml.nvmlDeviceGetCount()
    pynvml.nvmlShutdown()
    with refused(pynvml.NVML_ERROR_DRIVER_NOT_LOADED):
        pynvml.nvmlInit()
    sim.clear_faults()
    pynvml.nvmlInit()
    assert pynvml.nvmlDeviceGetCount() == 4


def test_boards_that_are_replaced_void_old_sessions(sim: Simulator) -> None:
    """A node that boots anew with other boards: the state file is written again under its clients."""
    with Simulator.create(sim.path, [A40]) as other:
        with refused(pynvml.NVML_ERROR_UNINITIALIZED):
            pynvml.nvmlDeviceGetCount()
        pynvml.nvmlShutdown()
        pynvml.nvmlInit()
        assert pynvml.nvmlDeviceGetName(handle(other, 0)) == A40.name


def test_a_state_file_that_was_removed_first_is_seen_too(sim: Simulator) -> None:
    """Who has the old one mapped keeps its boards until the next session begins."""
    sim.path.unlink()
    with Simulator.create(sim.path, [A40]):
        assert pynvml.nvmlDeviceGetCount() == 4
        pynvml.nvmlShutdown()
        pynvml.nvmlInit()
        assert pynvml.nvmlDeviceGetCount() == 1


def test_whoever_attaches_sees_and_does_the_same(sim: Simulator) -> None:
    """Nothing is kept in the object: loads, faults and time are those of the boards."""
    uuid = sim.uuids[V100_INDEX]
    with Simulator.attach(sim.path) as other:
        other.set_load(uuid, [Load("a")])
        other.advance(2.0)
        sim.advance(1.0)
        assert sim.now_seconds == other.now_seconds == 3.0
        assert sim.truth(uuid) == other.truth(uuid)
        other.inject(uuid, Fault.lost())
    assert sim.gpu(uuid).lost


def test_a_state_of_another_layout_makes_way(sim: Simulator) -> None:
    """Left by another version of this code: a new file takes its place, and who has it mapped sees no driver."""
    with State.open(sim.path).locked() as block:
        block.layout = 99
    with Simulator.create(sim.path, [A40]):
        with refused(pynvml.NVML_ERROR_UNINITIALIZED):
            pynvml.nvmlDeviceGetCount()
        pynvml.nvmlShutdown()
        pynvml.nvmlInit()
        assert pynvml.nvmlDeviceGetCount() == 1


@pytest.mark.parametrize("content", [None, b"", b"something else"])
def test_there_is_nothing_to_attach_to(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "state"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StateError, match=str(path)):
        Simulator.attach(path)


@pytest.mark.parametrize("boards", [[], [V100] * 17, [replace(V100, name="Tesla V101")]])
def test_a_node_has_boards_that_there_are(tmp_path: Path, boards: list[BoardModel]) -> None:
    with pytest.raises(ValueError, match=r"1 to 16|none of the boards"):
        Simulator.create(tmp_path / "state", boards)
