"""Where there can be no real node, one line says so and why, and a control plane comes up all the same."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.cluster import platforms

ALL_CAPABILITIES = "CapInh:\t0000000000000000\nCapEff:\t000001ffffffffff\n"
CONTAINER_CAPABILITIES = "CapEff:\t00000000a80425fb\n"


@pytest.mark.parametrize(("status", "can"), [(ALL_CAPABILITIES, True), (CONTAINER_CAPABILITIES, False)])
def test_linux_as_root_can_run_real_nodes_with_the_capabilities(
    monkeypatch: pytest.MonkeyPatch, status: str, can: bool
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(Path, "read_text", lambda path: status)
    obstacle = platforms.why_no_real_node()
    assert (obstacle is None) is can
    assert can or "CAP_NET_ADMIN and CAP_SYS_ADMIN" in str(obstacle)


def test_without_root_the_reason_is_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "root" in (platforms.why_no_real_node() or "")


def test_on_macos_the_reason_is_linux(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert "Linux" in (platforms.why_no_real_node() or "")
