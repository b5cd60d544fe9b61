"""What was found comes back: at the end of a pod, of the agent, after a crash anywhere, through resets and reloads."""

from __future__ import annotations

import pytest

from ballast.agent.device import DriverGone
from tests.unit.agent.capping import BOOT, FAILPOINTS, Capping, Died, point
from tests.unit.agent.fake_gpu import DEFAULT_WATTS, FOUND_WATTS, MHZ

FOUND = (FOUND_WATTS, None, None)
WHOLE = point(150, 900, 810)


def test_when_nobody_wants_it(node: Capping) -> None:
    """A GPU whose pod is gone has what was found, and nothing of it is kept."""
    node.reconcile(a=WHOLE)
    state = node.reconcile()["a"]
    assert node.board("a").settings == FOUND
    assert (state.enforced, state.since, state.problem) == (None, None, None)
    assert node.files() == []


def test_nothing_more_is_done_afterwards(node: Capping) -> None:
    """A restored GPU gets no further call."""
    node.reconcile(a=WHOLE)
    node.reconcile()
    node.driver.forget_calls()
    assert node.reconcile() == {}
    assert (node.board("a").calls, node.board("a").looks) == ([], 0)


def test_restore_all(node: Capping) -> None:
    """SIGTERM and uninstall: all GPUs have what was found; who was never changed is not mentioned."""
    node.reconcile(a=WHOLE, b=point(120))
    restored = node.capper.restore_all()
    assert (restored.restored, dict(restored.problems)) == (("a", "b"), {})
    assert node.board("a").settings == node.board("b").settings == FOUND
    assert node.board("c").calls == []


def live(node: Capping) -> None:
    """Two GPUs get a point and lose it again: every failpoint is passed."""
    node.reconcile(a=WHOLE, b=WHOLE)
    node.reconcile()


@pytest.mark.parametrize("failpoint", FAILPOINTS)
def test_killed_anywhere_then_uninstalled(node: Capping, failpoint: str) -> None:
    """Whatever the moment of death, the next process restores what the first one found."""
    node.failpoint.armed = failpoint
    with pytest.raises(Died):
        live(node)
    node.start()
    assert node.capper.restore_all().problems == {}
    assert node.board("a").settings == node.board("b").settings == FOUND
    assert node.board("c").calls == []
    assert node.files() == []


@pytest.mark.parametrize("failpoint", FAILPOINTS)
def test_killed_anywhere_and_still_wanted(node: Capping, failpoint: str) -> None:
    """The next process takes over: the GPU gets the point, and later what the first process found."""
    node.failpoint.armed = failpoint
    with pytest.raises(Died):
        live(node)
    node.start()
    assert node.reconcile(a=WHOLE)["a"].enforced == WHOLE
    node.reconcile()
    assert node.board("a").settings == FOUND


def test_taken_over_without_a_flicker(node: Capping) -> None:
    """After SIGKILL what is still wanted is not loosened for a moment."""
    node.reconcile(a=WHOLE)
    seen = []
    node.board("a").on_change = lambda: seen.append(node.board("a").settings)
    node.start()
    assert node.capper.changed == {"a"}
    node.reconcile(a=WHOLE)
    assert set(seen) == {(150, (210 * MHZ, 900 * MHZ), 810 * MHZ)}  # locks, which cannot be read, are set again
    assert ("set_power_limit", 150) not in node.board("a").calls[3:]


def test_a_start_changes_nothing(node: Capping) -> None:
    """Until it is known what is wanted, the next process leaves everything as it is."""
    node.reconcile(a=WHOLE)
    node.driver.forget_calls()
    node.start()
    assert (node.board("a").calls, node.board("a").looks) == ([], 0)


def test_driver_reloaded(node: Capping) -> None:
    """The caller reopens; everything is set again, and the original stays the one found before the reload."""
    node.reconcile(a=WHOLE)
    node.driver.reload()
    with pytest.raises(DriverGone):
        node.reconcile(a=WHOLE)
    node.driver.reopen()
    assert node.board("a").limit_watts == DEFAULT_WATTS
    state = node.reconcile(a=WHOLE)["a"]
    assert state.enforced == WHOLE
    assert state.found_power_limit_watts == FOUND_WATTS
    node.reconcile()
    assert node.board("a").settings == FOUND


def test_driver_reloaded_under_locks_alone(node: Capping) -> None:
    """What cannot be read back is set again, too."""
    node.reconcile(a=point(None, 900))
    node.driver.reload()
    with pytest.raises(DriverGone):
        node.reconcile(a=point(None, 900))
    node.driver.reopen()
    node.reconcile(a=point(None, 900))
    assert node.board("a").clocks == (210 * MHZ, 900 * MHZ)


