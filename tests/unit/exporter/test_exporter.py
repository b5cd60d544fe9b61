"""Nothing is told before it is saved; at the end the meter's look after the signal is waited for, but not for long."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ballast.api import exporter as names
from ballast.api.finalreading import FinalReading, parse
from ballast.api.source import Component
from ballast.exporter.agent_client import NoAgent, NotKnownYet
from ballast.exporter.exporter import ENDING_POLL_SECONDS, ENDING_SECONDS, STUCK_SECONDS, Exporter
from ballast.exporter.fallback import CpuEstimate, Fallback
from ballast.exporter.meter import Meter
from ballast.exporter.progress import Progress
from ballast.exporter.readings import Readings
from ballast.exporter.report import Report
from ballast.exporter.settings import ExporterSettings
from ballast.exporter.signals import Signals
from ballast.exporter.state_file import FILE, StateFile
from ballast.exporter.totals import Totals
from tests.unit.exporter.fakes import Agent, Clock


class Ending(Signals):
    """A signal that comes during the wait after so many polls."""

    def __init__(self, clock: Clock, after: int, on_signal: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self._clock = clock
        self._left = after
        self._on_signal = on_signal

    def wait(self, seconds: float) -> bool:
        assert seconds < 10, "it waits for too long"
        self._clock.advance(seconds)
        self._left -= 1
        if self._left == 0:
            self.signal()
        return self._left == 0

    def signal(self) -> None:
        self.count += 1
        self.first_at = self.first_at or self._clock.wall()
        self.first_steady = self.first_steady or self._clock.steady()
        self._on_signal()


class Pod:
    """A pod with an agent that answers."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.agent = Agent(self.clock)
        self.progress = Progress("eval_loss", clock=self.clock.wall)
        self.settings = ExporterSettings(
            poll_seconds=5.0,
            pod_uid="uid-1",
            metric="eval_loss",
            state_path=folder,
            termination_log=folder / "termination-log",
        )
        self.settings.termination_log.touch()
        self.exporter = Exporter(self.settings, self.progress, self._meter, self.clock.steady)

    def _meter(self, totals: Totals) -> Meter:
        cpu = CpuEstimate(lambda: None, 0.0, self.clock.steady)
        fallback = Fallback(cpu, lambda: None)
        return Meter(self.agent, fallback, totals, "uid-1", 5.0, self.clock.steady, self.clock.wall)

    def words(self) -> FinalReading:
        words = parse(self.settings.termination_log.read_text())
        assert words is not None
        return words

    def text(self) -> str:
        return self.exporter.metrics().decode()


def report(pod: Pod, step: int) -> None:
    pod.progress.report(Report(step=step))


@pytest.fixture
def pod(tmp_path: Path) -> Pod:
    return Pod(tmp_path)


