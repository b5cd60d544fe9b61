"""Prometheus finds the exporter and the trainer its ear, where the user's template has nothing of that name."""

from __future__ import annotations

from typing import Any

import pytest

from ballast.act.exporter_sidecar import ExporterSidecar
from ballast.act.manifests import workload
from ballast.api.trainingjob import TrainingJob
from tests.builders import JobBuilder, job

EXPORTER = ExporterSidecar("registry/exporter:1")
SCRAPE = {"prometheus.io/scrape": "true", "prometheus.io/port": "9446", "prometheus.io/path": "/metrics"}
VARIABLES = {
    "BALLAST_PROGRESS_URL": "http://127.0.0.1:9447/v1/progress",
    "KUBEFLOW_TRAINER_SERVER_URL": "http://127.0.0.1:9447/v1/kubeflow",
    "KUBEFLOW_TRAINER_SERVER_TOKEN": "/var/run/ballast.dev/progress/token",
}


def annotated(exporter: ExporterSidecar, **annotations: str) -> dict[str, str]:
    manifest = job("train").manifest()
    manifest["spec"]["template"]["metadata"] = {"annotations": annotations}
    made = workload(TrainingJob.parse(manifest), 1, exporter=exporter)["spec"]["template"]
    found: dict[str, str] = made["metadata"].get("annotations", {})
    return found


def spec(asking: JobBuilder) -> dict[str, Any]:
    found: dict[str, Any] = workload(asking.training_job(), 1, exporter=EXPORTER)["spec"]["template"]["spec"]
    return found


def variables(made: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each["value"] for each in made["containers"][0]["env"]}


def test_annotations_lead_to_it() -> None:
    assert annotated(EXPORTER, a="b") == {"a": "b", **SCRAPE}


def test_with_a_pod_monitor_they_are_not_needed() -> None:
    assert annotated(ExporterSidecar("x", annotations=False), a="b") == {"a": "b"}


def test_a_user_who_has_something_else_scraped_keeps_that_whole() -> None:
    assert annotated(EXPORTER, **{"prometheus.io/port": "8000"}) == {"prometheus.io/port": "8000"}


def test_the_trainer_knows_where_to_report_in_both_ways() -> None:
    assert variables(spec(job("train"))) == VARIABLES


def test_the_file_of_the_token_is_there_and_says_nothing_secret() -> None:
    made = spec(job("train"))
    item = {"path": "token", "fieldRef": {"fieldPath": "metadata.uid"}}
    assert {"name": "ballast-progress", "downwardAPI": {"items": [item]}} in made["volumes"]
    mount = {"name": "ballast-progress", "mountPath": "/var/run/ballast.dev/progress", "readOnly": True}
    assert made["containers"][0]["volumeMounts"] == [mount]


def test_only_the_trainer_is_told() -> None:
    manifest = job("train").manifest()
    manifest["spec"]["template"]["spec"]["containers"].append({"name": "helper", "image": "x"})
    made = workload(TrainingJob.parse(manifest), 1, exporter=EXPORTER)["spec"]["template"]["spec"]
    assert made["containers"][1] == {"name": "helper", "image": "x"}


def test_who_reports_elsewhere_goes_on_to() -> None:
    made = spec(job("train").with_env(BALLAST_PROGRESS_URL="http://mine"))
    assert variables(made) == {**VARIABLES, "BALLAST_PROGRESS_URL": "http://mine"}


@pytest.mark.parametrize("own", ["KUBEFLOW_TRAINER_SERVER_URL", "KUBEFLOW_TRAINER_SERVER_TOKEN"])
def test_nobodys_token_is_sent_to_somebody_elses_server(own: str) -> None:
    made = spec(job("train").with_env(**{own: "theirs"}))
    assert variables(made) == {"BALLAST_PROGRESS_URL": VARIABLES["BALLAST_PROGRESS_URL"], own: "theirs"}
    assert "ballast-progress" not in {each["name"] for each in made["volumes"]}


def test_a_mount_at_that_path_stays() -> None:
    mount = {"name": "mine", "mountPath": "/var/run/ballast.dev/progress/"}
    made = spec(JobBuilder("train", trainer={"volumeMounts": [mount]}))
    assert made["containers"][0]["volumeMounts"] == [mount]
    assert variables(made).keys() == {"BALLAST_PROGRESS_URL"}


def test_the_users_variables_come_last_so_that_they_may_refer_to_ours() -> None:
    names = [
        each["name"] for each in spec(job("train").with_env(MINE="$(BALLAST_PROGRESS_URL)"))["containers"][0]["env"]
    ]
    assert names[-1] == "MINE"
