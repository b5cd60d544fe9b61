"""A second's worth may be sent at once, then one an interval; measured on a clock that only moves while asleep."""

from __future__ import annotations

import asyncio

import pytest

from ballast.kube import RateLimiter


class Clock:
    """The loop's time, which passes only in `sleep`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 5_000.0
        monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: self.now)
        monkeypatch.setattr(asyncio, "sleep", self._sleep)

    async def _sleep(self, seconds: float) -> None:
        self.now += seconds


async def sent_at(clock: Clock, limiter: RateLimiter, count: int) -> list[float]:
    start, times = clock.now, []
    for _ in range(count):
        await limiter.acquire()
        times.append(round(clock.now - start, 6))
    return times


async def test_a_burst_and_then_the_sustained_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    assert await sent_at(clock, RateLimiter(4), 7) == [0, 0, 0, 0, 0.25, 0.5, 0.75]


async def test_what_was_not_used_does_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, limiter = Clock(monkeypatch), RateLimiter(4)
    await sent_at(clock, limiter, 8)
    clock.now += 3_600
    assert await sent_at(clock, limiter, 6) == [0, 0, 0, 0, 0.25, 0.5]


async def test_less_than_one_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    assert await sent_at(clock, RateLimiter(0.5), 3) == [0, 2, 4]
