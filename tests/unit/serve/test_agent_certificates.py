"""The leading operator answers every request once: signs what it should, and says why where it does not."""

from __future__ import annotations

import asyncio
import base64
import copy
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any

import pytest
from cryptography import x509

from ballast.kube import ApiRefused, ApiUnavailable
from ballast.serve import agent_certificates
from ballast.serve.agent_certificates import AgentCertificates
from tests.unit.serve.agent_requests import ADDRESSES, request
from tests.unit.serve.certificate_times import START
from tests.unit.serve.secrets_api import SecretsApi

JsonObject = dict[str, Any]

REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"


class RequestsApi(SecretsApi):
    """Keeps requests and one node, v100-0; tells watches what is added."""

    def __init__(self, *requests: JsonObject) -> None:
        super().__init__()
        self.objects |= {f"{REQUESTS}/{each['metadata']['name']}": copy.deepcopy(each) for each in requests}
        self.added: asyncio.Queue[JsonObject] = asyncio.Queue()
        self.trouble: list[Exception] = []
        self.watched = 0

    def status(self, name: str = "ballast-agent-x") -> JsonObject:
        status: JsonObject = self.objects[f"{REQUESTS}/{name}"]["status"]
        return status

    async def list_pages(
        self, path: str, label_selector: str | None = None, field_selector: str | None = None
    ) -> AsyncIterator[JsonObject]:
        if self.trouble:
            raise self.trouble.pop()
        if path == "/api/v1/nodes":
            found = [{"status": {"addresses": ADDRESSES}}] if field_selector == "metadata.name=v100-0" else []
        else:
            assert (path, field_selector) == (REQUESTS, "spec.signerName=ballast.dev/agent-serving")
            found = [copy.deepcopy(each) for name, each in self.objects.items() if name.startswith(REQUESTS)]
        yield {"metadata": {"resourceVersion": "5"}, "items": found}

    async def watch(
        self, path: str, resource_version: str, field_selector: str | None = None
    ) -> AsyncGenerator[tuple[str, JsonObject]]:
        assert (path, resource_version, field_selector) == (
            REQUESTS,
            "5",
            "spec.signerName=ballast.dev/agent-serving",
        )
        self.watched += 1
        while True:
            yield "BOOKMARK", {"metadata": {"resourceVersion": "6"}}
            yield "ADDED", await self.added.get()

    async def replace(self, path: str, body: Mapping[str, Any]) -> JsonObject:
        name, _, subresource = path.rpartition("/")
        assert subresource in {"approval", "status"}
        assert (body["kind"], body["apiVersion"]) == ("CertificateSigningRequest", "certificates.k8s.io/v1")
        if body["metadata"]["resourceVersion"] != self.objects[name]["metadata"]["resourceVersion"]:
            raise ApiRefused(409, "Conflict", name)
        self.writes.append(subresource)
        return self._put(name, dict(body))


def signing(api: RequestsApi, answered: list[str] | None = None) -> AgentCertificates:
    on_request = [] if answered is None else answered
    return AgentCertificates(api, "ballast-system", on_request=on_request.append, clock=lambda: START)


async def test_an_agents_request_is_approved_and_signed() -> None:
    api, answered = RequestsApi(request()), list[str]()
    certificates = signing(api, answered)
    await certificates.answer(request())
    status = api.status()
    assert [each["type"] for each in status["conditions"]] == ["Approved"]
    signed = x509.load_pem_x509_certificate(base64.b64decode(status["certificate"]))
    assert certificates.ca_bundle is not None
    signed.verify_directly_issued_by(x509.load_pem_x509_certificate(certificates.ca_bundle.encode()))
    names = signed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["v100-0.agents.ballast.dev"]
    assert answered == ["signed"]


async def test_another_nodes_is_denied_and_told_why() -> None:
    api, answered = RequestsApi(request(node="a40-0")), list[str]()
    await signing(api, answered).answer(request(node="a40-0"))
    [condition] = api.status()["conditions"]
    assert (condition["type"], condition["reason"]) == ("Denied", "NotAnAgentOfItsNode")
    assert condition["message"].startswith("the agent of node a40-0 may be called a40-0.agents.ballast.dev")
    assert "certificate" not in api.status()
    assert answered == ["denied"]


