"""A failpoint kills the process when, and only when, the armed one is passed as often as it says."""

from __future__ import annotations

import os
import signal

import pytest

from ballast.failpoints import VARIABLE, Failpoints


@pytest.fixture
def deaths(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    killed: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: killed.append((pid, number)))
    return killed


def test_off_unless_armed(deaths: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    points = Failpoints()
    points.passing("after:ungate")
    assert deaths == []


def test_the_first_passage_kills_at_once(deaths: list[tuple[int, int]]) -> None:
    points = Failpoints("after:ungate")
    points.passing("before:ungate")
    points.passing("after:job")
    assert deaths == []
    points.passing("after:ungate")
    assert deaths == [(os.getpid(), signal.SIGKILL)]


def test_a_later_passage(deaths: list[tuple[int, int]]) -> None:
    points = Failpoints("after:ungate#3")
    for _ in range(2):
        points.passing("after:ungate")
    assert deaths == []
    points.passing("after:ungate")
    assert len(deaths) == 1


def test_the_environment_arms(deaths: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "before:job#1")
    Failpoints().passing("before:job")
    assert len(deaths) == 1
