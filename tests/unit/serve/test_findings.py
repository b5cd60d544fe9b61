"""What is asked of the API server about a job, and what is made of its answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from ballast.act.exporter_sidecar import ExporterSidecar
from ballast.api.podtemplate import PLACEMENT_GATE
from ballast.kube import ApiRefused, ApiUnavailable
from ballast.serve.admission import Say
from ballast.serve.findings import find_out, pod_of
from tests.unit.serve.reviewed import job

JsonObject = dict[str, Any]

NO_ACCOUNT = ApiRefused(403, "Forbidden", 'error looking up service account team/later: "later" not found')
NO_CLASS = ApiRefused(403, "Forbidden", "no PriorityClass with name urgent was found")
INSECURE = ApiRefused(403, "Forbidden", 'violates PodSecurity "restricted:latest": ...')


class Api:
    """Answers the dry runs in order; afterwards, and for all else, there is nothing to complain about."""

    def __init__(self, *answers: Exception, objects: Mapping[str, JsonObject] | None = None) -> None:
        self._answers = list(answers)
        self._objects = objects or {}
        self.pods: list[JsonObject] = []

    async def get(self, path: str) -> JsonObject:
        if path.endswith("/resourcequotas"):
            return {"items": [], **self._objects.get(path, {})}
        if path not in self._objects:
            raise ApiRefused(404, "NotFound", path)
        return self._objects[path]

    async def dry_run(self, path: str, body: Mapping[str, Any]) -> JsonObject:
        assert path == "/api/v1/namespaces/team/pods"
        self.pods.append(dict(body))
        if self._answers:
            raise self._answers.pop(0)
        return {**body, "spec": {**body["spec"], "preemptionPolicy": "Never"}}


def test_the_pod_is_what_the_attempt_would_have() -> None:
    pod = pod_of(job())
    assert pod["metadata"]["namespace"] == "team"
    assert pod["metadata"]["labels"]["ballast.dev/trainingjob"] == "sweep"
    assert {"name": PLACEMENT_GATE} in pod["spec"]["schedulingGates"]
    assert pod["spec"]["restartPolicy"] == "Never"


async def test_the_exporter_is_asked_about_too_after_what_people_find_in_their_own_template() -> None:
    api = Api()
    asking = job(initContainers=[{"name": "first", "image": "x"}, {"name": "second", "image": "x"}])
    await find_out(api, asking, ExporterSidecar("exporter:1"))
    names = [each["name"] for each in api.pods[0]["spec"]["initContainers"]]
    assert names == ["first", "second", "ballast-exporter"]


async def test_a_pod_that_can_be_created_is_known_as_the_api_server_has_it() -> None:
    found = await find_out(Api(), job())
    assert found.pod is not None
    assert found.pod["preemptionPolicy"] == "Never"
    assert found.answers == ()


async def test_a_refusal_is_known_in_the_api_servers_words() -> None:
    found = await find_out(Api(INSECURE), job())
    assert found.pod is None
    assert [answer.message for answer in found.answers] == ['violates PodSecurity "restricted:latest": ...']


async def test_with_a_reference_missing_it_asks_again_without() -> None:
    api = Api(NO_ACCOUNT, NO_CLASS, INSECURE)
    found = await find_out(api, job(serviceAccountName="later", priorityClassName="urgent"))
    assert [answer.says for answer in found.answers] == [Say.NO_SERVICE_ACCOUNT, Say.NO_PRIORITY_CLASS, Say.REFUSED]
    assert "serviceAccountName" not in api.pods[-1]["spec"]
    assert "priorityClassName" not in api.pods[-1]["spec"]


async def test_it_does_not_ask_again_where_nothing_can_be_left_out() -> None:
    api = Api(NO_ACCOUNT)  # the default account of a namespace that was just made
    found = await find_out(api, job())
    assert len(api.pods) == 1
    assert [answer.says for answer in found.answers] == [Say.NO_SERVICE_ACCOUNT]


async def test_quotas_of_its_namespace() -> None:
    path = "/api/v1/namespaces/team/resourcequotas"
    items = [
        {"metadata": {"name": "gpus"}, "spec": {"hard": {"pods": "1"}}},
        {"metadata": {"name": "idle"}, "spec": {"hard": {"pods": "1"}, "scopes": ["BestEffort"]}},
        {"metadata": {"name": "urgent"}, "spec": {"hard": {}, "scopeSelector": {"matchExpressions": []}}},
    ]
    found = await find_out(Api(objects={path: {"items": items}}), job())
    assert [(quota.name, quota.scoped) for quota in found.quotas] == [("gpus", False), ("idle", True), ("urgent", True)]


async def test_claims_that_are_not_there() -> None:
    there: dict[str, JsonObject] = {"/api/v1/namespaces/team/persistentvolumeclaims/data": {}}
    volumes = [{"name": each, "persistentVolumeClaim": {"claimName": each}} for each in ("data", "checkpoints")]
    found = await find_out(Api(objects=there), job(volumes=[*volumes, {"name": "tmp", "emptyDir": {}}]))
    assert found.missing_claims == ("checkpoints",)


@pytest.mark.parametrize("name", ["../secrets/x", "a/b", "", 3, None])
async def test_what_is_no_name_is_not_looked_up(name: object) -> None:
    found = await find_out(Api(), job(volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": name}}]))
    assert found.missing_claims == ()


async def test_an_api_server_that_is_away_is_an_error() -> None:
    with pytest.raises(ExceptionGroup) as group:
        await find_out(Api(ApiUnavailable("503")), job())
    assert group.value.subgroup(ApiUnavailable) is not None
