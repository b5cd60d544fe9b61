"""A signal ends the wait at once, whenever it comes."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from ballast.exporter.signals import Signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_during_the_wait_ends_it(number: signal.Signals) -> None:
    with Signals() as signals:
        timer = threading.Timer(0.05, os.kill, (os.getpid(), number))
        timer.start()
        begun = time.time()
        assert signals.wait(30)
        timer.join()
        assert signals.first_at is not None
        assert begun <= signals.first_at < begun + 20
        assert signals.count == 1


def test_a_signal_before_the_wait_ends_it_too() -> None:
    with Signals() as signals:
        signal.raise_signal(signal.SIGTERM)
        assert signals.wait(30)


def test_one_signal_ends_one_wait_and_the_first_time_counts() -> None:
    with Signals() as signals:
        signal.raise_signal(signal.SIGTERM)
        first_at = signals.first_at
        assert signals.wait(30)
        assert not signals.wait(0.0)
        signal.raise_signal(signal.SIGTERM)
        assert signals.wait(30)
        assert (signals.first_at, signals.count) == (first_at, 2)


def test_without_a_signal_it_waits() -> None:
    with Signals() as signals:
        assert not signals.wait(0.01)
        assert not signals.wait(-5.0)
        assert signals.first_at is None


def test_handlers_are_given_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Signals():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before
