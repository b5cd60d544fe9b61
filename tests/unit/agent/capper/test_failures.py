"""What goes wrong with one GPU stops no other, leaves no half of a point, and says what to do."""

from __future__ import annotations

import pytest

from ballast.agent.capping.capped_gpu import RETRY_SECONDS
from ballast.agent.device import DeviceError, DeviceLost, DriverGone, NoPermission, NotSupported
from tests.unit.agent.capping import Capping, point
from tests.unit.agent.fake_gpu import FOUND_WATTS, MHZ, Fault

FOUND = (FOUND_WATTS, None, None)
WHOLE = point(150, 900, 810)
SETTERS = ["lock_memory_clock", "lock_clocks", "set_power_limit"]


@pytest.mark.parametrize("setter", SETTERS)
@pytest.mark.parametrize(
    ("error", "is_done"), [(NotSupported, False), (NoPermission, False), (DeviceError, False), (DeviceError, True)]
)
def test_no_half_point(node: Capping, setter: str, error: type[DeviceError], *, is_done: bool) -> None:
    """If a part cannot be set, the others are taken back; the neighbour gets its point."""
    node.board("a").faults[setter] = Fault(error("refused: run as root"), is_done=is_done, times=1)
    states = node.reconcile(a=WHOLE, b=WHOLE)
    assert node.board("a").settings == FOUND
    assert states["a"].enforced is None
    assert "not set: refused: run as root" in (states["a"].problem or "")
    assert states["b"].enforced == WHOLE
    assert node.files() == ["b.json"]


def test_a_raise_that_fails(node: Capping) -> None:
    """Within the round nothing of either point is left: neither the old limit nor the new clocks."""
    node.reconcile(a=point(120))
    node.board("a").faults["set_power_limit"] = Fault(DeviceError("busy"), times=1)
    node.reconcile(a=WHOLE)
    assert node.board("a").settings == FOUND
    assert node.files() == []


def test_a_refused_point_is_tried_again_later(node: Capping) -> None:
    """Not at once, because the GPU would flicker; but soon, and then it holds."""
    node.board("a").faults["set_power_limit"] = Fault(DeviceError("busy"), times=1)
    node.reconcile(a=WHOLE)
    node.driver.forget_calls()
    node.now += RETRY_SECONDS - 1
    assert "busy" in (node.reconcile(a=WHOLE)["a"].problem or "")
    assert node.board("a").calls == []
    node.now += 1
    state = node.reconcile(a=WHOLE)["a"]
    assert (state.enforced, state.problem) == (WHOLE, None)


def test_another_point_is_tried_at_once(node: Capping) -> None:
    """A refusal concerns the point that was refused."""
    node.board("a").faults["lock_clocks"] = Fault(NotSupported("no"))
    node.reconcile(a=WHOLE)
    assert node.reconcile(a=point(150))["a"].enforced == point(150)


def test_without_permission_nothing_is_tried_twice(node: Capping) -> None:
    """What was surely not done is not undone: that would be refused likewise, and looks like something to restore."""
    for call in (*SETTERS, "unlock_clocks", "unlock_memory_clock"):
        node.board("a").faults[call] = Fault(NoPermission("run as root"))
    state = node.reconcile(a=WHOLE)["a"]
    assert len(node.board("a").calls) == 1
    assert state.problem == "the operating point is not set: run as root"
    assert node.files() == []


