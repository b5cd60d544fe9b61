"""What is made of Prometheus' answers: figures by job, nothing that cannot be, and a problem where it fails."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

import pytest

from ballast.api import exporter
from ballast.api.finalreading import FinalReading, Joules
from ballast.api.source import Component, Source
from ballast.decide.telemetry import Poll
from ballast.observe.prometheus.client import Answer, PrometheusUnavailable, Row
from ballast.observe.prometheus.queries import Queries
from ballast.observe.prometheus.reader import MAX_LOST_PODS, SETTLED_SECONDS, TelemetryReader
from tests.builders import NOW

T = TypeVar("T")
PLAIN = Queries({}, 120, 60)


@dataclass
class FakePrometheus:
    """Answers by the metric's name, as the queries would group the series."""

    energy: list[Row] = field(default_factory=list)
    power: list[Row] = field(default_factory=list)
    times: list[Row] = field(default_factory=list)
    progress: list[Row] = field(default_factory=list)
    evaluations: list[Row] = field(default_factory=list)
    last: list[Row] = field(default_factory=list)
    failing: set[str] = field(default_factory=set)
    warnings: tuple[str, ...] = ()
    asked: list[str] = field(default_factory=list)

    async def query(self, expression: str, at: float, read: Callable[[Iterable[Row]], T]) -> Answer[T]:
        assert at == NOW - SETTLED_SECONDS, "by when a scrape that was under way is stored"
        self.asked.append(expression)
        kinds = {PLAIN.energy: "energy", PLAIN.power: "power", PLAIN.times: "times", PLAIN.progress: "progress"}
        kind = kinds.get(expression) or ("last" if "[1h]" in expression else "evaluations")
        if kind in self.failing:
            raise PrometheusUnavailable(f"no {kind}")
        return Answer(read(getattr(self, kind)), self.warnings)


def of_job(value: float, job: str = "job", attempt: str = "1", namespace: str = "team", **labels: str) -> Row:
    return {"namespace": namespace, "job_uid": job, "attempt": attempt, **labels}, value


def read_at(value: float, pod: str = "pod", **labels: str) -> Row:
    return of_job(value, pod_uid=pod, __name__=exporter.READ_AT, **labels)


def reported_at(value: float, pod: str = "pod", **labels: str) -> Row:
    return of_job(value, pod_uid=pod, __name__=exporter.REPORTED_AT, **labels)


def told(name: str, value: float, pod: str = "pod", namespace: str = "team", **labels: str) -> Row:
    return {"__name__": name, "namespace": namespace, "pod_uid": pod, **labels}, value


def of_pod(value: float, pod: str = "pod", namespace: str = "team", **labels: str) -> Row:
    return {"namespace": namespace, "pod_uid": pod, **labels}, value


def reader(server: FakePrometheus, **arguments: Callable[[str], str | None]) -> TelemetryReader:
    return TelemetryReader(server, {}, 15, 60, lambda: NOW, **arguments)


async def poll(server: FakePrometheus, **arguments: Callable[[str], str | None]) -> Poll:
    return await reader(server, **arguments).poll()


async def test_a_job_with_two_pods() -> None:
    server = FakePrometheus(
        energy=[
            of_pod(60.0, "a", component="gpu"),
            of_pod(40.0, "b", component="gpu"),
            of_pod(20, "a", component="cpu"),
        ],
        power=[of_pod(150.0, "a"), of_pod(100.0, "b"), of_pod(7.0, "unknown")],
        times=[read_at(NOW - 5, "a"), read_at(NOW - 9, "b")],
    )
    answer = await poll(server)
    assert answer.problem is None
    job = answer.jobs["job"]
    assert (job.attempt, job.asked_at, job.pods, job.oldest_at, job.watts) == (1, NOW, 2, NOW - 9, 250.0)
    assert job.joules == {Component.GPU: 100.0, Component.CPU: 20.0}
    assert job.read_at == NOW - 7, "on average"
    assert job.training is None
    assert len(server.asked) == 4


