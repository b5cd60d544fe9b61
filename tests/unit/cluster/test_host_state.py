"""A snapshot's difference names what came and what went, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.host_state import HostState


def a_host(**parts: set[str]) -> HostState:
    return HostState({kind: frozenset(lines) for kind, lines in parts.items()})


def test_no_change_is_an_empty_difference() -> None:
    assert a_host(links={"eth0"}).changes_since(a_host(links={"eth0"})) == {}


def test_what_came_and_what_went_is_told_by_kind() -> None:
    before = a_host(links={"eth0", "old"}, mounts={"/"})
    after = a_host(links={"eth0", "ballast0"}, mounts={"/"})
    assert after.changes_since(before) == {"links": ["+ ballast0", "- old"]}


def test_the_order_of_rules_counts() -> None:
    before = a_host(iptables={"0: -A INPUT -j A", "1: -A INPUT -j B"})
    after = a_host(iptables={"0: -A INPUT -j B", "1: -A INPUT -j A"})
    assert "iptables" in after.changes_since(before)


def test_two_looks_at_a_quiet_host_are_the_same() -> None:
    once, again = HostState.capture(), HostState.capture()
    changes = again.changes_since(once)
    # Other clusters on this machine may come and go; what no cluster owns must not differ.
    assert not set(changes) & {"settings", "iptables"}


def test_a_name_that_begins_like_anothers_is_not_hidden_with_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BALLAST_CACHE", str(tmp_path))
    for name in ("work", "work-test"):
        (tmp_path / "clusters" / name).mkdir(parents=True)
    assert HostState.capture(except_clusters=frozenset({"work"})).parts["state"] == {"work-test"}
