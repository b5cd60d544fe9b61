"""Replicas share one certificate, and the API server trusts its authority before it is used."""

from __future__ import annotations

import asyncio
import base64
import logging
import ssl
from collections.abc import Callable
from datetime import datetime

import pytest
from cryptography import x509

from ballast.kube import ApiRefused, ApiUnavailable
from ballast.serve.trust import CertificateKeeper, NotInstalled
from tests.unit.serve.certificate_times import POLICY, START, day
from tests.unit.serve.secrets_api import CONFIGURATION, SECRET, SecretsApi


def keeper(api: SecretsApi, clock: Callable[[], datetime] = lambda: START) -> CertificateKeeper:
    return CertificateKeeper(api, "ballast-system", POLICY, 30.0, clock=clock)


def stored(api: SecretsApi, name: str) -> bytes:
    return base64.b64decode(api.objects[SECRET]["data"][name])


def trusted(api: SecretsApi) -> bytes:
    return base64.b64decode(api.objects[CONFIGURATION]["webhooks"][0]["clientConfig"]["caBundle"])


async def served(keeper: CertificateKeeper) -> bytes:
    """The certificate that a caller gets, who trusts whatever is there."""
    answering = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", ssl=keeper.context)
    async with answering:
        caller = ssl.create_default_context()
        caller.check_hostname, caller.verify_mode = False, ssl.CERT_NONE
        port = answering.sockets[0].getsockname()[1]
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=caller)
        certificate: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        await writer.wait_closed()
    return certificate


def der(pem: bytes) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)


async def test_the_first_round_makes_announces_and_serves() -> None:
    api = SecretsApi()
    first = keeper(api)
    await first.round()
    assert api.writes == [SECRET, CONFIGURATION]
    assert trusted(api) == stored(api, "ca.crt")
    assert first.ready.is_set()
    assert await served(first) == der(stored(api, "tls.crt"))


async def test_the_secret_goes_with_the_configuration() -> None:
    api = SecretsApi()
    await keeper(api).round()
    secret = api.objects[SECRET]
    assert secret["type"] == "kubernetes.io/tls"
    [owner] = secret["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"]) == (
        "ValidatingWebhookConfiguration",
        "ballast",
        "configuration",
    )


async def test_the_second_round_writes_nothing() -> None:
    api = SecretsApi()
    first = keeper(api)
    await first.round()
    api.writes.clear()
    await first.round()
    await keeper(api).round()
    assert api.writes == []


async def test_another_replica_serves_the_same() -> None:
    api = SecretsApi()
    first, second = keeper(api), keeper(api)
    await first.round()
    await second.round()
    assert await served(first) == await served(second)


async def test_of_two_that_make_it_at_once_one_does() -> None:
    api, other = SecretsApi(), SecretsApi()
    await keeper(other).round()
    api.before_write = lambda: api.objects.update({SECRET: other.objects[SECRET]})
    first = keeper(api)
    await first.round()
    assert await served(first) == der(stored(other, "tls.crt"))
    assert trusted(api) == stored(other, "ca.crt")


async def test_of_two_that_renew_at_once_one_does() -> None:
    api = SecretsApi()
    now = START
    first, second = keeper(api, lambda: now), keeper(api, lambda: now)
    await first.round()
    await second.round()
    now = day(61)
    other = SecretsApi()
    other.objects.update(api.objects)
    await keeper(other, lambda: now).round()
    renewed = {**other.objects[SECRET], "metadata": {**other.objects[SECRET]["metadata"], "resourceVersion": "renewed"}}
    api.before_write = lambda: api.objects.update({SECRET: renewed})
    await second.round()
    await first.round()
    assert stored(api, "tls.crt") == stored(other, "tls.crt")
    assert await served(first) == await served(second) == der(stored(other, "tls.crt"))


async def test_a_renewed_certificate_is_served_without_a_restart() -> None:
    api = SecretsApi()
    now = START
    first = keeper(api, lambda: now)
    await first.round()
    before = await served(first)
    now = day(61)
    await first.round()
    assert await served(first) == der(stored(api, "tls.crt")) != before


async def test_nothing_is_served_that_is_not_trusted_yet() -> None:
    api = SecretsApi()
    first = keeper(api)

    async def refused(path: str, operations: object) -> dict[str, object]:
        raise ApiUnavailable("503: later")

    api.json_patch = refused  # type: ignore[method-assign]
    with pytest.raises(ApiUnavailable):
        await first.round()
    assert not first.ready.is_set()


async def test_a_bundle_that_somebody_took_away_comes_back() -> None:
    api = SecretsApi()
    first = keeper(api)
    await first.round()
    del api.objects[CONFIGURATION]["webhooks"][0]["clientConfig"]["caBundle"]
    await first.round()
    assert trusted(api) == stored(api, "ca.crt")


async def test_a_secret_that_somebody_damaged_is_made_anew() -> None:
    api = SecretsApi()
    first = keeper(api)
    await first.round()
    api.objects[SECRET]["data"]["tls.key"] = base64.b64encode(b"damaged").decode()
    await first.round()
    assert await served(first) == der(stored(api, "tls.crt"))
    assert trusted(api) == stored(api, "ca.crt")


async def test_where_no_webhook_is_installed_nothing_is_made() -> None:
    api = SecretsApi(installed=False)
    with pytest.raises(NotInstalled, match="BALLAST_WEBHOOK_PORT=0"):
        await keeper(api).round()
    assert api.objects == {}


async def test_trouble_is_said_once_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    api = SecretsApi(installed=False)
    slept = 0
    waiting = CertificateKeeper(api, "ballast-system", POLICY, 0.001, clock=lambda: START)

    async def get(path: str) -> dict[str, object]:
        nonlocal slept
        slept += 1
        if slept > 5:
            installed = SecretsApi()
            api.objects.update(installed.objects)
            api.get = installed_get  # type: ignore[method-assign]
        raise ApiRefused(403, "Forbidden", "not yet")

    installed_get = api.get
    api.get = get  # type: ignore[method-assign]
    with caplog.at_level(logging.INFO):
        running = asyncio.create_task(waiting.run())
        await waiting.ready.wait()
        running.cancel()
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == [
        "the webhook's certificates are not up to date"
    ]


async def test_no_key_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    api = SecretsApi()
    with caplog.at_level(logging.DEBUG):
        await keeper(api).round()
        await keeper(api, lambda: day(61)).round()
    said = " ".join(str(vars(record)) for record in caplog.records)
    assert "certificates renewed" in said
    assert "PRIVATE" not in said
    assert stored(api, "tls.key").decode()[40:80] not in said
