"""The first signal asks, an echo is ignored, a second one leaves."""

from __future__ import annotations

import os
import signal

from frugal.signals import StopSignals


class Clock:
    """Moves when told."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def _signals() -> tuple[StopSignals, Clock, list[int]]:
    clock, left = Clock(), list[int]()
    return StopSignals(leave=left.append, clock=clock), clock, left


def test_first_signal_only_asks() -> None:
    signals, _, left = _signals()
    signals.handle(signal.SIGTERM)
    assert (signals.requested, left) == (signal.SIGTERM, [])


def test_launchers_echo_is_the_same_request() -> None:
    signals, clock, left = _signals()
    signals.handle(signal.SIGTERM)
    clock.now += 0.5
    signals.handle(signal.SIGTERM)
    assert left == []


def test_second_sigterm_leaves_at_once() -> None:
    signals, clock, left = _signals()
    signals.handle(signal.SIGTERM)
    clock.now += 5
    signals.handle(signal.SIGTERM)
    assert left == [143]


def test_interrupt_from_the_keyboard_after_sigterm_leaves_as_such() -> None:
    signals, clock, left = _signals()
    signals.handle(signal.SIGTERM)
    clock.now += 5
    signals.handle(signal.SIGINT)
    assert left == [130]


def test_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    signals, _, _ = _signals()
    signals.install()
    os.kill(os.getpid(), signal.SIGTERM)
    signals.restore()
    assert signals.requested == signal.SIGTERM
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
