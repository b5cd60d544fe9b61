"""The launcher torchrun: variables, a subdomain and a headless Service; the launcher none: nothing at all."""

from __future__ import annotations

from typing import Any

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
        "PET_MASTER_ADDR": "gang-3-0.gang-3",
        "PET_MASTER_PORT": "29500",
    }


def test_on_cpus_there_is_one_process_a_pod() -> None:
    assert variables(job("gang").launched_by("torchrun"))["PET_NPROC_PER_NODE"] == "1"


def test_unless_the_user_says_how_many() -> None:
    env = trainer(GANG.with_env(PET_NPROC_PER_NODE="7"))["env"]
    assert [each["value"] for each in env if each["name"] == "PET_NPROC_PER_NODE"] == ["7"]


def test_the_users_variables_come_last_so_that_they_may_refer_to_ours() -> None:
    env = trainer(GANG.with_env(RANK="$(PET_NODE_RANK)"))["env"]
    assert env[-1] == {"name": "RANK", "value": "$(PET_NODE_RANK)"}
    assert len(env) == 6


def test_only_the_trainer_gets_them() -> None:
    manifest = GANG.manifest()
    containers = manifest["spec"]["template"]["spec"]["containers"]
    containers.append({"name": "helper", "image": "example.com/helper:1"})
    asking = type(GANG.training_job()).parse(manifest)
    helper = workload(asking, 1)["spec"]["template"]["spec"]["containers"][1]
    assert helper == containers[1]


def test_pods_find_each_other_by_name() -> None:
    assert workload(GANG.training_job(), 2)["spec"]["template"]["spec"]["subdomain"] == "gang-2"
    assert needs_service(GANG.training_job())
    headless = service(GANG.training_job(), 2)
    assert headless["metadata"]["name"] == "gang-2"
    assert headless["metadata"]["ownerReferences"][0]["uid"] == "uid-of-gang"
    assert headless["spec"]["clusterIP"] == "None"
    assert headless["spec"]["publishNotReadyAddresses"] is True
    assert headless["spec"]["ports"][0]["port"] == 29500


def test_the_service_selects_the_pods_of_its_attempt() -> None:
    labels = workload(GANG.training_job(), 2)["spec"]["template"]["metadata"]["labels"]
    selector = service(GANG.training_job(), 2)["spec"]["selector"]
    assert selector.items() <= labels.items()
    assert not selector.items() <= workload(GANG.training_job(), 1)["spec"]["template"]["metadata"]["labels"].items()


def test_without_a_launcher_nothing_is_added() -> None:
    plain = job("plain").replicas(2)
    assert not needs_service(plain.training_job())
    assert "subdomain" not in workload(plain.training_job(), 1)["spec"]["template"]["spec"]
    assert "env" not in trainer(plain)
