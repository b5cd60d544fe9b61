"""The launcher torchrun: variables, a subdomain and a headless Service; the launcher none: nothing at all."""

from __future__ import annotations

from typing import Any

import pytest

from ballast.act.manifests import needs_service, service, workload
from tests.builders import JobBuilder, job

GANG = job("gang").launched_by("torchrun").replicas(2).with_gpus(4)


def trainer(asking: JobBuilder, attempt: int = 1) -> dict[str, Any]:
    containers = workload(asking.training_job(), attempt)["spec"]["template"]["spec"]["containers"]
    found: dict[str, Any] = next(each for each in containers if each["name"] == "trainer")
    return found


def variables(asking: JobBuilder, attempt: int = 1) -> dict[str, Any]:
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in trainer(asking, attempt)["env"]}


def test_variables_that_torchrun_reads() -> None:
    index = "metadata.annotations['batch.kubernetes.io/job-completion-index']"
    assert variables(GANG, attempt=3) == {
        "PET_NNODES": "2",
        "PET_NPROC_PER_NODE": "4",
        "PET_NODE_RANK": {"fieldRef": {"fieldPath": index}},
        "PET_MASTER_ADDR": "gang-3-0.gang-gang",
        "PET_MASTER_PORT": "29500",
        "TORCH_ELASTIC_SHUTDOWN_TIMEOUT": "108",
    }


def test_on_cpus_there_is_one_process_a_pod() -> None:
    assert variables(job("gang").launched_by("torchrun"))["PET_NPROC_PER_NODE"] == "1"


def test_unless_the_user_says_how_many() -> None:
    env = trainer(GANG.with_env(PET_NPROC_PER_NODE="7"))["env"]
    assert [each["value"] for each in env if each["name"] == "PET_NPROC_PER_NODE"] == ["7"]


def test_the_users_variables_come_last_so_that_they_may_refer_to_ours() -> None:
    env = trainer(GANG.with_env(RANK="$(PET_NODE_RANK)"))["env"]
    assert env[-1] == {"name": "RANK", "value": "$(PET_NODE_RANK)"}
    assert len(env) == 7


def test_only_the_trainer_gets_them() -> None:
    manifest = GANG.manifest()
    containers = manifest["spec"]["template"]["spec"]["containers"]
    containers.append({"name": "helper", "image": "example.com/helper:1"})
    asking = type(GANG.training_job()).parse(manifest)
    helper = workload(asking, 1)["spec"]["template"]["spec"]["containers"][1]
    assert helper == containers[1]


def test_pods_find_each_other_by_name() -> None:
    assert workload(GANG.training_job(), 2)["spec"]["template"]["spec"]["subdomain"] == "gang-gang"
    assert needs_service(GANG.training_job())
    headless = service(GANG.training_job())
    assert headless["metadata"]["name"] == "gang-gang"
    assert headless["metadata"]["ownerReferences"][0]["uid"] == "uid-of-gang"
    assert headless["spec"]["clusterIP"] == "None"
    assert headless["spec"]["publishNotReadyAddresses"] is True
    assert headless["spec"]["ports"][0]["port"] == 29500


@pytest.mark.parametrize("attempt", [1, 2])
def test_one_service_selects_the_pods_of_every_attempt_and_of_no_other_job(attempt: int) -> None:
    selector = service(GANG.training_job())["spec"]["selector"]
    labels = workload(GANG.training_job(), attempt)["spec"]["template"]["metadata"]["labels"]
    assert selector.items() <= labels.items()
    other = workload(GANG.known_as("another").training_job(), attempt)["spec"]["template"]["metadata"]["labels"]
    assert not selector.items() <= other.items()


@pytest.mark.parametrize(("grace", "waits"), [(1, "1"), (5, "4"), (120, "108"), (86400, "77760")])
def test_torchrun_waits_for_its_workers_a_little_less_long_than_the_kubelet_for_torchrun(
    grace: int, waits: str
) -> None:
    assert variables(GANG.with_spec(checkpointGraceSeconds=grace))["TORCH_ELASTIC_SHUTDOWN_TIMEOUT"] == waits


def test_without_a_launcher_nothing_is_added() -> None:
    plain = job("plain").replicas(2)
    assert not needs_service(plain.training_job())
    assert "subdomain" not in workload(plain.training_job(), 1)["spec"]["template"]["spec"]
    assert "env" not in trainer(plain)
