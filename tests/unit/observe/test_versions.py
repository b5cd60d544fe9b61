"""An older version never replaces a newer one, and the dead stay dead."""

from __future__ import annotations

import pytest

from ballast.observe import versions
from ballast.observe.versions import Versions


def test_only_newer_versions_are_accepted() -> None:
    seen = Versions()
    assert seen.accept("a", "9")
    assert not seen.accept("a", "9")
    assert not seen.accept("a", "8")
    assert seen.accept("a", "10"), "versions compare as numbers, not as text"


def test_objects_have_versions_of_their_own() -> None:
    seen = Versions()
    assert seen.accept("a", "9")
    assert seen.accept("b", "3")


def test_the_dead_do_not_come_back() -> None:
    seen = Versions()
    seen.accept("a", "9")
    seen.bury("a")
    assert not seen.accept("a", "10")


def test_who_was_buried_before_being_seen_is_dead_too() -> None:
    seen = Versions()
    seen.bury("a")
    assert not seen.accept("a", "1")


def test_a_complete_list_shows_what_vanished() -> None:
    seen = Versions()
    for uid in ("kept", "gone"):
        seen.accept(uid, "5")
    assert seen.vanished({"kept"}, "7") == ["gone"]


def test_what_appeared_after_the_list_was_taken_has_not_vanished() -> None:
    seen = Versions()
    seen.accept("new", "8")
    assert seen.vanished(set(), "7") == []
    assert seen.vanished(set(), "8") == ["new"]


def test_the_memory_of_the_dead_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "MAX_TOMBSTONES", 2)
    seen = Versions()
    for uid in ("a", "b", "c"):
        seen.bury(uid)
    assert seen.accept("a", "1")
    assert not seen.accept("b", "1")
    assert not seen.accept("c", "1")