async def test_only_the_latest_attempt_is_told() -> None:
    server = FakePrometheus(
        energy=[of_pod(100.0, "old", component="gpu"), of_pod(3.0, "new", component="gpu")],
        times=[read_at(NOW - 30, "old"), read_at(NOW - 1, "new", attempt="2")],
    )
    job = (await poll(server)).jobs["job"]
    assert (job.attempt, job.joules, job.oldest_at) == (2, {Component.GPU: 3.0}, NOW - 1)


@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0, 1e300])
async def test_figures_that_cannot_be_are_none(value: float) -> None:
    server = FakePrometheus(
        energy=[of_pod(value, component="gpu"), of_pod(5.0, component="cpu")],
        power=[of_pod(value)],
        times=[read_at(NOW), reported_at(NOW)],
        progress=[told(name, value) for name in (exporter.STEP, exporter.PERCENT, exporter.SECONDS_LEFT)],
    )
    job = (await poll(server)).jobs["job"]
    assert (job.joules, job.watts) == ({Component.CPU: 5.0}, None)
    assert job.training is not None
    assert (job.training.step, job.training.percent, job.training.seconds_left) == (None, None, None)


@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0, 0.0, 1e300])
async def test_times_that_cannot_be_are_none(value: float) -> None:
    job = (await poll(FakePrometheus(times=[read_at(value), reported_at(NOW)]))).jobs["job"]
    assert (job.pods, job.oldest_at, job.read_at) == (0, None, None)


@pytest.mark.parametrize("labels", [{"attempt": "-1"}, {"attempt": "x"}, {"attempt": "9" * 30}, {"job": ""}])
async def test_series_of_no_job_are_left_out(labels: dict[str, str]) -> None:
    assert (await poll(FakePrometheus(times=[read_at(NOW, **labels)]))).jobs == {}


@pytest.mark.parametrize("pod", ["", "x" * 1000])
async def test_a_pod_uid_that_cannot_be_is_none(pod: str) -> None:
    assert (await poll(FakePrometheus(times=[read_at(NOW, pod)]))).jobs == {}


async def test_an_unknown_component_is_left_out() -> None:
    job = (await poll(FakePrometheus(energy=[of_pod(1.0, component="flux")], times=[read_at(NOW)]))).jobs["job"]
    assert job.joules == {}


async def test_a_clock_that_is_ahead_is_never_fresher_than_now() -> None:
    assert (await poll(FakePrometheus(times=[read_at(NOW + 100)]))).jobs["job"].oldest_at == NOW
    assert (await poll(FakePrometheus(times=[read_at(NOW + 1000)]))).jobs == {}


async def test_what_passes_by_a_clock_that_is_ahead_is_right_all_the_same() -> None:
    server = FakePrometheus(times=[read_at(NOW + 5), reported_at(NOW + 7)], progress=[told(exporter.STEP, 3)])
    job = (await poll(server)).jobs["job"]
    assert job.training is not None
    assert (job.read_at, job.training.reported_at) == (NOW + 5, NOW + 7)


async def test_another_namespaces_pod_cannot_pass_for_a_jobs() -> None:
    server = FakePrometheus(
        energy=[of_pod(7.0, component="gpu"), of_pod(1e9, namespace="foe", component="gpu")],
        times=[read_at(NOW), read_at(NOW, attempt="9", namespace="foe"), read_at(NOW, job="unknown")],
    )
    answer = await poll(server, namespace_of_job={"job": "team"}.get)
    assert answer.jobs.keys() == {"job"}
    assert (answer.jobs["job"].attempt, answer.jobs["job"].joules) == (1, {Component.GPU: 7.0})


async def test_a_scraper_that_tells_no_namespace_is_believed() -> None:
    server = FakePrometheus(times=[read_at(NOW, namespace="")])
    assert (await poll(server, namespace_of_job={"job": "team"}.get)).jobs.keys() == {"job"}


async def test_pods_scraped_by_two_jobs_of_which_one_tells_no_namespace_count_once() -> None:
    both = [read_at(NOW), read_at(NOW, namespace="")]
    assert (await poll(FakePrometheus(times=both))).jobs["job"].pods == 1


def ring_of(count: int, pod: str = "pod") -> list[Row]:
    rows = [told(exporter.EVALUATIONS, count, pod)]
    for number in range(max(count - exporter.RING, 0) + 1, count + 1):
        slot = str(number % exporter.RING)
        rows.append(told(exporter.EVALUATION_VALUE, number / 8, pod, slot=slot))
        rows.append(told(exporter.EVALUATION_STEP, number * 10, pod, slot=slot))
    return rows