def test_a_board_that_says_yes_and_means_no(node: Capping, monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit that reads back as another is not enforced, and the problem names both."""
    board = node.board("a")
    board.on_change = lambda: setattr(board, "limit_watts", max(board.limit_watts, 200))
    state = node.reconcile(a=point(150))["a"]
    assert state.enforced is None
    assert "150 W was asked for, and 200 W was read back" in (state.problem or "")
    assert board.limit_watts == FOUND_WATTS


@pytest.mark.parametrize("call", ["set_power_limit", "unlock_clocks", "unlock_memory_clock"])
def test_restoring_fails_for_now(node: Capping, call: str) -> None:
    """The other parts are restored, it is said, kept, and tried again each round until it works."""
    node.reconcile(a=WHOLE, b=WHOLE)
    node.board("a").faults[call] = Fault(DeviceError("busy"), times=2)
    for _ in range(2):
        states = node.reconcile()
        assert "what was found is not restored: busy" in (states["a"].problem or "")
        assert node.files() == ["a.json"]
        assert node.board("b").settings == FOUND
    assert sum(one != other for one, other in zip(node.board("a").settings, FOUND, strict=True)) == 1
    assert node.reconcile()["a"].problem is None
    assert node.board("a").settings == FOUND
    assert node.files() == []


def test_a_lock_of_which_nothing_is_known(node: Capping) -> None:
    """A lock that failed, done or not, and was not taken off either, is not taken for the one that was there before."""
    node.reconcile(a=point(None, 900))
    node.board("a").faults["lock_clocks"] = Fault(DeviceError("timeout"), is_done=True, times=1)
    node.board("a").faults["unlock_clocks"] = Fault(DeviceError("timeout"), times=1)
    node.reconcile(a=point(None, 600))
    node.reconcile(a=point(None, 900))
    assert node.board("a").clocks == (210 * MHZ, 900 * MHZ)


def test_an_unlock_that_is_not_supported_is_no_success(node: Capping) -> None:
    """What was locked stays on the disk as long as the board refuses to unlock it, whatever the reason."""
    node.reconcile(a=WHOLE)
    node.board("a").faults["unlock_clocks"] = Fault(NotSupported("no"), times=1)
    node.reconcile()
    assert node.files() == ["a.json"]
    node.reconcile()
    assert node.board("a").settings == FOUND


@pytest.mark.parametrize("call", [*SETTERS, "power_limit_watts"])
def test_lost_in_the_middle(node: Capping, call: str) -> None:
    """A GPU that falls off the bus at any call stops no other, and is restored when it is back."""
    node.board("a").faults[call] = Fault(DeviceLost("fell off the bus"), times=1)
    states = node.reconcile(a=WHOLE, b=WHOLE)
    assert "does not answer" in (states["a"].problem or "")
    assert states["b"].enforced == WHOLE
    node.reconcile()
    assert node.board("a").settings == FOUND
    assert node.files() == []


@pytest.mark.parametrize("call", [*SETTERS, "power_limit_watts"])
def test_driver_gone_in_the_middle(node: Capping, call: str) -> None:
    """The caller is told, and the next round begins anew with what was found first."""
    node.board("b").faults[call] = Fault(DriverGone("reloaded"), times=1)
    with pytest.raises(DriverGone):
        node.reconcile(a=WHOLE, b=WHOLE)
    states = node.reconcile(a=WHOLE, b=WHOLE)
    assert [states[uuid].enforced for uuid in "ab"] == [WHOLE, WHOLE]
    node.reconcile()
    assert node.board("a").settings == node.board("b").settings == FOUND


def test_gpus_cannot_be_listed(node: Capping, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is done, it is said, and what was found is kept."""
    node.reconcile(a=WHOLE)

    def refuse() -> None:
        raise DeviceError("unknown error")

    monkeypatch.setattr(node.driver, "devices", refuse)
    assert "unknown error" in (node.reconcile()["a"].problem or "")
    monkeypatch.undo()
    node.reconcile()
    assert node.board("a").settings == FOUND


def test_a_limit_that_cannot_be_read(node: Capping) -> None:
    """What cannot be found cannot be restored: nothing is changed."""
    node.board("a").faults["power_limit_watts"] = Fault(NotSupported("no such reading"))
    state = node.reconcile(a=WHOLE)["a"]
    assert "nothing is changed: no such reading" in (state.problem or "")
    assert node.board("a").calls == []
    assert node.files() == []


def test_a_full_disk(node: Capping, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be kept is not changed; what was changed before can be restored."""
    node.reconcile(a=WHOLE)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    state = node.reconcile(a=WHOLE, b=WHOLE)["b"]
    assert state.enforced is None
    assert "No space left on device" in (state.problem or "")
    assert node.board("b").calls == []
    assert node.board("a").settings != FOUND
    node.reconcile()
    assert node.board("a").settings == FOUND
    monkeypatch.undo()
    node.reconcile()
    assert node.files() == []


def test_problems_fit_into_the_status(node: Capping) -> None:
    """A long story is cut."""
    node.board("a").faults["lock_clocks"] = Fault(DeviceError("x" * 1000))
    assert len(node.reconcile(a=WHOLE)["a"].problem or "") == 256