def test_what_is_told_was_saved_before(pod: Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[bool] = []
    real = StateFile.save

    def save(file: StateFile, state: dict[str, object]) -> bool:
        told.append("4321" in pod.text() or "4321" in pod.settings.termination_log.read_text())
        return real(file, state)

    pod.agent.active = 4_321.0
    monkeypatch.setattr(StateFile, "save", save)
    pod.exporter.poll()
    assert told == [False]
    assert "4321" in (pod.settings.state_path / FILE).read_text()
    assert "4321" in pod.text()
    assert pod.words().joules[Component.GPU].active == 4_321.0


def test_a_scrape_saves_what_the_trainer_has_reported_since(pod: Pod) -> None:
    pod.exporter.poll()
    pod.clock.advance(1.0)
    pod.progress.report(Report(step=7, metrics={"eval_loss": 0.5}))
    assert f"{names.EVALUATIONS}{{" in pod.text()
    saved = json.loads((pod.settings.state_path / FILE).read_text())
    assert saved["state"]["progress"]["step"] == 7


def test_state_that_makes_no_sense_is_told_and_counting_begins_anew(
    pod: Pod, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    StateFile(tmp_path, "uid-1").save({"totals": {"since": "x"}, "progress": {}})
    again = Pod(tmp_path)
    assert "counting begins anew" in caplog.text
    assert again.exporter.poll().joules[Component.GPU].active == 10.0


def test_what_was_known_before_a_restart_is_told_without_an_agent(pod: Pod, tmp_path: Path) -> None:
    pod.exporter.poll()
    words, again = pod.words(), Pod(tmp_path)
    again.agent.answer = NoAgent("gone")
    again.exporter.poll()
    assert again.words() == words
    assert f"{names.GPU_ENERGY}{{" in again.text()
    assert names.POWER not in again.text()


def test_it_polls_at_a_steady_pace_until_the_signal(pod: Pod) -> None:
    begun = pod.clock.seconds
    pod.exporter.run(Ending(pod.clock, after=3))
    assert [at - begun for at in pod.agent.asked[:3]] == [0.0, 5.0, 10.0]


def test_an_agent_that_does_not_know_the_pod_yet_is_asked_again_soon_but_not_for_ever(pod: Pod) -> None:
    begun, pod.agent.answer = pod.clock.seconds, NotKnownYet("it is young")
    pod.exporter.run(Ending(pod.clock, after=36))
    asked = [at - begun for at in pod.agent.asked]
    assert asked[:4] == [0.0, 1.0, 2.0, 3.0]
    assert 35.0 in asked
    assert not {31.0, 34.0, 36.0} & set(asked)


def test_an_agent_that_answers_again_is_asked_at_the_steady_pace(pod: Pod) -> None:
    begun, pod.agent.answer = pod.clock.seconds, NotKnownYet("it is young")
    pod.exporter.poll()
    pod.agent.answer = None
    pod.exporter.run(Ending(pod.clock, after=3))
    assert [at - begun for at in pod.agent.asked[1:4]] == [0.0, 5.0, 10.0]


def test_one_look_after_the_signal_is_enough(pod: Pod) -> None:
    signals = Ending(pod.clock, after=2)

    def look_a_little_later() -> None:
        pod.agent.at, pod.agent.active = pod.clock.wall() + 0.1, 77.0

    signals._on_signal = look_a_little_later
    pod.exporter.run(signals)
    assert len(pod.agent.asked) == 3
    assert pod.words().joules[Component.GPU].active == 77.0
    assert pod.words().is_last


def test_a_look_before_the_signal_is_not(pod: Pod) -> None:
    signals = Ending(pod.clock, after=2)

    def look_before() -> None:
        pod.agent.at = pod.clock.wall() - 0.1

    signals._on_signal = look_before
    pod.exporter.run(signals)
    ended = pod.agent.asked[2:]
    assert len(ended) == pytest.approx(ENDING_SECONDS / ENDING_POLL_SECONDS, abs=1)
    assert ended[-1] - ended[0] < ENDING_SECONDS
    assert not pod.words().is_last


def test_a_second_signal_means_now(pod: Pod) -> None:
    signals = Ending(pod.clock, after=2)

    def twice() -> None:
        pod.agent.at = pod.clock.wall() - 0.1
        signals.count = 2

    signals._on_signal = twice
    pod.exporter.run(signals)
    assert len(pod.agent.asked) == 3


def test_an_agent_that_was_away_is_asked_once_more(pod: Pod) -> None:
    pod.agent.answer = NoAgent("gone")
    signals = Ending(pod.clock, after=2)

    def come_back() -> None:
        pod.agent.answer, pod.agent.active, pod.agent.at = None, 99.0, pod.clock.wall() + 0.1

    signals._on_signal = come_back
    pod.exporter.run(signals)
    assert pod.words().joules[Component.GPU].active == 99.0


def test_an_agent_that_is_away_is_not_waited_for(pod: Pod) -> None:
    pod.exporter.poll()
    signals = Ending(pod.clock, after=1)
    signals._on_signal = lambda: setattr(pod.agent, "answer", NoAgent("gone"))
    pod.exporter.run(signals)
    assert len(pod.agent.asked) == 3
    assert pod.words().joules[Component.GPU].active == 10.0
    assert not pod.words().is_last


def test_what_the_trainer_reported_last_is_said_before_the_agent_is_asked(
    pod: Pod, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[FinalReading] = []
    real = pod.agent.ask

    def ask(timeout_seconds: float) -> Readings:
        said.append(pod.words())
        return real(timeout_seconds)

    pod.exporter.poll()
    monkeypatch.setattr(pod.agent, "ask", ask)
    signals = Ending(pod.clock, after=1)
    signals._on_signal = lambda: report(pod, 42)
    pod.exporter.run(signals)
    training = said[1].training
    assert training is not None
    assert training.step == 42


def test_without_anything_known_nothing_is_said(pod: Pod) -> None:
    pod.agent.answer = NoAgent("gone")
    pod.exporter.poll()
    assert pod.settings.termination_log.read_text() == ""


def test_it_is_well_while_it_polls(pod: Pod) -> None:
    pod.exporter.poll()
    pod.clock.advance(STUCK_SECONDS)
    assert pod.exporter.is_well()
    pod.clock.advance(2 * pod.settings.poll_seconds)
    assert not pod.exporter.is_well()
    pod.exporter.poll()
    assert pod.exporter.is_well()


def test_what_a_step_costs_is_told(pod: Pod) -> None:
    for step in (1, 2):
        report(pod, step)
        pod.agent.active = 100.0 * step
        pod.exporter.poll()
        pod.clock.advance(5.0)
    assert f"{names.JOULES_PER_STEP}{{" in pod.text()
