"""The recording rules, as Prometheus' own promtool evaluates them: pods count once, and jobs are told in joules."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ballast.api import exporter
from tests.cluster.binaries import resolve
from tests.cluster.catalogue import PROGRAMS
from tests.cluster.commands import run
from tests.cluster.errors import CommandError
from tests.cluster.prometheus import RULES

SCRAPE_SECONDS = 15
#: Ten minutes: every window of five is full, and one of an hour is not.
SAMPLES = 40
FALLS_AT = 30
END = "10m"


def told(
    name: str, value: float, *, rises: float = 0.0, falls_back_to: float | None = None, **labels: str
) -> dict[str, str]:
    """A series of ten minutes, from a value, and rising with each scrape; two and a half before the end it may fall."""
    names = {"namespace": "vision", "trainingjob": "digits", "job_uid": "j1", "attempt": "1", "pod_uid": "p0", **labels}
    values = f"{value}+{rises}x{SAMPLES}"
    if falls_back_to is not None:
        values = f"{value}+{rises}x{FALLS_AT - 1} {falls_back_to}+{rises}x{SAMPLES - FALLS_AT}"
    return {"series": name + json_labels(names), "values": values}


def json_labels(labels: dict[str, str]) -> str:
    """Labels as Prometheus writes them."""
    return "{" + ",".join(f"{name}={json.dumps(value)}" for name, value in labels.items()) + "}"


def energy(joules_per_second: float, *, share: str = "active", component: str = "gpu", **more: Any) -> dict[str, str]:
    """What a pod's counter tells when it draws that much."""
    rises = joules_per_second * SCRAPE_SECONDS
    return told(exporter.ENERGY, 0, rises=rises, component=component, share=share, **more)


def expect(rule: str, folder: Path, series: list[dict[str, str]], *values: float, at: str = END, **labels: str) -> None:
    """See what a rule records after some time: these values, and no others.

    Raises:
        AssertionError: It records something else.
    """
    of_job = {"namespace": "vision", "trainingjob": "digits", "job_uid": "j1"}
    names = of_job if rule.startswith("ballast_job:") else {}
    recorded = [{"labels": json_labels({**names, **labels}), "value": value} for value in values]
    tests = {
        "rule_files": [str(RULES)],
        "evaluation_interval": f"{SCRAPE_SECONDS}s",
        "tests": [
            {
                "interval": f"{SCRAPE_SECONDS}s",
                "input_series": series,
                "promql_expr_test": [
                    {"expr": f"round(sum without () ({rule}), 0.001)", "eval_time": at, "exp_samples": recorded}
                ],
            }
        ],
    }
    file = folder / "test.yaml"
    file.write_text(yaml.safe_dump(tests))
    try:
        run([resolve(PROGRAMS["promtool"]).path, "test", "rules", file])
    except CommandError as error:
        raise AssertionError(error.message) from error


