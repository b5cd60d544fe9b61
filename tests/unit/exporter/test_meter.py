"""An agent is asked as often as it likes; while it is away for long the fallback counts; troubles are told once."""

from __future__ import annotations

import logging
from itertools import pairwise

import pytest

from ballast.api.source import Component, Source
from ballast.exporter.agent_client import NoAccess, NoAgent, NotKnownYet, Refused
from ballast.exporter.fallback import CpuEstimate, Fallback
from ballast.exporter.meter import AWAY_SECONDS, FRESH_SECONDS, Meter
from ballast.exporter.readings import BadReadings
from ballast.exporter.totals import Figures, Totals
from tests.unit.exporter.fakes import EPOCH, Agent, Clock

PERIOD = 5.0


class Polled:
    """A meter that is polled every five seconds."""

    def __init__(self, has_agent: bool = True) -> None:
        self.clock = Clock()
        self.agent = Agent(self.clock)
        cpu = CpuEstimate(lambda: None, 1_000.0, self.clock.steady)
        self.fallback = Fallback(cpu, lambda: None)
        self.meter = Meter(
            self.agent if has_agent else None,
            self.fallback,
            Totals(),
            "uid-1",
            PERIOD,
            self.clock.steady,
            self.clock.wall,
        )
        self.figures = Figures()

    def poll(self, times: int = 1) -> Figures:
        for _ in range(times):
            self.clock.advance(PERIOD)
            self.figures = self.meter.poll()
        return self.figures

    def asked_after(self, times: int) -> list[float]:
        """How long apart the questions of the next polls are, in periods."""
        self.agent.asked.clear()
        self.poll(times)
        asked = self.agent.asked
        return [(later - earlier) / PERIOD for earlier, later in pairwise(asked)]


def test_what_the_agent_says_is_told() -> None:
    polled = Polled()
    figures = polled.poll()
    assert (figures.at, figures.joules[Component.GPU].active) == (polled.clock.wall(), 10.0)
    assert figures.watts == {Component.GPU: 100.0}
    (gpu,) = figures.gpus
    assert (gpu.uuid, gpu.joules, gpu.watts, gpu.power_limit_watts) == ("GPU-1", 10.0, 100.0, 300.0)


def test_an_agent_that_answers_is_asked_at_each_poll() -> None:
    assert Polled().asked_after(4) == [1, 1, 1]


@pytest.mark.parametrize("error", [NoAgent("gone"), Refused(401, "who?"), Refused(503, "later", 1.0)])
def test_one_that_does_not_is_asked_ever_more_seldom(error: Exception) -> None:
    polled = Polled()
    polled.agent.answer = error
    assert polled.asked_after(60) == [1, 2, 4, 8, 12, 12, 12]


def test_one_that_wants_to_be_left_alone_is() -> None:
    polled = Polled()
    polled.agent.answer = Refused(429, "slow", 22.0)
    assert polled.asked_after(11) == [5, 5]


def test_one_that_answers_again_is_asked_at_each_poll_again() -> None:
    polled = Polled()
    polled.agent.answer = NoAgent("gone")
    polled.poll(60)
    polled.agent.answer = None
    polled.poll(12)
    assert polled.asked_after(3) == [1, 1]


@pytest.mark.parametrize("error", [NotKnownYet("ask again"), NoAccess("no token yet")])
def test_what_only_takes_a_moment_is_asked_for_again_at_once(error: Exception) -> None:
    polled = Polled()
    polled.agent.answer = error
    assert polled.asked_after(4) == [1, 1, 1]


def test_at_the_end_it_is_asked_whatever_it_said() -> None:
    polled = Polled()
    polled.agent.answer = NoAgent("gone")
    polled.poll(60)
    polled.agent.asked.clear()
    polled.meter.poll(insist=True)
    assert len(polled.agent.asked) == 1
    assert polled.meter.is_refused


def test_another_pods_readings_are_refused() -> None:
    polled = Polled()
    polled.agent.pod_uid = "uid-2"
    assert polled.poll().joules == {}


def test_each_kind_of_trouble_is_told_once_and_once_that_it_is_over(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    polled = Polled()
    polled.poll()
    for error in (NoAgent("a"), NoAgent("b"), Refused(503, "c"), NoAgent("d"), BadReadings("e")):
        polled.agent.answer = error
        polled.clock.advance(PERIOD)
        polled.meter.poll(insist=True)
    polled.agent.answer = None
    polled.clock.advance(PERIOD)
    polled.meter.poll(insist=True)
    polled.poll(3)
    told = [(record.levelname, getattr(record, "error", "")) for record in caplog.records]
    assert told == [("WARNING", "a"), ("WARNING", "the agent answers 503: c"), ("WARNING", "e"), ("INFO", "")]


def test_that_a_young_pod_is_not_known_yet_is_no_trouble(caplog: pytest.LogCaptureFixture) -> None:
    polled = Polled()
    polled.agent.answer = NotKnownYet("ask again")
    polled.poll(int(AWAY_SECONDS / PERIOD) - 1)
    assert caplog.records == []
    polled.poll()
    assert "ask again" in str(caplog.records[0].__dict__["error"])


def test_a_short_absence_is_nothing_to_count() -> None:
    polled = Polled()
    before = polled.poll()
    polled.agent.answer = NoAgent("gone")
    assert polled.poll(int(AWAY_SECONDS / PERIOD) - 1) is before


def test_after_a_longer_one_the_fallback_counts_from_the_last_answer_on() -> None:
    polled = Polled()
    polled.poll()
    polled.agent.answer = NoAgent("gone")
    figures = polled.poll(int(AWAY_SECONDS / PERIOD))
    cpu = figures.joules[Component.CPU]
    assert cpu.total == pytest.approx(3.5 * AWAY_SECONDS)  # one thread, busy
    assert cpu.source is Source.ESTIMATED
    assert figures.joules[Component.GPU].active == 10.0
    assert figures.at == polled.clock.wall()
    assert figures.watts == {Component.CPU: pytest.approx(3.5)}


def test_it_stops_when_the_agent_is_back() -> None:
    polled = Polled()
    polled.poll()
    polled.agent.answer = NoAgent("gone")
    polled.poll(20)
    polled.agent.answer, polled.agent.active = None, 500.0
    figures = polled.poll(12)
    assert not polled.fallback.is_counting
    assert figures.joules[Component.GPU].active == 500.0
    assert figures.watts == {Component.GPU: 100.0}


def test_without_an_agent_the_fallback_counts_from_the_start() -> None:
    figures = Polled(has_agent=False).poll()
    assert figures.joules[Component.CPU].total == pytest.approx(3.5 * PERIOD)


def test_watts_hold_for_a_while_after_the_meter_looked() -> None:
    polled = Polled()
    polled.poll()
    polled.agent.at = polled.clock.wall()
    looked = polled.clock.seconds
    assert polled.poll(1).fresh_until == pytest.approx(looked + FRESH_SECONDS)
    assert polled.poll(9).fresh_until == pytest.approx(looked + FRESH_SECONDS)


def test_a_meter_that_has_stopped_long_ago_has_no_watts_after_a_restart_of_the_exporter() -> None:
    polled = Polled()
    polled.agent.at = polled.clock.wall() - 3_600
    assert polled.poll().fresh_until < polled.clock.seconds


def test_clocks_that_disagree_do_not_make_watts_stale() -> None:
    polled = Polled()
    polled.agent.at = EPOCH - 3_600
    polled.poll()
    polled.agent.at += 1
    assert polled.poll().fresh_until == polled.clock.seconds + FRESH_SECONDS
