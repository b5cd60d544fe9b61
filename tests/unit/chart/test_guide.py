"""The guide to readings names every metric, recording rule and value that there is, and none that there is not."""

from __future__ import annotations

import re
from typing import Any

import yaml

from ballast.api import exporter
from ballast.exporter.report import parse_reports
from tests.cluster.helm import CHART
from tests.cluster.paths import CHECKOUT
from tests.cluster.prometheus import RULES

GUIDE = (CHECKOUT / "docs" / "guide" / "readings.md").read_text()
VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())


def test_every_metric() -> None:
    metrics = {value for value in vars(exporter).values() if isinstance(value, str) and value.startswith("ballast_")}
    assert set(re.findall(r"`(ballast_(?:pod|training)_\w+)`", GUIDE)) == metrics


def test_every_recording_rule() -> None:
    rules = {rule["record"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]}
    assert set(re.findall(r"`(ballast_\w+:\w+:\w+)`", GUIDE)) == rules


def test_every_field_of_a_report() -> None:
    table = GUIDE.split("| field | means |")[1].split("\n\n")[0]
    told = {name for cell in re.findall(r"^\| (`.+?) \|", table, re.MULTILINE) for name in re.findall(r"\w+", cell)}
    [report] = parse_reports(b'{"unknown": 1}')
    [refusal] = report.ignored.values()
    assert told == set(refusal.partition("there are ")[2].split(", "))


def test_values_that_it_names_are_the_charts() -> None:
    named = re.findall(r"(?<![./])\b((?:exporter|prometheus|podMonitor|rules)\.[a-z]\w+(?:\.\w+)?)[`= ]", GUIDE)
    assert len(named) > 10
    for path in named:
        part, name, *_ = path.split(".")
        assert name in VALUES[part], path


def test_ports_and_times_are_those_that_are_set() -> None:
    assert f"/metrics :{exporter.METRICS_PORT}" in GUIDE
    assert f"localhost:{exporter.PROGRESS_PORT}" in GUIDE
    defaults = {**VALUES["exporter"], **VALUES["prometheus"]}
    for name in ("pollSeconds", "telemetrySeconds", "staleSeconds", "lostReadingSeconds"):
        assert re.search(rf"{name}` \({defaults[name]}\)", GUIDE), name
