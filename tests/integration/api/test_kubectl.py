"""What people see: columns, names and explanations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from ballast.api.crds import KINDS
from ballast.api.energybudget import EnergyBudget
from ballast.api.energyprofile import EnergyProfile
from ballast.api.kinds import Kind
from ballast.api.nodepower import NodePower
from ballast.api.trainingjob import TrainingJob
from tests.cluster import Cluster
from tests.integration.api.client import Api, Objects
from tests.integration.api.court import Court
from tests.unit.api.kinds import COMPLETE

_SHOWN: dict[type[Kind], dict[str, Any]] = {
    TrainingJob: {
        "Phase": "Running", "Reason": "PodsRunning", "Queue": 20, "GPUs": 4, "Nodes": "node-a,node-b", "Done%": 45,
        "Watts": 790, "Priority": None, "Replicas": 2, "Predicted": 812.5, "Energy": "1.5 kWh", "Saved%": 10,
    },
    EnergyBudget: {
        "Period": "P1DT12H", "Energy": "200kWh", "Carbon": "80kg", "Power": "40kW", "Used%": 12, "Watts": 950,
        "Running": 2, "Held": 1, "Within": "True", "Used": "25 of 200 kWh", "Mode": "Advise",
        "Ends": "2026-01-02T03:04:05Z",
    },
    NodePower: {
        "Model": "NVIDIA-A100-SXM4-80GB", "GPUs": 1, "Capped": 1, "Limit": 250, "Ready": "True",
        "Reason": "AsItShouldBe", "Driver": "580.65.06", "Free": "Park",
    },
    EnergyProfile: {
        "Key": "resnet50-bs256", "Model": "NVIDIA-A100-SXM4-80GB", "Points": 2, "Samples": 80, "Best": 250,
        "J/Step": 569.5,
    },
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_the_table(court: Court, objects: Mapping[type[Kind], Objects], kind: type[Kind]) -> None:
    name = court.created(kind, COMPLETE[kind]())["metadata"]["name"]
    table = objects[kind].table()
    row = next(row["cells"] for row in table["rows"] if row["object"]["metadata"]["name"] == name)
    shown = dict(zip([column["name"] for column in table["columnDefinitions"]], row, strict=True))
    assert {column: value for column, value in shown.items() if column not in ("Name", "Age")} == _SHOWN[kind]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_the_table_fits_a_terminal_of_160_columns(
    court: Court, cluster: Cluster, objects: Mapping[type[Kind], Objects], kind: type[Kind]
) -> None:
    there = court.created(kind, COMPLETE[kind]())
    namespace = there["metadata"].get("namespace", "default")
    said = cluster.kubectl("-n", namespace, "get", kind.resource.short_names[0])
    # The names here are short ones: what is left of the line is for longer names.
    assert max(len(line.rstrip()) for line in said.splitlines()) <= 120


def test_short_names_and_plurals_are_nobody_elses(api: Api) -> None:
    groups = [f"/apis/{group['preferredVersion']['groupVersion']}" for group in api.call("GET", "/apis").body["groups"]]
    others = {
        name
        for path in ["/api/v1", *groups]
        if "ballast.dev" not in path
        for resource in api.call("GET", path).body["resources"]
        for name in (resource["name"], resource["singularName"], *resource.get("shortNames", ()))
    }
    assert "po" in others
    for kind in KINDS:
        assert others.isdisjoint({*kind.resource.short_names, kind.resource.plural, kind.resource.kind.lower()})


def test_kubectl_get_ballast_lists_every_kind(court: Court, cluster: Cluster) -> None:
    names = {kind: court.created(kind, COMPLETE[kind]())["metadata"]["name"] for kind in KINDS}
    said = cluster.kubectl("get", "ballast", "--all-namespaces", "-o", "name")
    for kind, name in names.items():
        assert f"{kind.resource.kind.lower()}.ballast.dev/{name}" in said


@pytest.mark.parametrize(
    ("field", "says"),
    [
        ("tj.spec.energy.limit", "as in 12kWh"),
        ("tj.spec.earlyStopping.policies.type", "GeneralizationLoss: Stops when"),
        ("tj.spec.earlyStopping.policies.strip", "UpStrips: Evaluations in a strip"),
        ("eb.spec.actions.do", "Suspend: running jobs save a checkpoint"),
        ("np.status.gpus.powerLimit.foundWatts", "this is restored"),
        ("epr.spec.points.wattsPerGpu", "in watts"),
    ],
)
def test_kubectl_explain(objects: Mapping[type[Kind], Objects], cluster: Cluster, field: str, says: str) -> None:
    assert objects
    assert says in " ".join(cluster.kubectl("explain", field).split())
