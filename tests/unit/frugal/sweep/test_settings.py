"""What is changed on a GPU, and that it is put back, whatever happens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from frugal.sweep.errors import SweepError
from frugal.sweep.points import OperatingPoint
from frugal.sweep.settings import Settings, refuse_company, refuse_pod
from tests.nvmlsim.boards import A40
from tests.nvmlsim.faults import Fault
from tests.unit.frugal.sweep.builders import Bench, bench, limits
from tests.unit.nvmlsim.builders import only_root

pytestmark = only_root

NVML_ERROR_UNKNOWN = 999


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Bench]:
    """An A40 that somebody limited to 270 W."""
    with bench(tmp_path, A40) as made:
        made.simulator.set_power_limit(made.uuid, 270)
        made.settings = Settings(made.gpu)
        yield made


def test_asking_for_permission_changes_nothing(one: Bench) -> None:
    before = one.simulator.gpu(one.uuid)
    one.settings.ask_permission()
    assert one.simulator.gpu(one.uuid) == before
    assert [call.arguments for call in one.simulator.calls()] == [(270_000,)]


def test_asking_for_permission_is_refused_where_setting_is(one: Bench) -> None:
    one.simulator.inject(None, Fault.no_permission())
    with pytest.raises(SweepError, match="as root"):
        one.settings.ask_permission()


def test_what_was_found_is_put_back_and_not_the_maximum(one: Bench) -> None:
    one.settings.apply(OperatingPoint(power_limit_watts=150, max_clock_mhz=990))
    board = one.simulator.gpu(one.uuid)
    assert (board.power_limit_watts, board.locked_clocks_mhz) == (150, (210, 990))
    one.settings.put_back()
    board = one.simulator.gpu(one.uuid)
    assert (board.power_limit_watts, board.locked_clocks_mhz) == (270, None)


def test_a_point_without_clocks_takes_the_last_points_lock_off(one: Bench) -> None:
    one.settings.apply(OperatingPoint(power_limit_watts=270, max_clock_mhz=990))
    one.settings.apply(OperatingPoint(power_limit_watts=200))
    assert one.simulator.gpu(one.uuid).locked_clocks_mhz is None


def test_clocks_that_were_not_set_are_left_alone(one: Bench) -> None:
    """An admin's lock cannot be read; it outlives a sweep over power limits."""
    one.simulator.lock_clocks(one.uuid, 210, 1200)
    one.settings.apply(*limits(150))
    one.settings.put_back()
    assert one.simulator.gpu(one.uuid).locked_clocks_mhz is not None
    assert not any("Clocks" in call.name for call in one.simulator.calls())


def test_putting_back_twice_sets_once(one: Bench) -> None:
    """What somebody sets after the sweep stays."""
    one.settings.apply(*limits(150))
    one.settings.put_back()
    one.simulator.set_power_limit(one.uuid, 222)
    one.settings.put_back()
    assert one.simulator.gpu(one.uuid).power_limit_watts == 222


def test_another_tool_that_sets_the_limit_is_noticed(one: Bench) -> None:
    one.settings.apply(*limits(150))
    one.simulator.set_power_limit(one.uuid, 180)
    with pytest.raises(SweepError, match="180 W and was set to 150 W: something else"):
        one.settings.check(*limits(150))


def test_a_lower_limit_that_somebody_sets_meanwhile_is_left(one: Bench) -> None:
    """Of mains or cooling we know nothing; a higher one than was found is not left."""
    for theirs, left in ((120, 120), (300, 270)):
        one.simulator.set_power_limit(one.uuid, 270)
        one.settings.apply(OperatingPoint(power_limit_watts=150, max_clock_mhz=990))
        one.simulator.set_power_limit(one.uuid, theirs)
        if theirs == left:
            with pytest.raises(SweepError, match=f"120 W: something else sets it, .* -i {one.uuid} -pl 270 && .* -rgc"):
                one.settings.put_back()
        else:
            one.settings.put_back()
        board = one.simulator.gpu(one.uuid)
        assert (board.power_limit_watts, board.locked_clocks_mhz) == (left, None)


def test_a_limit_that_the_driver_makes_another_is_refused_and_put_back(
    one: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no limit of somebody else's."""
    taken = one.gpu.set_power_limit
    monkeypatch.setattr(one.gpu, "set_power_limit", lambda watts: taken(max(watts, 160)))
    with pytest.raises(SweepError, match=r"160 W and was set to 150 W.* or the driver does not take"):
        one.settings.apply(*limits(150))
    one.settings.put_back()
    assert one.simulator.gpu(one.uuid).power_limit_watts == 270


@pytest.mark.parametrize("call", ["SetPowerManagementLimit", "GetPowerManagementLimit", "SetGpuLockedClocks"])
@pytest.mark.parametrize("after", [0, 1])
def test_whichever_call_fails_the_gpu_is_put_back(one: Bench, call: str, after: int) -> None:
    """While the first point is applied, and while the next one is."""
    points = [OperatingPoint(power_limit_watts=watts, max_clock_mhz=990) for watts in (150, 200)]
    for point in points[:after]:
        one.settings.apply(point)
    one.simulator.inject(one.uuid, Fault.fails(f"nvmlDevice{call}", NVML_ERROR_UNKNOWN))
    with pytest.raises(SweepError):
        one.settings.apply(points[after])
    one.simulator.clear_faults()
    one.settings.put_back()
    board = one.simulator.gpu(one.uuid)
    assert (board.power_limit_watts, board.locked_clocks_mhz) == (270, None)


def test_what_cannot_be_put_back_is_told_with_the_command_that_does(one: Bench) -> None:
    """The clocks are put back even if the limit cannot be."""
    one.settings.apply(OperatingPoint(power_limit_watts=150, max_clock_mhz=990))
    one.simulator.inject(one.uuid, Fault.no_permission(call="nvmlDeviceSetPowerManagementLimit"))
    with pytest.raises(SweepError, match=f"NOT AS IT WAS FOUND.*nvidia-smi -i {one.uuid} -pl 270 && .* -rgc"):
        one.settings.put_back()
    assert one.simulator.gpu(one.uuid).locked_clocks_mhz is None
    one.simulator.clear_faults()
    one.settings.put_back()
    assert one.simulator.gpu(one.uuid).power_limit_watts == 270


def test_a_pod_is_told_to_ask_for_points_in_its_training_job() -> None:
    with pytest.raises(SweepError, match=r"spec\.energy\.operatingPoint"):
        refuse_pod({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, anyway=False)
    refuse_pod({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, anyway=True)
    refuse_pod({}, anyway=False)


def test_a_gpu_that_others_use_is_left_alone() -> None:
    with pytest.raises(SweepError, match=r"\(12, 34\).*--shared"):
        refuse_company(frozenset({34, 12}), shared=False)
    refuse_company(frozenset({34, 12}), shared=True)
    refuse_company(frozenset(), shared=False)