async def test_progress_and_evaluations() -> None:
    server = FakePrometheus(
        times=[reported_at(NOW - 3)],
        progress=[
            told(exporter.STEP, 40),
            told(exporter.TOTAL_STEPS, 100),
            told(exporter.BEST, 0.125),
            told(exporter.STEPS_PER_SECOND, 2.5),
            told(exporter.EVALUATIONS, 3),
        ],
        evaluations=ring_of(3),
    )
    reads = reader(server)
    training = (await reads.poll()).jobs["job"].training
    assert training is not None
    assert (training.step, training.total_steps, training.best, training.steps_per_second) == (40, 100, 0.125, 2.5)
    assert (training.reported_at, training.evaluations, training.metric) == (NOW - 3, 3, 0.375)
    assert [(each.number, each.value, each.step) for each in training.ring] == [
        (1, 0.125, 10),
        (2, 0.25, 20),
        (3, 0.375, 30),
    ]
    assert len(server.asked) == 5
    again = (await reads.poll()).jobs["job"].training
    assert again is not None
    assert (again.ring, again.evaluations, again.metric) == ((), 3, 0.375)
    assert len(server.asked) == 9, "nothing is new, and no ring is read"


async def test_evaluations_that_nobody_can_know_are_counted() -> None:
    server = FakePrometheus(
        times=[reported_at(NOW)], progress=[told(exporter.EVALUATIONS, 20)], evaluations=ring_of(20)
    )
    assert (await poll(server)).jobs["job"].missed_evaluations == 20 - exporter.RING


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
async def test_a_training_that_diverges_is_told(value: float) -> None:
    """As Prometheus tells such values; neither a count nor a step may be one."""
    server = FakePrometheus(
        times=[reported_at(NOW)],
        progress=[told(exporter.EVALUATIONS, 2), told(exporter.BEST, value)],
        evaluations=[
            *ring_of(1),
            told(exporter.EVALUATIONS, 2),
            told(exporter.EVALUATIONS, value),
            told(exporter.EVALUATION_VALUE, value, slot="2"),
            told(exporter.EVALUATION_TRAINING_VALUE, value, slot="2"),
            told(exporter.EVALUATION_STEP, value, slot="2"),
        ],
    )
    job = (await poll(server)).jobs["job"]
    assert job.training is not None
    diverged = job.training.ring[-1]
    for each in (diverged.value, diverged.training_value):
        assert each == pytest.approx(value, nan_ok=True)
    assert (diverged.number, diverged.step, job.missed_evaluations) == (2, None, 0)
    assert (job.training.metric, job.training.best) == (None, None), "as an exporter's last words have it"


async def test_of_several_trainers_the_furthest_is_believed_and_then_the_same() -> None:
    server = FakePrometheus(
        times=[reported_at(NOW, "a"), reported_at(NOW, "b")],
        progress=[
            told(exporter.STEP, 1, "a"),
            told(exporter.EVALUATIONS, 1, "a"),
            told(exporter.STEP, 2, "b"),
            told(exporter.EVALUATIONS, 2, "b"),
        ],
        evaluations=[*ring_of(1, "a"), *ring_of(2, "b")],
    )
    reads = reader(server)
    first = (await reads.poll()).jobs["job"].training
    server.progress[1] = told(exporter.EVALUATIONS, 5, "a")
    second = (await reads.poll()).jobs["job"].training
    assert first is not None
    assert second is not None
    assert [first.step, second.step] == [2, 2]
    assert (len(first.ring), second.ring) == (2, ())


async def test_what_one_query_lacks_is_unknown_and_the_rest_is_told() -> None:
    server = FakePrometheus(power=[of_pod(5.0)], times=[read_at(NOW)], failing={"energy"})
    answer = await poll(server)
    assert answer.problem == "no energy"
    assert (answer.jobs["job"].watts, answer.jobs["job"].joules) == (5.0, {})


async def test_no_answer_at_all_is_a_problem_and_nothing_else() -> None:
    server = FakePrometheus(failing={"energy", "power", "times", "progress"})
    assert await poll(server) == Poll(NOW, problem="no energy")