async def test_what_somebody_approved_is_checked_all_the_same() -> None:
    asked = request(user="admin", conditions=["Approved"])
    api, answered = RequestsApi(asked), list[str]()
    await signing(api, answered).answer(asked)
    assert [each["type"] for each in api.status()["conditions"]] == ["Approved", "Failed"]
    assert answered == ["failed"]


async def test_what_an_operator_approved_before_it_died_is_signed() -> None:
    asked = request(conditions=["Approved"])
    api = RequestsApi(asked)
    await signing(api).answer(asked)
    assert api.writes[-1] == "status"
    assert api.status()["certificate"]
    assert len(api.status()["conditions"]) == 1


@pytest.mark.parametrize(
    "asked",
    [
        request(conditions=["Denied"]),
        request(conditions=["Approved", "Failed"]),
        {**request(conditions=["Approved"]), "status": {"certificate": "there"}},
        request(signerName="kubernetes.io/kubelet-serving"),
    ],
)
async def test_what_is_answered_already_or_another_signers_is_left_alone(asked: JsonObject) -> None:
    api = RequestsApi(asked)
    await signing(api).answer(asked)
    assert api.writes == []


async def test_what_was_changed_meanwhile_is_left_to_the_watch() -> None:
    api, answered = RequestsApi(request()), list[str]()
    api.objects[f"{REQUESTS}/ballast-agent-x"]["metadata"]["resourceVersion"] = "changed"
    await signing(api, answered).answer(request())
    assert api.status() == {}
    assert answered == []


async def test_it_answers_what_was_there_and_what_comes() -> None:
    api, answered = RequestsApi(request(name="first")), list[str]()
    certificates = signing(api, answered)
    running = asyncio.create_task(certificates.run())
    later = request(name="later")
    api.objects[f"{REQUESTS}/later"] = later
    await api.added.put(copy.deepcopy(later))
    while len(answered) < 2:  # noqa: ASYNC110 - it is told to nobody
        await asyncio.sleep(0.001)
    running.cancel()
    assert api.status("first")["certificate"]
    assert api.status("later")["certificate"]


async def test_trouble_is_said_once_and_tried_again(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent_certificates, "RETRY_SECONDS", 0.001)
    api, answered = RequestsApi(request()), list[str]()
    api.trouble = [ApiUnavailable("connection refused")] * 3
    running = asyncio.create_task(signing(api, answered).run())
    while not answered:  # noqa: ASYNC110 - it is told to nobody
        await asyncio.sleep(0.001)
    running.cancel()
    assert [record.levelname for record in caplog.records].count("WARNING") == 1


async def test_a_request_that_cannot_be_written_holds_up_no_other(caplog: pytest.LogCaptureFixture) -> None:
    api, answered = RequestsApi(request(name="bad"), request(name="good")), list[str]()
    replace = api.replace

    async def refuse(path: str, body: Mapping[str, Any]) -> JsonObject:
        if "/bad/" in path:
            raise ApiRefused(422, "Invalid", "too long")
        return await replace(path, body)

    api.replace = refuse  # type: ignore[method-assign]
    running = asyncio.create_task(signing(api, answered).run())
    while not answered:  # noqa: ASYNC110 - it is told to nobody
        await asyncio.sleep(0.001)
    running.cancel()
    assert api.status("good")["certificate"]
    assert "too long" in str([vars(record) for record in caplog.records])


async def test_whom_to_trust_is_known_before_anything_is_signed() -> None:
    api = RequestsApi()
    certificates = signing(api)
    assert certificates.ca_bundle is None
    running = asyncio.create_task(certificates.run())
    await certificates.ready.wait()
    running.cancel()
    assert certificates.ca_bundle is not None
    assert certificates.ca_bundle.startswith("-----BEGIN CERTIFICATE-----")
