"""Training pods get what they need to ask their node's agent, beside what their template has."""

from __future__ import annotations

from typing import Any

import pytest

from ballast.act.agent_access import AgentAccess
from ballast.act.manifests import workload
from tests.builders import JobBuilder, job

PEM = "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"
AGENT = AgentAccess(ca_bundle=PEM, port=9444)
MOUNT = {"name": "ballast-agent", "mountPath": "/var/run/secrets/ballast.dev/agent", "readOnly": True}


def template(asking: JobBuilder, agent: AgentAccess | None = AGENT) -> dict[str, Any]:
    found: dict[str, Any] = workload(asking.training_job(), 1, agent=agent)["spec"]["template"]
    return found


def trainer(asking: JobBuilder) -> dict[str, Any]:
    found: dict[str, Any] = template(asking)["spec"]["containers"][0]
    return found


def with_trainer(**fields: Any) -> JobBuilder:
    return JobBuilder("train", trainer=fields)


def test_a_token_for_the_agents_only_and_whom_to_trust() -> None:
    assert template(job("train"))["spec"]["volumes"] == [
        {
            "name": "ballast-agent",
            "projected": {
                "sources": [
                    {
                        "serviceAccountToken": {
                            "audience": "ballast-agent",
                            "expirationSeconds": 3600,
                            "path": "token",
                        }
                    },
                    {
                        "downwardAPI": {
                            "items": [
                                {
                                    "path": "ca.crt",
                                    "fieldRef": {"fieldPath": "metadata.annotations['ballast.dev/agent-ca']"},
                                }
                            ]
                        }
                    },
                ]
            },
        }
    ]
    assert trainer(job("train"))["volumeMounts"] == [MOUNT]


def test_the_authorities_come_with_the_pod() -> None:
    assert template(job("train"))["metadata"]["annotations"] == {"ballast.dev/agent-ca": PEM}


def test_where_the_agent_is() -> None:
    assert trainer(job("train"))["env"] == [
        {"name": "BALLAST_AGENT_HOST", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}},
        {"name": "BALLAST_AGENT_PORT", "value": "9444"},
        {"name": "BALLAST_NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
    ]


def test_without_an_agent_nothing_is_added() -> None:
    plain = template(job("train"), agent=None)
    assert "annotations" not in plain["metadata"]
    assert "volumes" not in plain["spec"]
    assert plain == workload(job("train").training_job(), 1)["spec"]["template"]


def test_the_users_volumes_mounts_and_variables_stay() -> None:
    asking = with_trainer(volumeMounts=[{"name": "data", "mountPath": "/data"}], env=[{"name": "A", "value": "1"}])
    asking = asking.with_pod_spec(volumes=[{"name": "data"}])
    assert [each["name"] for each in template(asking)["spec"]["volumes"]] == ["data", "ballast-agent"]
    assert [each["name"] for each in trainer(asking)["volumeMounts"]] == ["data", "ballast-agent"]
    assert trainer(asking)["env"][-1] == {"name": "A", "value": "1"}


def test_a_variable_that_the_user_sets_is_theirs() -> None:
    env = trainer(job("train").with_env(BALLAST_AGENT_PORT="1"))["env"]
    assert [each["value"] for each in env if each["name"] == "BALLAST_AGENT_PORT"] == ["1"]


@pytest.mark.parametrize(
    "asking",
    [
        job("train").with_pod_spec(volumes=[{"name": "ballast-agent", "emptyDir": {}}]),
        with_trainer(volumeMounts=[{"name": "mine", "mountPath": f"{MOUNT['mountPath']}/"}]),
    ],
)
def test_so_are_a_volume_of_that_name_and_a_mount_at_that_path(asking: JobBuilder) -> None:
    spec = template(asking)["spec"]
    assert spec.get("volumes", []) == list(asking.pod_spec.get("volumes", []))
    assert spec["containers"][0].get("volumeMounts", []) == asking.trainer.get("volumeMounts", [])


def test_the_authorities_are_ours_to_say() -> None:
    manifest = job("train").manifest()
    manifest["spec"]["template"]["metadata"] = {"annotations": {"ballast.dev/agent-ca": "theirs", "a": "b"}}
    asked = type(job("train").training_job()).parse(manifest)
    annotations = workload(asked, 1, agent=AGENT)["spec"]["template"]["metadata"]["annotations"]
    assert annotations == {"ballast.dev/agent-ca": PEM, "a": "b"}


def test_only_the_trainer_gets_it() -> None:
    manifest = job("train").manifest()
    manifest["spec"]["template"]["spec"]["containers"].append({"name": "helper", "image": "x"})
    asked = type(job("train").training_job()).parse(manifest)
    assert workload(asked, 1, agent=AGENT)["spec"]["template"]["spec"]["containers"][1] == {
        "name": "helper",
        "image": "x",
    }


def test_with_torchrun_its_variables_are_there_as_well() -> None:
    asking = job("gang").launched_by("torchrun")
    names = {each["name"] for each in trainer(asking)["env"]}
    assert {"BALLAST_AGENT_HOST", "PET_NNODES"} <= names
