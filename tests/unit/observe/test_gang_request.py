"""What a TrainingJob asks of the cluster; a template that placement cannot honour is refused with a remedy."""

from __future__ import annotations

from typing import Any

import pytest

from ballast.api.trainingjob import Objective, TrainingJob
from ballast.decide.gang_request import Requirement, SelectorTerm, Toleration
from ballast.observe.parsing import UnsupportedTemplate, gang_request
from tests.builders import job


def test_resources_of_one_pod_and_size_of_the_gang() -> None:
    gang = job("train").with_gpus(4).with_cpus(8, "2Ki").replicas(3).gang()
    assert gang.replicas == 3
    assert gang.per_pod == (("cpu", 8000), ("memory", 2048), ("nvidia.com/gpu", 4), ("pods", 1))
    assert gang.gpus_per_pod == 4


def test_energy() -> None:
    gang = job("train").minimizing("Balanced").slowed_by_at_most(25).gang()
    assert (gang.objective, gang.max_slowdown_percent) == (Objective.BALANCED, 25)


def test_where_it_may_run() -> None:
    expression = {"key": "zone", "operator": "In", "values": ["west"]}
    by_name = {"key": "metadata.name", "operator": "NotIn", "values": ["a"]}
    gang = (
        job("train")
        .selecting(disk="ssd", arch="amd64")
        .requiring({"matchExpressions": [expression], "matchFields": [by_name]}, {"matchExpressions": [expression]})
        .tolerating(key="team", value="vision", effect="NoSchedule")
        .tolerating(operator="Exists")
        .gang()
    )
    west = Requirement("zone", "In", ("west",))
    assert gang.node_selector == (("arch", "amd64"), ("disk", "ssd"))
    assert gang.node_terms == (
        SelectorTerm((west,), (Requirement("metadata.name", "NotIn", ("a",)),)),
        SelectorTerm((west,), ()),
    )
    assert gang.tolerations == (Toleration("team", "Equal", "vision", "NoSchedule"), Toleration("", "Exists", "", ""))


def test_jobs_that_ask_for_the_same_share_a_lane() -> None:
    one, other = job("one").with_gpus(1).selecting(a="1", b="2"), job("other").with_gpus(1).selecting(b="2", a="1")
    assert one.gang() == other.gang()
    assert hash(one.gang()) == hash(other.gang())
    assert one.gang() != other.replicas(2).gang()


def test_preferred_terms_are_left_to_kube_scheduler() -> None:
    preferred = {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "podAffinityTerm": {}}]}
    spread = [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}]
    asking = job("train").with_pod_spec(
        affinity={"podAffinity": preferred, "podAntiAffinity": preferred}, topologySpreadConstraints=spread
    )
    assert asking.gang() == job("train").gang()


REQUIRED = {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "zone"}]}


@pytest.mark.parametrize(
    ("fields", "field", "remedy"),
    [
        ({"affinity": {"podAffinity": REQUIRED}}, "affinity.podAffinity", "nodeAffinity"),
        ({"affinity": {"podAntiAffinity": REQUIRED}}, "affinity.podAntiAffinity", "nodeAffinity"),
        ({"topologySpreadConstraints": [{"maxSkew": 1}]}, "topologySpreadConstraints", "ScheduleAnyway"),
        ({"resourceClaims": [{"name": "gpu"}]}, "resourceClaims", "nvidia.com/gpu"),
    ],
)
def test_what_placement_cannot_honour_is_refused(fields: dict[str, Any], field: str, remedy: str) -> None:
    with pytest.raises(UnsupportedTemplate) as refusal:
        gang_request(job("train").with_pod_spec(**fields).training_job())
    assert f"spec.template.spec.{field}" in str(refusal.value)
    assert remedy in str(refusal.value)


@pytest.mark.parametrize(
    "fields",
    [
        {"affinity": [1]},
        {"affinity": {"nodeAffinity": "west"}},
        {"nodeSelector": "west"},
        {"nodeSelector": {"zone": ["west"]}},
        {"nodeSelector": {"zone": {"in": "west"}}},
        {"tolerations": "all"},
        {"tolerations": [{"key": ["team"]}]},
        {"tolerations": 5},
        {"topologySpreadConstraints": ["zone"]},
        {"overhead": 5},
        {"overhead": {"cpu": "NaN"}},
        {"overhead": {"cpu": "-1"}},
        {"resources": "many"},
        {
            "affinity": {
                "nodeAffinity": {
                    "requiredDuringSchedulingIgnoredDuringExecution": {
                        "nodeSelectorTerms": [{"matchExpressions": [{"key": "zone"}]}]
                    }
                }
            }
        },
    ],
    ids=str,
)
def test_a_template_of_the_wrong_shape_is_its_owners_problem_only(fields: dict[str, Any]) -> None:
    # The CRD keeps whatever stands in a template; one such job must not stop the operator.
    built = job("train").with_pod_spec(**fields).build()
    assert built.gang is None
    assert built.problem


@pytest.mark.parametrize("part", ["labels", "annotations"])
def test_metadata_of_the_wrong_shape_too(part: str) -> None:
    manifest = job("train").manifest()
    manifest["spec"]["template"]["metadata"] = {part: "app=train"}
    parsed = TrainingJob.parse(manifest)
    with pytest.raises(UnsupportedTemplate):
        gang_request(parsed)
