"""A gang asks for its exporters, too, and may not have anything else of their names."""

from __future__ import annotations

from typing import Any

import pytest

from ballast.act.exporter_sidecar import ExporterSidecar
from ballast.act.manifests import workload
from ballast.observe.cluster_state import ClusterState, Kind
from ballast.observe.parsing import UnsupportedTemplate, gang_request, pod_request, resources
from tests.builders import NOW, JobBuilder, job

EXPORTER = ExporterSidecar("x", cpu="50m", memory="64Mi")


def asking(**fields: Any) -> JobBuilder:
    return job("train").with_cpus(2, "1Gi").with_pod_spec(**fields)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"initContainers": [{"name": "fetch", "resources": {"requests": {"cpu": "8", "memory": "1Mi"}}}]},
        {"initContainers": [{"name": "s", "restartPolicy": "Always", "resources": {"requests": {"cpu": "1"}}}]},
        {"resources": {"limits": {"cpu": "4", "memory": "2Gi"}}},
        {"hostNetwork": True},
        {"overhead": {"cpu": "250m"}},
    ],
    ids=["plain", "init", "sidecar", "whole", "host", "overhead"],
)
def test_what_is_reserved_is_what_its_pods_will_ask_for(fields: dict[str, Any]) -> None:
    training_job = asking(**fields).training_job()
    pod = workload(training_job, 1, exporter=EXPORTER)["spec"]["template"]["spec"]
    reserved = gang_request(training_job, resources(EXPORTER.requests)).per_pod
    assert dict(reserved) == pod_request(pod)


def test_without_exporters_nothing_is_added() -> None:
    assert dict(gang_request(asking().training_job()).per_pod) == {"cpu": 2000, "memory": 2**30, "pods": 1}


def test_the_cycle_sees_what_a_job_asks_for_with_them() -> None:
    state = ClusterState(sidecar=resources(EXPORTER.requests))
    state.observe(Kind.TRAINING_JOB, asking().manifest())
    [lane] = state.snapshot(NOW, 1).lanes
    [seen] = lane.jobs
    assert seen.gang is not None
    assert dict(seen.gang.per_pod)["cpu"] == 2050


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("initContainers", "ballast-exporter"),
        ("volumes", "ballast-exporter"),
        ("volumes", "ballast-exporter-agent"),
        ("volumes", "ballast-progress"),
    ],
)
def test_our_names_are_refused_with_field_and_remedy(field: str, name: str) -> None:
    with pytest.raises(UnsupportedTemplate, match="choose another name") as refused:
        gang_request(asking(**{field: [{"name": name}]}).training_job())
    assert f"spec.template.spec.{field}[{name}]" in str(refused.value)


def test_so_is_a_container_beside_the_trainer() -> None:
    manifest = asking().manifest()
    manifest["spec"]["template"]["spec"]["containers"].append({"name": "ballast-exporter"})
    with pytest.raises(UnsupportedTemplate, match=r"containers\[ballast-exporter\]"):
        gang_request(type(asking().training_job()).parse(manifest))


@pytest.mark.parametrize("names", [["data"], ["ballast-agent"], ["exporter"]])
def test_others_are_taken(names: list[str]) -> None:
    assert gang_request(asking(volumes=[{"name": name} for name in names]).training_job())
