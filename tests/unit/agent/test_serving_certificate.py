"""The agent asks for a certificate of its own node, serves with it, and renews it while it serves."""

from __future__ import annotations

import asyncio
import base64
import logging
import os
import ssl
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from ballast.agent.serving import serving_certificate
from ballast.agent.serving.serving_certificate import NotSigned, ServingCertificate
from ballast.kube import ApiRefused, ApiUnavailable
from ballast.serve.certificates import pem
from tests.unit.agent.certificate_requests import AUTHORITY, NOW, CertificateRequests, asked, signed

ADDRESS = ip_address("10.1.2.3")


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    for pause, seconds in {"POLL": 0.001, "MAX_POLL": 0.01, "RETRY": 0.001, "MAX_RETRY": 0.001}.items():
        monkeypatch.setattr(serving_certificate, f"{pause}_SECONDS", seconds)


def certificate_of(api: CertificateRequests, now: datetime = NOW) -> ServingCertificate:
    return ServingCertificate(api, "v100-0", [ADDRESS], clock=lambda: now)


async def trusted_connection(served: ServingCertificate, name: str) -> str:
    """Connect as a pod does that trusts the authority; return the certificate's serial number."""
    answering = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", ssl=served.context)
    async with answering:
        pod = ssl.create_default_context(cadata=pem(AUTHORITY).decode())
        port = answering.sockets[0].getsockname()[1]
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=pod, server_hostname=name)
        serial: str = writer.get_extra_info("ssl_object").getpeercert()["serialNumber"]
        writer.close()
        await writer.wait_closed()
    return serial


async def test_it_asks_for_its_own_node() -> None:
    api = CertificateRequests()
    await certificate_of(api).renew()
    [request] = api.requests
    spec = request["spec"]
    assert (spec["signerName"], spec["usages"]) == ("ballast.dev/agent-serving", ["digital signature", "server auth"])
    assert spec["expirationSeconds"] == 86400
    names = asked(request).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(names) == [x509.DNSName("v100-0.agents.ballast.dev"), x509.IPAddress(ADDRESS)]
    key = asked(request).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1"


@pytest.mark.parametrize("name", ["10.1.2.3", "v100-0.agents.ballast.dev"])
async def test_a_pod_that_trusts_the_authority_trusts_it(name: str) -> None:
    served = certificate_of(CertificateRequests())
    await served.renew()
    assert served.ready.is_set()
    await trusted_connection(served, name)


@pytest.mark.parametrize("name", ["10.1.2.4", "a40-0.agents.ballast.dev"])
async def test_but_not_as_another_nodes(name: str) -> None:
    served = certificate_of(CertificateRequests())
    await served.renew()
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        await trusted_connection(served, name)


async def test_a_renewed_one_has_another_key_and_is_served_without_a_restart() -> None:
    api = CertificateRequests()
    served = certificate_of(api)
    await served.renew()
    before = await trusted_connection(served, "10.1.2.3")
    await served.renew()
    assert await trusted_connection(served, "10.1.2.3") != before
    keys = [asked(request).public_key() for request in api.requests]
    assert keys[0] != keys[1]


@pytest.mark.parametrize(("hours", "due"), [(15.9, False), (16.1, True), (30, True)])
async def test_it_is_due_after_two_thirds_of_its_life(hours: float, due: bool) -> None:
    now = NOW
    served = ServingCertificate(CertificateRequests(), "v100-0", [ADDRESS], clock=lambda: now)
    assert served.seconds_until_due() == 0
    await served.renew()
    now = NOW + timedelta(hours=hours)
    assert (served.seconds_until_due() <= 0) is due


async def test_it_waits_as_long_as_nobody_signs_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    looked = 0

    def late(request: dict[str, Any]) -> dict[str, Any] | None:
        nonlocal looked
        looked += 1
        if looked == 2:
            raise ApiUnavailable("connection refused")
        return signed(request) if looked > 9 else None

    api = CertificateRequests(late)
    served = certificate_of(api)
    await served.renew()
    assert served.ready.is_set()
    assert len(api.requests) == 1
    assert [record.levelname for record in caplog.records].count("WARNING") == 1


@pytest.mark.parametrize(
    ("status", "told"),
    [
        ({"conditions": [{"type": "Denied", "message": "not your node"}]}, "was refused: not your node"),
        ({"conditions": [{"type": "Failed"}]}, "was refused: Failed"),
        ({"certificate": base64.b64encode(b"nonsense").decode()}, "cannot be read"),
        ({"certificate": base64.b64encode(pem(AUTHORITY)).decode()}, "for another key"),
    ],
)
async def test_what_was_not_signed_for_it_is_not_served(status: dict[str, Any], told: str) -> None:
    served = certificate_of(CertificateRequests(lambda request: {**status}))
    with pytest.raises(NotSigned, match=told):
        await served.renew()
    assert not served.ready.is_set()


async def test_a_request_that_is_forgotten_is_made_anew() -> None:
    def gone(request: dict[str, Any]) -> dict[str, Any] | None:
        if len(api.requests) == 1:
            raise ApiRefused(404, "NotFound", "gone")
        return signed(request)

    api = CertificateRequests(gone)
    served = certificate_of(api)
    running = asyncio.create_task(served.run())
    await served.ready.wait()
    running.cancel()
    assert len(api.requests) == 2


async def test_without_an_api_server_it_goes_on_asking_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    api = CertificateRequests()
    api.error = ApiUnavailable("connection refused")
    served = certificate_of(api)
    running = asyncio.create_task(served.run())
    await asyncio.sleep(0.05)
    assert not running.done()
    api.error = None
    await served.ready.wait()
    running.cancel()
    assert [record.levelname for record in caplog.records].count("WARNING") == 1


async def test_it_renews_by_itself() -> None:
    now = NOW
    api = CertificateRequests()
    served = ServingCertificate(api, "v100-0", [ADDRESS], clock=lambda: now)
    running = asyncio.create_task(served.run())
    await served.ready.wait()
    first = served.certificate
    now = NOW + timedelta(hours=17)
    while served.certificate is first:  # noqa: ASYNC110 - it is told to nobody
        await asyncio.sleep(0.001)
    running.cancel()
    assert len(api.requests) >= 2


async def test_its_key_is_in_no_file_and_no_log(
    caplog: pytest.LogCaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str] = []

    class Context(ssl.SSLContext):
        def load_cert_chain(self, certfile: Any, *args: Any, **kwargs: Any) -> None:
            loaded.append(str(certfile))
            super().load_cert_chain(certfile, *args, **kwargs)

    monkeypatch.setenv("TMPDIR", str(tmp_path))
    served = certificate_of(CertificateRequests())
    served.context = Context(ssl.PROTOCOL_TLS_SERVER)
    with caplog.at_level(logging.DEBUG):
        await served.renew()
    [path] = loaded
    assert path.startswith("/proc/self/fd/")
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - the other way counts as blocking
    assert "PRIVATE" not in str([vars(record) for record in caplog.records])
