"""A GPU by NVML: units, refusals in words, and that a simulated one is known as such."""

from __future__ import annotations

from pathlib import Path

import pytest

from frugal.sweep.errors import SweepError
from frugal.sweep.gpu import Gpu, is_simulated
from tests.nvmlsim.boards import A40, A100, V100
from tests.nvmlsim.faults import Fault
from tests.nvmlsim.simulator import Load
from tests.nvmlsim.testing import nvml
from tests.unit.frugal.sweep.builders import bench
from tests.unit.nvmlsim.builders import only_root


def test_it_is_read_in_watts_joules_and_megahertz(tmp_path: Path) -> None:
    with bench(tmp_path, A40) as one:
        assert (one.gpu.name, one.gpu.limits_watts) == ("NVIDIA A40", (100.0, 300.0))
        assert (one.gpu.clocks_mhz[0], one.gpu.clocks_mhz[-1]) == (210, 1740)
        before = one.gpu.energy_joules()
        one.simulator.advance(10.0)
        assert one.gpu.energy_joules() - before == pytest.approx(10 * A40.idle_watts, rel=0.01)
        assert not one.gpu.divided()
        one.simulator.set_load(one.uuid, [Load("x", pids=(4711, 4712))])
        assert one.gpu.processes() == {4711, 4712}


def test_a_gpu_is_found_by_index_and_by_uuid_with_and_without_prefix(tmp_path: Path) -> None:
    with nvml(tmp_path, [V100, A40]) as simulator:
        uuid = simulator.uuids[1]
        for which in ("1", uuid, uuid.removeprefix("GPU-")):
            assert Gpu.open(which).uuid == uuid
        with pytest.raises(SweepError, match=r"--gpu 2: .*there are 2 GPUs"):
            Gpu.open("2")


def test_a_board_of_the_simulated_nvml_is_known_as_one(tmp_path: Path) -> None:
    with bench(tmp_path, A40) as one:
        assert one.gpu.simulated


def test_the_simulation_is_known_by_the_two_ways_in_which_it_finds_its_boards(tmp_path: Path) -> None:
    there = tmp_path / "state"
    there.touch()
    assert is_simulated({"NVMLSIM_STATE": "anywhere"}, tmp_path / "nothing")
    assert is_simulated({}, there)
    assert not is_simulated({}, tmp_path / "nothing")


def test_a_divided_gpu_says_so(tmp_path: Path) -> None:
    with nvml(tmp_path, [A100], mig={0: (3, 2)}):
        assert Gpu.open("0").divided()


@only_root
def test_a_refused_setter_says_who_may(tmp_path: Path) -> None:
    with bench(tmp_path, A40) as one:
        one.simulator.inject(None, Fault.no_permission())
        with pytest.raises(SweepError, match="run frugal sweep as root"):
            one.gpu.set_power_limit(300)


def test_without_a_counter_there_is_no_sweep(tmp_path: Path) -> None:
    with bench(tmp_path, A40) as one:
        one.simulator.inject(None, Fault.unsupported("nvmlDeviceGetTotalEnergyConsumption"))
        with pytest.raises(SweepError, match="before Volta"):
            one.gpu.energy_joules()


def test_without_a_driver_it_says_what_is_needed(tmp_path: Path) -> None:
    with nvml(tmp_path, [A40]) as simulator:
        simulator.inject(None, Fault.driver_unloaded())
        with pytest.raises(SweepError, match="needs an NVIDIA GPU with its driver"):
            Gpu.open("0")
