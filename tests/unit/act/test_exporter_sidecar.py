"""Training pods get the exporter beside the trainer, and stay what they were in every other respect."""

from __future__ import annotations

from typing import Any

import pytest

from ballast.act.agent_access import AgentAccess
from ballast.act.exporter_sidecar import ExporterSidecar
from ballast.act.manifests import workload
from ballast.api.trainingjob import TrainingJob
from ballast.settings import OperatorSettings
from tests.builders import JobBuilder, job

AGENT = AgentAccess(ca_bundle="PEM", port=9444)
EXPORTER = ExporterSidecar("registry/exporter:1")


def template(
    asking: JobBuilder, exporter: ExporterSidecar | None = EXPORTER, agent: AgentAccess | None = AGENT
) -> dict[str, Any]:
    found: dict[str, Any] = workload(asking.training_job(), 3, agent=agent, exporter=exporter)["spec"]["template"]
    return found


def sidecar(made: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = made["spec"]["initContainers"][0]
    return found


def trainer(made: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = made["spec"]["containers"][0]
    return found


def values(container: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each["value"] for each in container["env"] if "value" in each}


def volumes(made: dict[str, Any]) -> dict[str, Any]:
    return {each["name"]: each for each in made["spec"]["volumes"]}


def test_it_stands_before_all_other_init_containers_and_runs_beside_the_trainer() -> None:
    made = template(job("train").with_pod_spec(initContainers=[{"name": "fetch", "image": "x"}]))
    assert [each["name"] for each in made["spec"]["initContainers"]] == ["ballast-exporter", "fetch"]
    ours = sidecar(made)
    assert (ours["restartPolicy"], ours["args"], ours["image"]) == ("Always", ["exporter"], "registry/exporter:1")
    assert ours["ports"] == [{"name": "ballast-metrics", "containerPort": 9446}]


def test_it_may_nothing() -> None:
    assert sidecar(template(job("train")))["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
        "privileged": False,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }


def test_it_gets_what_it_asks_for_so_that_a_guaranteed_pod_stays_one() -> None:
    ours = sidecar(template(job("train"), ExporterSidecar("x", cpu="20m", memory="48Mi")))["resources"]
    assert ours["requests"] == ours["limits"] == {"cpu": "20m", "memory": "48Mi"}


def test_it_shares_what_the_user_gives_the_pod_as_a_whole() -> None:
    asking = job("train").with_pod_spec(resources={"limits": {"cpu": "2", "memory": "4Gi"}})
    assert "resources" not in sidecar(template(asking))


def test_it_knows_whose_pod_it_is_in() -> None:
    ours = sidecar(template(job("train")))
    uid = job("train").training_job().metadata.uid
    told = values(ours)
    assert (told["BALLAST_JOB_NAME"], told["BALLAST_JOB_UID"], told["BALLAST_ATTEMPT"]) == ("train", uid, "3")
    assert (told["BALLAST_METRICS_PORT"], told["BALLAST_PROGRESS_PORT"]) == ("9446", "9447")
    assert {"name": "BALLAST_POD_UID", "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}} in ours["env"]


def test_it_knows_what_the_trainer_asks_for() -> None:
    found = [each for each in sidecar(template(job("train")))["env"] if each["name"] == "BALLAST_TRAINER_MILLICORES"]
    field = {"containerName": "trainer", "resource": "requests.cpu", "divisor": "1m"}
    assert found == [{"name": "BALLAST_TRAINER_MILLICORES", "valueFrom": {"resourceFieldRef": field}}]


@pytest.mark.parametrize(("seconds", "told"), [(5.0, "5"), (0.2, "0.2")])
def test_it_knows_how_often_to_ask(seconds: float, told: str) -> None:
    ours = sidecar(template(job("train"), ExporterSidecar("x", poll_seconds=seconds)))
    assert values(ours)["BALLAST_POLL_SECONDS"] == told


def test_it_knows_the_metric_that_early_stopping_goes_by() -> None:
    stopping = {
        "metric": "eval/loss",
        "trainingMetric": "loss",
        "goal": "Maximize",
        "policies": [{"type": "Patience", "evaluations": 3}],
    }
    told = values(sidecar(template(job("train").with_spec(earlyStopping=stopping))))
    assert told["BALLAST_METRIC"] == "eval/loss"
    assert told["BALLAST_TRAINING_METRIC"] == "loss"
    assert told["BALLAST_GOAL"] == "Maximize"


def test_without_early_stopping_it_is_told_of_no_metric() -> None:
    assert (
        values(sidecar(template(job("train"))))
        .keys()
        .isdisjoint({"BALLAST_METRIC", "BALLAST_TRAINING_METRIC", "BALLAST_GOAL"})
    )


def test_it_may_ask_the_agent_with_the_trainers_token() -> None:
    made = template(job("train"))
    mount = {"name": "ballast-agent", "mountPath": "/var/run/secrets/ballast.dev/agent", "readOnly": True}
    assert mount in sidecar(made)["volumeMounts"]
    assert mount in trainer(made)["volumeMounts"]
    assert {"BALLAST_AGENT_HOST", "BALLAST_AGENT_PORT", "BALLAST_NODE_NAME"} <= {
        each["name"] for each in sidecar(made)["env"]
    }


@pytest.mark.parametrize(
    "asking",
    [
        job("train").with_pod_spec(volumes=[{"name": "ballast-agent", "emptyDir": {}}]),
        JobBuilder(
            "train", trainer={"volumeMounts": [{"name": "x", "mountPath": "/var/run/secrets/ballast.dev/agent"}]}
        ),
    ],
    ids=["volume", "mount"],
)
def test_where_the_user_has_something_there_it_gets_a_token_of_its_own(asking: JobBuilder) -> None:
    made = template(asking)
    [name] = [each["name"] for each in sidecar(made)["volumeMounts"] if each["mountPath"].endswith("/agent")]
    assert name == "ballast-exporter-agent"
    assert volumes(made)[name]["projected"] == volumes(template(job("train")))["ballast-agent"]["projected"]


def test_without_an_agent_it_is_there_all_the_same() -> None:
    made = template(job("train"), agent=None)
    assert "ballast-agent" not in volumes(made)
    assert "BALLAST_AGENT_HOST" not in {each["name"] for each in sidecar(made)["env"]}


def test_its_state_is_small_and_in_memory() -> None:
    made = template(job("train"))
    assert volumes(made)["ballast-exporter"]["emptyDir"] == {"medium": "Memory", "sizeLimit": "4Mi"}
    assert {"name": "ballast-exporter", "mountPath": "/var/lib/ballast"} in sidecar(made)["volumeMounts"]


def test_its_last_words_are_kept_by_a_finalizer_beside_the_users_own() -> None:
    assert template(job("train"))["metadata"]["finalizers"] == ["ballast.dev/final-reading"]
    manifest = job("train").manifest()
    manifest["spec"]["template"]["metadata"] = {"finalizers": ["theirs.example/x"]}
    made = workload(TrainingJob.parse(manifest), 1, exporter=EXPORTER)["spec"]["template"]
    assert made["metadata"]["finalizers"] == ["theirs.example/x", "ballast.dev/final-reading"]


def test_on_the_nodes_own_network_there_is_none_and_nothing_waits_for_its_words() -> None:
    asking = job("train").with_pod_spec(hostNetwork=True)
    assert template(asking) == template(asking, exporter=None)


def test_without_one_nothing_is_added() -> None:
    made = template(job("train"), exporter=None)
    assert "initContainers" not in made["spec"]
    assert "finalizers" not in made["metadata"]


def test_it_is_made_as_the_settings_say() -> None:
    assert ExporterSidecar.of(OperatorSettings()) is None
    settings = OperatorSettings(
        exporter_image="x:1",
        exporter_pull_policy="Always",
        exporter_cpu="10m",
        exporter_memory="32Mi",
        exporter_poll_seconds=1,
        exporter_annotations=False,
    )
    assert ExporterSidecar.of(settings) == ExporterSidecar("x:1", "Always", "10m", "32Mi", 1.0, annotations=False)
