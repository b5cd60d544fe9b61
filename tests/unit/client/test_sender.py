"""The sender keeps order, tells every evaluation, puts the rest together, and counts what it cannot keep."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path

import pytest

from ballast import progress_sender
from ballast.progress_sender import Report, container_cpu_seconds

from .listening import Exporter, sender


def at(step: int, **metrics: float) -> Report:
    return Report({"step": step}, metrics)


def test_evaluations_are_all_told_in_order() -> None:
    exporter = Exporter("val_loss")
    one = sender(exporter)
    for step in range(500):
        one.add(at(step, val_loss=step))
    assert one.flush(60)
    assert [report["step"] for report in exporter.reports] == list(range(500))


def test_of_everything_else_the_newest_is_told() -> None:
    exporter = Exporter("val_loss")
    exporter.opened.clear()
    one = sender(exporter)
    for step in range(1, 301):
        metrics = {"val_loss": 1.0} if step % 100 == 0 else {"loss": step, f"part{step % 3}": step}
        one.add(at(step, **metrics))
    exporter.opened.set()
    assert one.flush(60)
    assert exporter.reports == [
        {"step": 1, "metrics": {"loss": 1, "part1": 1}},
        {"step": 99, "metrics": {"loss": 99, "part0": 99, "part1": 97, "part2": 98}},
        {"step": 100, "metrics": {"val_loss": 1}},
        {"step": 199, "metrics": {"loss": 199, "part0": 198, "part1": 199, "part2": 197}},
        {"step": 200, "metrics": {"val_loss": 1}},
        {"step": 299, "metrics": {"loss": 299, "part0": 297, "part1": 298, "part2": 299}},
        {"step": 300, "metrics": {"val_loss": 1}},
    ]


def test_what_waits_is_put_together_once_the_metric_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_sender, "MOST_PENDING", 3)
    exporter = Exporter("val_loss")
    one = sender(exporter)
    one.add(at(0))
    assert one.flush(60)
    exporter.opened.clear()
    for step in range(1, 1000):
        one.add(at(step, loss=step))
    exporter.opened.set()
    assert one.flush(60)
    assert exporter.reports[-1] == {"step": 999, "metrics": {"loss": 999}}
    assert not any("missed" in report for report in exporter.reports)


@pytest.mark.parametrize("failure", [ConnectionRefusedError("nobody"), 500, 503, 429])
def test_what_was_not_taken_is_sent_again_under_the_same_key(
    failure: int | Exception, caplog: pytest.LogCaptureFixture
) -> None:
    exporter = Exporter("val_loss", failure, failure)
    one = sender(exporter)
    one.add(at(1, val_loss=1.0))
    assert one.flush(60)
    assert [reports for _, reports in exporter.requests] == [exporter.requests[0][1]] * 3
    assert len({key for key, _ in exporter.requests}) == 1
    one.add(at(2, val_loss=1.0))
    assert one.flush(60)
    assert len({key for key, _ in exporter.requests}) == 2
    assert len(caplog.records) == 1
    assert not one.fails


def test_what_is_refused_is_left_out_counted_and_told(caplog: pytest.LogCaptureFixture) -> None:
    exporter = Exporter("val_loss", 400)
    one = sender(exporter)
    one.add(at(1, val_loss=1.0, loss=2.0))
    assert one.flush(60)
    one.add(at(2, val_loss=3.0))
    assert one.flush(60)
    assert exporter.reports[-1] == {
        "step": 2,
        "metrics": {"val_loss": 3.0},
        "missed": {"val_loss": 1, "loss": 1},
    }
    assert "refuses" in caplog.text


def test_what_cannot_be_kept_is_counted_and_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(progress_sender, "MOST_PENDING", 10)
    exporter = Exporter("val_loss")
    exporter.opened.clear()
    one = sender(exporter)
    for step in range(100):
        one.add(at(step, val_loss=step))
    exporter.opened.set()
    assert one.flush(60)
    values = [report["metrics"]["val_loss"] for report in exporter.reports]
    missed: Counter[str] = Counter()
    for report in exporter.reports:
        missed.update(report.get("missed", {}))
    assert values[-10:] == list(range(90, 100))
    assert len(values) + missed["val_loss"] == 100
    assert len([record for record in caplog.records if record.levelno == logging.WARNING]) == 1


def test_a_bug_of_ours_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    exporter = Exporter("val_loss", RuntimeError("a defect"))
    one = sender(exporter)
    one.add(at(1))
    assert one.flush(60)
    one.add(at(2))
    assert one.flush(60)
    assert [report["step"] for report in exporter.reports] == [1, 2]
    assert "a defect" in caplog.text


def test_flush_says_when_it_gives_up() -> None:
    exporter = Exporter()
    exporter.opened.clear()
    one = sender(exporter)
    one.add(at(1))
    assert not one.flush(0.05)
    exporter.opened.set()
    assert one.flush(60)


def test_an_answer_that_is_no_json_is_taken_as_one_without_a_metric() -> None:
    bodies = []

    def send(body: bytes, key: str) -> tuple[int, bytes]:
        bodies.append(body)
        return 200, b"<html>"

    one = progress_sender.Sender(send, lambda: 1.0)
    for step in range(3):
        one.add(at(step))
    assert one.flush(60)
    assert bodies


def test_what_the_exporter_leaves_out_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    one = progress_sender.Sender(lambda body, key: (200, b'{"ignored": {"lr": "too many"}}'), lambda: 1.0)
    for step in range(3):
        one.add(at(step))
        assert one.flush(60)
    assert [record.getMessage() for record in caplog.records] == ["the exporter leaves out lr (too many)"]


def test_cpu_time_comes_with_each_request() -> None:
    exporter = Exporter()
    one = sender(exporter, cpu_seconds=lambda: 12.34567)
    one.add(Report())
    assert one.flush(60)
    assert exporter.requests[0][1] == [{"cpuSeconds": 12.346}]


@pytest.mark.parametrize(
    ("file", "text", "seconds"),
    [(0, "usage_usec 2500000\nuser_usec 1\n", 2.5), (1, "1500000000\n", 1.5), (2, "500000000\n", 0.5)],
)
def test_cpu_time_of_the_container(
    file: int, text: str, seconds: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [(tmp_path / str(number), read) for number, (_, read) in enumerate(progress_sender.CPU_FILES)]
    files[file][0].write_text(text)
    monkeypatch.setattr(progress_sender, "CPU_FILES", files)
    assert container_cpu_seconds() == seconds


def test_cpu_time_of_the_process_where_there_is_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_sender, "CPU_FILES", ())
    assert 0 < container_cpu_seconds() < 100_000