def recorded_names() -> list[str]:
    """What the file records."""
    return [rule["record"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def metrics_of_the_exporter() -> set[str]:
    """The names of all metrics that an exporter tells."""
    return {value for value in vars(exporter).values() if isinstance(value, str) and value.startswith("ballast_")}


def test_promtool_has_nothing_against_them() -> None:
    assert f"{len(recorded_names())} rules found" in run([resolve(PROGRAMS["promtool"]).path, "check", "rules", RULES])


def test_each_is_named_by_level_metric_and_operations() -> None:
    for name in recorded_names():
        assert re.fullmatch(r"ballast_(pod|job|namespace):[a-z_]+:[a-z0-9_]+", name)


def test_they_ask_for_metrics_that_exporters_tell() -> None:
    asked = set(re.findall(r"\bballast_(?:pod|training)_\w+", RULES.read_text()))
    assert asked <= metrics_of_the_exporter()
    assert asked


def test_a_pod_that_is_scraped_twice_counts_once(tmp_path: Path) -> None:
    power = [told(exporter.POWER, 100, component="gpu", instance=instance) for instance in ("a", "b")]
    expect("ballast_job:pod_power_watts:sum", tmp_path, power, 100)
    joules = [energy(100, instance=instance) for instance in ("a", "b")]
    expect("ballast_job:pod_energy_joules:rate5m", tmp_path, joules, 100)


def test_a_job_draws_what_all_parts_of_all_its_pods_draw(tmp_path: Path) -> None:
    pods = [
        told(exporter.POWER, 100, component="gpu"),
        told(exporter.POWER, 20, component="cpu"),
        told(exporter.POWER, 130, component="gpu", pod_uid="p1"),
    ]
    others = [
        told(exporter.POWER, 999, component="gpu", trainingjob="digits", job_uid="j2", namespace="speech"),
    ]
    expect("ballast_job:pod_power_watts:sum{job_uid='j1'}", tmp_path, [*pods, *others], 250)
    speech = {"namespace": "speech"}
    expect("ballast_namespace:pod_power_watts:sum{namespace='speech'}", tmp_path, [*pods, *others], 999, **speech)


def test_energy_over_time_is_by_the_counters_through_a_reset(tmp_path: Path) -> None:
    series = [energy(100, falls_back_to=0), energy(50, pod_uid="p1")]
    # One scrape in twenty saw the counter begin again at nothing.
    expect("ballast_job:pod_energy_joules:rate5m", tmp_path, series, 95 + 50)


def test_the_idle_share_is_of_the_whole(tmp_path: Path) -> None:
    series = [energy(75), energy(25, share="idle")]
    expect("ballast_job:pod_idle_energy:ratio_rate5m", tmp_path, series, 0.25)


def test_a_job_that_draws_nothing_has_no_idle_share(tmp_path: Path) -> None:
    expect("ballast_job:pod_idle_energy:ratio_rate5m", tmp_path, [energy(0), energy(0, share="idle")])


@pytest.mark.parametrize(
    ("rule", "metric"),
    [
        ("ballast_job:joules_per_step:ratio_rate5m", exporter.STEP),
        ("ballast_job:joules_per_sample:ratio_rate5m", exporter.SAMPLES),
    ],
)
def test_work_is_that_of_the_job_and_costs_the_joules_of_all_its_pods(tmp_path: Path, rule: str, metric: str) -> None:
    gang = [energy(100), energy(100, pod_uid="p1")]
    # Four each second, told by one pod or by both.
    work = [told(metric, 0, rises=4 * SCRAPE_SECONDS, pod_uid=pod) for pod in ("p0", "p1")]
    expect(rule, tmp_path, [*gang, work[0]], 50)
    expect(rule, tmp_path, [*gang, *work], 50)


@pytest.mark.parametrize(
    ("rule", "metric"),
    [
        ("ballast_job:joules_per_step:ratio_rate5m", exporter.STEP),
        ("ballast_job:joules_per_sample:ratio_rate5m", exporter.SAMPLES),
    ],
)
def test_a_job_that_stands_still_has_no_joules_of_work(tmp_path: Path, rule: str, metric: str) -> None:
    expect(rule, tmp_path, [energy(100), told(metric, 7)])


def test_a_trainer_that_went_back_to_a_checkpoint_has_won_only_what_is_left(tmp_path: Path) -> None:
    """Its step falls from 1740 to 1500 and rises again; a counter's rate would take that for a reset."""
    back = told(exporter.STEP, 0, rises=60, falls_back_to=1500)
    expect("ballast_job:training_steps:rate5m", tmp_path, [back], (2100 - 1200) / 300)


def test_a_step_costs_much_the_same_in_the_first_minutes(tmp_path: Path) -> None:
    """While the window is not full, joules and steps are too low by nearly the same."""
    young = [energy(100), told(exporter.STEP, 0, rises=4 * SCRAPE_SECONDS)]
    expect("ballast_job:joules_per_step:ratio_rate5m > bool 22", tmp_path, young, 1, at="2m")
    expect("ballast_job:joules_per_step:ratio_rate5m < bool 26", tmp_path, young, 1, at="2m")


def test_a_namespace_has_used_what_its_pods_counters_rose(tmp_path: Path) -> None:
    series = [energy(100), energy(50, share="idle"), energy(1, pod_uid="p1", job_uid="j2", trainingjob="other")]
    # 151 W for the ten minutes that there are, as an hour's window sees them.
    expect("ballast_namespace:pod_energy_joules:increase1h", tmp_path, series, 151 * 600, namespace="vision")
