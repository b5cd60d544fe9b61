"""Reports are read as a whole or refused, and a refusal names field, value and remedy."""

from __future__ import annotations

import json
import math

import pytest

from ballast.exporter.report import MOST_METRICS, MOST_REPORTS, Report, ReportRefused, parse_reports


def test_every_field_is_read() -> None:
    content = {
        "step": 12,
        "totalSteps": 100.0,
        "epoch": 1.5,
        "samples": 1200,
        "percent": 12,
        "secondsLeft": 88.5,
        "cpuSeconds": 3.25,
        "metrics": {"loss": 0.3, "eval/acc-1": 1},
        "missed": {"loss": 2},
    }
    assert parse_reports(json.dumps(content).encode()) == (
        Report(
            step=12,
            total_steps=100,
            epoch=1.5,
            samples=1200,
            percent=12,
            seconds_left=88.5,
            cpu_seconds=3.25,
            metrics={"loss": 0.3, "eval/acc-1": 1},
            missed={"loss": 2},
        ),
    )


def test_what_is_null_was_not_told() -> None:
    body = b'{"step": null, "epoch": null, "metrics": {"loss": null, "lr": 1}, "missed": null}'
    assert parse_reports(body) == (Report(metrics={"lr": 1}),)


def test_several_reports_keep_their_order() -> None:
    assert parse_reports(b'[{"step": 1}, {"step": 2}]') == (Report(step=1), Report(step=2))


def test_a_field_that_is_not_known_is_left_out_and_told() -> None:
    (report,) = parse_reports(b'{"step": 1, "totalstep": 5, "a b": 1}')
    assert report.step == 1
    assert report.ignored.keys() == {"totalstep", '"a b"'}
    assert "totalSteps" in report.ignored["totalstep"]


@pytest.mark.parametrize("text", ["NaN", '"NaN"'])
def test_a_metric_may_be_no_number(text: str) -> None:
    (report,) = parse_reports(f'{{"metrics": {{"loss": {text}}}}}'.encode())
    assert math.isnan(report.metrics["loss"])


@pytest.mark.parametrize(("text", "value"), [("Infinity", math.inf), ('"-Infinity"', -math.inf)])
def test_a_metric_may_be_infinite(text: str, value: float) -> None:
    (report,) = parse_reports(f'{{"metrics": {{"loss": {text}}}}}'.encode())
    assert report.metrics["loss"] == value


@pytest.mark.parametrize(
    ("body", "field", "value", "remedy"),
    [
        (b"", "", '""', "JSON object"),
        (b"step=12", "", '"step=12"', "JSON object"),
        (b"12", "", "12", "JSON object"),
        (b"[]", "", "[]", f"1 to {MOST_REPORTS} reports"),
        (b"[" + b"{}," * MOST_REPORTS + b"{}]", "", "[{}, {}", f"1 to {MOST_REPORTS} reports"),
        (b'[{"step": 1}, 2]', "", "2", "JSON object"),
        (b"[" * 100_000, "", '"[[[', "JSON object"),
        (b'{"step": -1}', "step", "-1", "at least 0"),
        (b'{"step": 1.5}', "step", "1.5", "whole number"),
        (b'{"step": true}', "step", "true", "number"),
        (b'{"step": "12"}', "step", '"12"', "number"),
        (b'{"step": 1e300}', "step", "1e+300", "2^53"),
        (b'{"step": 1' + b"0" * 400 + b"}", "step", "1000", "number"),
        (b'{"step": NaN}', "step", "NaN", "number"),
        (b'{"totalSteps": 0}', "totalSteps", "0", "from 1"),
        (b'{"epoch": Infinity}', "epoch", "Infinity", "number"),
        (b'{"percent": 100.5}', "percent", "100.5", "from 0 to 100"),
        (b'{"secondsLeft": -0.1}', "secondsLeft", "-0.1", "at least 0"),
        (b'{"metrics": [1]}', "metrics", "[1]", "object"),
        (b'{"metrics": {"a b": 1}}', "metrics", '"a b"', "letters"),
        (b'{"metrics": {"": 1}}', "metrics", '""', "letters"),
        (b'{"metrics": {"loss": "low"}}', "metrics.loss", '"low"', '"NaN"'),
        (b'{"metrics": {"loss": false}}', "metrics.loss", "false", "number"),
        (b'{"missed": {"loss": -1}}', "missed.loss", "-1", "at least 0"),
        (b'{"missed": 3}', "missed", "3", "object"),
    ],
)
def test_refusals(body: bytes, field: str, value: str, remedy: str) -> None:
    with pytest.raises(ReportRefused) as refused:
        parse_reports(body)
    assert refused.value.field == field
    assert refused.value.value.startswith(value)
    assert remedy in refused.value.remedy
    assert len(str(refused.value)) < 300


def test_too_many_metrics_are_refused() -> None:
    body = json.dumps({"metrics": {f"m{number}": 1 for number in range(MOST_METRICS + 1)}}).encode()
    with pytest.raises(ReportRefused, match="at most 256"):
        parse_reports(body)


def test_what_is_nested_deeply_is_refused_in_few_words() -> None:
    for depth in range(100, 1200, 50):
        with pytest.raises(ReportRefused):
            parse_reports(b'{"step": ' + b"[" * depth + b"]" * depth + b"}")


@pytest.mark.parametrize("field", ["samples", "cpuSeconds"])
def test_what_is_added_up_over_processes_stays_a_number(field: str) -> None:
    with pytest.raises(ReportRefused, match=field):
        parse_reports(json.dumps({field: 1.7e308}).encode())
