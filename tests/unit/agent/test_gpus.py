"""The node's GPUs as they answer: they go and come back, and a driver that was away is found again."""

from __future__ import annotations

import pytest

from ballast.agent.device import DeviceError, DriverGone
from ballast.agent.gpus import Gpus
from tests.unit.agent.fake_gpu import Board, FakeDevice, FakeDriver, Fault, description


class Driver(FakeDriver):
    """A driver that may be away, and may refuse to list its GPUs."""

    def __init__(self, *boards: Board) -> None:
        super().__init__(*boards)
        self.is_away = False
        self.is_shut = False
        self.listing: DeviceError | None = None
        self.reopened = 0

    def devices(self) -> list[FakeDevice]:
        if self.listing is not None:
            raise self.listing
        self.is_shut |= self.is_away  # and stays so until it is opened anew
        return [] if self.is_shut else super().devices()

    def reopen(self) -> None:
        self.reopened += 1
        if self.is_away:
            self.is_shut = True
            raise DriverGone("not loaded")
        self.is_shut = False
        super().reopen()


@pytest.fixture
def driver() -> Driver:
    return Driver(Board("a"), Board("b"))


@pytest.fixture
def gpus(driver: Driver) -> Gpus:
    gpus = Gpus(driver)
    gpus.look()
    return gpus


def test_those_that_answer_are_there(gpus: Gpus) -> None:
    assert set(gpus.devices) == set(gpus.descriptions) == {"a", "b"}
    assert gpus.problem is None


def test_a_look_tells_whether_anything_is_other(gpus: Gpus, driver: Driver) -> None:
    assert Gpus(driver).look()
    assert not gpus.look()
    driver["a"].description = description("a", mig_enabled=True)
    assert gpus.look()


def test_a_lost_gpu_goes_and_comes_back(gpus: Gpus, driver: Driver) -> None:
    driver["a"].is_lost = True
    assert gpus.look()
    assert set(gpus.devices) == {"b"}
    assert "a" in (gpus.problem or "")
    driver["a"].is_lost = False
    assert gpus.look()
    assert set(gpus.devices) == {"a", "b"}
    assert gpus.problem is None


def test_one_that_stays_away_stays_a_problem(gpus: Gpus, driver: Driver) -> None:
    driver["a"].is_lost = True
    for _ in range(3):
        gpus.look()
        assert "a" in (gpus.problem or "")


def test_so_do_the_others_while_one_of_them_came_back(gpus: Gpus, driver: Driver) -> None:
    driver["a"].is_lost = driver["b"].is_lost = True
    gpus.look()
    driver["b"].is_lost = False
    gpus.look()
    assert set(gpus.devices) == {"b"}
    assert gpus.problem is not None
    assert "a" in gpus.problem
    assert "b:" not in gpus.problem


def test_one_that_is_lost_while_it_is_described_goes_too(gpus: Gpus, driver: Driver) -> None:
    class Losing(FakeDevice):
        def describe(self) -> object:  # type: ignore[override]
            self._board.is_lost = True
            return super().describe()

    driver.devices = lambda: [Losing(driver, driver["a"]), FakeDevice(driver, driver["b"])]  # type: ignore[method-assign]
    gpus.look()
    assert set(gpus.devices) == {"b"}


def test_one_that_answers_badly_keeps_its_description(gpus: Gpus, driver: Driver) -> None:
    driver["a"].faults["describe"] = Fault(DeviceError("timeout"))
    assert not gpus.look()
    assert gpus.descriptions["a"] == description("a")
    assert "a" in gpus.devices
    assert gpus.problem is None


def test_one_that_never_answered_well_is_not_there(driver: Driver) -> None:
    driver["a"].faults["describe"] = Fault(DeviceError("timeout"))
    gpus = Gpus(driver)
    gpus.look()
    assert set(gpus.devices) == {"b"}


def test_objects_that_stay_the_same_are_kept(gpus: Gpus) -> None:
    """They remember what their boards do not support."""
    before = gpus.devices["a"]
    gpus.look()
    assert gpus.devices["a"] is before


def test_one_that_became_something_else_is_a_new_one(gpus: Gpus, driver: Driver) -> None:
    before = gpus.devices["a"]
    driver["a"].description = description("a", mig_enabled=True)
    gpus.look()
    assert gpus.devices["a"] is not before


def test_after_a_reload_no_old_object_is_left(gpus: Gpus, driver: Driver) -> None:
    driver.reload()
    assert gpus.reopen()
    assert {device.power_limit_watts() for device in gpus.devices.values()} == {driver["a"].limit_watts}


def test_a_driver_that_is_gone_takes_all_with_it(gpus: Gpus, driver: Driver) -> None:
    driver.reload()
    assert gpus.look()
    assert not gpus.devices
    assert not gpus.descriptions
    assert "driver is gone" in (gpus.problem or "")


def test_one_that_does_not_come_back_at_once_is_found_by_a_later_look(gpus: Gpus, driver: Driver) -> None:
    driver.reload()
    driver.is_away = True
    assert not gpus.reopen()
    assert not gpus.devices
    gpus.look()
    assert "not loaded" in (gpus.problem or "")
    driver.is_away = False
    assert gpus.look()
    assert set(gpus.devices) == {"a", "b"}
    assert gpus.problem is None


def test_one_that_goes_while_it_comes_back_is_not_there(gpus: Gpus, driver: Driver) -> None:
    driver.listing = DriverGone("again")
    assert not gpus.reopen()
    assert not gpus.devices


def test_a_node_that_never_had_a_gpu_has_no_problem(driver: Driver) -> None:
    driver.is_away = True
    gpus = Gpus(driver)
    for _ in range(3):
        assert not gpus.look()
    assert gpus.problem is None


def test_a_driver_that_is_installed_later_is_found(driver: Driver) -> None:
    driver.is_away = True
    gpus = Gpus(driver)
    gpus.look()
    driver.is_away = False
    gpus.look()
    assert set(gpus.devices) == {"a", "b"}


def test_a_driver_that_answers_is_not_opened_anew(gpus: Gpus, driver: Driver) -> None:
    gpus.look()
    assert driver.reopened == 0


def test_a_list_that_fails_takes_nothing_away(gpus: Gpus, driver: Driver) -> None:
    driver.listing = DeviceError("nvmlDeviceGetCount: unknown error")
    assert not gpus.look()
    assert set(gpus.devices) == {"a", "b"}
    assert "nvmlDeviceGetCount" in (gpus.problem or "")
    driver.listing = None
    gpus.look()
    assert gpus.problem is None