def test_driver_reloaded_unseen(node: Capping) -> None:
    """Another part of the agent noticed and reopened: told to forget, the capper sets locks again, too."""
    node.reconcile(a=point(None, 900))
    node.driver.reload()
    node.driver.reopen()
    node.capper.forget()
    node.reconcile(a=point(None, 900))
    assert node.board("a").clocks == (210 * MHZ, 900 * MHZ)


def test_restoring_after_a_reload(node: Capping) -> None:
    """The driver's default is not what was found: the admin's limit comes back."""
    node.reconcile(a=WHOLE)
    node.driver.reload()
    restored = node.capper.restore_all()  # reopens by itself: there may be nobody left to do it
    assert restored.problems == {}
    assert node.board("a").settings == FOUND


def test_no_driver_to_restore_with(node: Capping, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a driver nothing is restored, that is said, and what was found is kept."""
    node.reconcile(a=WHOLE)
    node.driver.reload()

    def gone() -> None:
        raise DriverGone("no driver")

    monkeypatch.setattr(node.driver, "reopen", gone)
    restored = node.capper.restore_all()
    assert restored.restored == ()
    assert "no driver" in restored.problems["a"]
    assert node.files() == ["a.json"]


def test_gpu_lost_and_back(node: Capping) -> None:
    """A GPU that comes back from the dead gets its point again; what it had before all that is restored."""
    node.reconcile(a=WHOLE, b=WHOLE)
    node.board("a").is_lost = True
    states = node.reconcile(a=WHOLE, b=WHOLE)
    assert states["a"].enforced is None
    assert "does not answer" in (states["a"].problem or "")
    assert states["b"].problem is None
    node.board("a").is_lost = False
    node.board("a").reset()
    assert node.reconcile(a=WHOLE, b=WHOLE)["a"].enforced == WHOLE
    node.reconcile()
    assert node.board("a").settings == node.board("b").settings == FOUND


def test_gpu_lost_and_back_after_its_pod(node: Capping) -> None:
    """What it had is kept until it answers, through a new process, also when nobody wants it any more."""
    node.reconcile(a=WHOLE)
    node.board("a").is_lost = True
    assert "kept" in node.capper.restore_all().problems["a"]
    node.start()
    node.board("a").is_lost = False
    node.board("a").reset()
    assert node.reconcile() == {"a": node.reconcile(a=None)["a"]}
    assert node.board("a").settings == FOUND


def test_rebooted(node: Capping) -> None:
    """After a reboot the boards have forgotten; what was found then is void, what is found now counts."""
    node.reconcile(a=WHOLE)
    node.boot = f"{BOOT}-2"
    node.board("a").reset()
    node.start()
    assert node.reconcile() == {}
    assert node.board("a").settings == (DEFAULT_WATTS, None, None)
    node.reconcile(a=WHOLE)
    node.reconcile()
    assert node.board("a").settings == (DEFAULT_WATTS, None, None)


@pytest.mark.parametrize("others", [120.0, 300.0, 230.0])
def test_somebody_else_set_it_meanwhile(node: Capping, others: float) -> None:
    """Restored is what was found, not what another tool set on top."""
    node.reconcile(a=WHOLE)
    node.board("a").limit_watts = others
    node.reconcile()
    assert node.board("a").settings == FOUND


def test_to_the_milliwatt(node: Capping) -> None:
    """A limit that is nearly what was found is not what was found."""
    node.board("a").limit_watts = 150.3
    node.reconcile(a=point(150))
    node.board("a").limit_watts = 150.0
    node.reconcile()
    assert node.board("a").limit_watts == 150.3


def test_what_it_had_is_lost(node: Capping) -> None:
    """An unreadable file: its GPU gets the board's default and no locks, and says so; others are let alone."""
    node.reconcile(a=WHOLE, b=point(120))
    (node.folder / "originals" / BOOT / "a.json").write_text("{")
    node.start()
    state = node.reconcile(a=WHOLE, b=point(120))["a"]
    assert state.enforced == WHOLE
    assert "its board's default will be restored" in (state.problem or "")
    node.start()
    node.driver.forget_calls()
    node.reconcile(b=point(120))
    assert node.board("a").settings == (DEFAULT_WATTS, None, None)
    assert node.board("b").calls == []
    assert node.files() == ["b.json"]