async def test_an_answer_in_part_is_a_problem_with_figures() -> None:
    answer = await poll(FakePrometheus(times=[read_at(NOW)], warnings=("a store is down",)))
    assert answer.problem == "Prometheus does not know all: a store is down"
    assert answer.jobs.keys() == {"job"}


async def test_evaluations_are_not_lost_with_a_query_that_failed() -> None:
    server = FakePrometheus(
        times=[reported_at(NOW)],
        progress=[told(exporter.EVALUATIONS, 2)],
        evaluations=ring_of(2),
        failing={"evaluations"},
    )
    reads = reader(server)
    failed = (await reads.poll()).jobs["job"]
    server.failing.clear()
    later = (await reads.poll()).jobs["job"]
    assert failed.training is not None
    assert later.training is not None
    assert (failed.training.ring, failed.training.evaluations, failed.missed_evaluations) == ((), 0, 0)
    assert (len(later.training.ring), later.missed_evaluations) == (2, 0)


def last(name: str, value: float, pod: str = "lost", namespace: str = "team", **labels: str) -> Row:
    return of_job(value, namespace=namespace, pod_uid=pod, __name__=name, **labels)


async def test_the_last_of_pods_that_went_without_a_word() -> None:
    server = FakePrometheus(
        last=[
            last(exporter.READ_AT, NOW - 200),
            last(exporter.ENERGY, 50.0, component="gpu", share="active"),
            last(exporter.ENERGY, 5.0, component="gpu", share="idle"),
            last(exporter.SOURCE, 1.0, component="gpu", source="Counter"),
            *(last(exporter.SOURCE, 1.0, component="gpu", source=source) for source in ("Integral", "Estimated")),
            last(exporter.ENERGY, math.nan, component="cpu", share="active"),
            last(exporter.ENERGY, 9.0, pod="other", component="gpu", share="active"),
        ]
    )
    answer = await reader(server).poll(["lost"])
    assert answer.pods == {"lost": FinalReading(NOW - 200, {Component.GPU: Joules(50.0, 5.0, Source.ESTIMATED)})}


async def test_a_pod_of_another_namespace_cannot_speak_for_one_that_is_lost() -> None:
    server = FakePrometheus(last=[last(exporter.ENERGY, 1e9, namespace="foe", component="gpu", share="active")])
    assert (await reader(server, namespace_of_pod={"lost": "team"}.get).poll(["lost"])).pods == {}


async def test_of_very_many_lost_pods_all_are_asked_for_in_turn() -> None:
    server = FakePrometheus()
    reads = reader(server)
    pods = [f"pod-{number}-" for number in range(MAX_LOST_PODS + 10)]
    for _ in range(2):
        await reads.poll(pods)
    asked = [query for query in server.asked if "[1h]" in query]
    assert len(asked) == 2
    assert all(any(pod in query for query in asked) for pod in pods)
    assert all(query.count("pod-") == MAX_LOST_PODS for query in asked)


async def test_rows_that_make_no_sense_are_a_problem_and_no_crash(caplog: pytest.LogCaptureFixture) -> None:
    server = FakePrometheus(times=[({"job_uid": "job", "attempt": "1", "pod_uid": "pod"}, NOW)])
    answer = await poll(server)
    assert answer.jobs == {}
    assert answer.problem is not None
    assert "cannot be read" in answer.problem
    caplog.clear()


async def test_a_problem_is_logged_once_and_so_is_its_end(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="ballast.observe.prometheus.reader")
    server = FakePrometheus(failing={"energy", "power", "times", "progress"})
    reads = TelemetryReader(server, {}, 0.001, 60, lambda: NOW)
    polls: list[Poll] = []

    def take(poll: Poll) -> None:
        polls.append(poll)
        if len(polls) == 3:
            server.failing.clear()
        if len(polls) == 6:
            running.cancel()

    running = asyncio.create_task(reads.run(take))
    with pytest.raises(asyncio.CancelledError):
        await running
    assert [poll.problem for poll in polls] == ["no energy"] * 3 + [None] * 3
    assert [record.message for record in caplog.records] == [
        "Prometheus does not tell what jobs use and how far they are",
        "Prometheus answers again",
    ]
