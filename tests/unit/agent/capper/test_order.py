"""First the disk, then what lowers, then what raises: the sum of limits never exceeds both ends of a change."""

from __future__ import annotations

from tests.unit.agent.capping import Capping, point
from tests.unit.agent.fake_gpu import FOUND_WATTS


def limits(node: Capping) -> list[tuple[str, float]]:
    """Every change of a limit on the node from now on, in order."""
    seen: list[tuple[str, float]] = []
    for uuid, board in node.driver.boards.items():
        board.on_change = lambda uuid=uuid, board=board: seen.append((uuid, board.limit_watts))  # type: ignore[misc]
    return seen


def test_lower_before_raise(node: Capping) -> None:
    """Watts go from one GPU to another only after the first has given them up."""
    node.reconcile(a=point(110), b=point(200))
    seen = limits(node)
    node.reconcile(a=point(200), b=point(110))
    assert seen == [("b", 110), ("a", 200)]


def test_lower_before_restore(node: Capping) -> None:
    """Nor is a limit restored before the others are lowered."""
    node.reconcile(a=point(110))
    seen = limits(node)
    node.reconcile(c=point(110))
    assert seen == [("c", 110), ("a", FOUND_WATTS)]


def test_restoring_that_lowers(node: Capping) -> None:
    """A limit that somebody raised is restored, which lowers it, before another is raised."""
    node.reconcile(a=point(110), b=point(200))
    node.board("b").limit_watts = 300
    seen = limits(node)
    node.reconcile()
    assert seen == [("b", FOUND_WATTS), ("a", FOUND_WATTS)]


def test_on_the_disk_before_the_board(node: Capping) -> None:
    """At the first change of any board, what every one of them had is on the disk."""
    kept: list[list[str]] = []
    for board in node.driver.boards.values():
        board.on_change = lambda: kept.append(node.files())
    node.reconcile(a=point(110), b=point(120))
    assert kept == [["a.json", "b.json"]] * 2


def test_from_the_disk_after_the_board(node: Capping) -> None:
    """A file goes only after its board is as it was found."""
    node.reconcile(a=point(110, 900, 810))
    kept: list[list[str]] = []
    node.board("a").on_change = lambda: kept.append(node.files())
    node.reconcile()
    assert kept == [["a.json"]] * 3
    assert node.files() == []


def test_failpoints_are_where_they_say(node: Capping) -> None:
    """Each step stands between its two failpoints, in this order."""
    node.reconcile(a=point(110, 900, 810))
    node.reconcile()
    steps = ["originals.save", "memory.lock", "clocks.lock", "limit.set"]
    steps += ["limit.restore", "clocks.restore", "memory.restore", "originals.clear"]
    assert node.failpoint.passed == [f"{when}:{step}" for step in steps for when in ("before", "after")]
