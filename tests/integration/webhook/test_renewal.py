"""Certificates and their authority change while the API server calls, and every call is answered."""

from __future__ import annotations

import base64
import time

import pytest

from tests.e2e.kube import Kube, Refused
from tests.e2e.operator_process import free_port
from tests.integration.webhook.beside import JOBS, PROBE, SECRET, WebhookBeside
from tests.integration.webhook.conftest import wait_until_it_answers

CERTIFICATE_SECONDS = 6.0  # renewed after 4, and its authority after 16
REFRESH_SECONDS = 0.5


@pytest.mark.slow
def test_every_call_is_answered_while_all_certificates_are_replaced(kube: Kube, webhook_port: int) -> None:
    certificates: set[str] = set()
    authorities: list[str] = []
    calls = 0
    with WebhookBeside(webhook_port, CERTIFICATE_SECONDS, REFRESH_SECONDS) as webhook:
        wait_until_it_answers(kube)
        deadline = time.monotonic() + 10 * CERTIFICATE_SECONDS
        # Until the authority that was the first to be replaced is forgotten.
        while len(certificates) < 4 or len(authorities) < 3:
            assert time.monotonic() < deadline, f"{len(certificates)} certificates, {len(authorities)} bundles"
            kube.create(JOBS, PROBE)  # a call that fails would be an error: failurePolicy is Fail here
            calls += 1
            stored = kube.get(SECRET)["data"]
            certificates.add(stored["tls.crt"])
            if stored["ca.crt"] not in authorities[-1:]:
                authorities.append(stored["ca.crt"])
            time.sleep(0.05)
    assert len(webhook.reviews) >= calls
    counts = [base64.b64decode(bundle).count(b"BEGIN CERTIFICATE") for bundle in authorities[:3]]
    assert counts == [1, 2, 1]


def test_two_replicas_share_one_secret(kube: Kube, webhook_port: int) -> None:
    with WebhookBeside(webhook_port), WebhookBeside(free_port()):
        wait_until_it_answers(kube)
        first = kube.get(SECRET)["metadata"]["resourceVersion"]
        time.sleep(3)  # several rounds of both
        assert kube.get(SECRET)["metadata"]["resourceVersion"] == first


@pytest.mark.usefixtures("webhook_port")
def test_one_that_is_gone_is_told_by_the_api_server(kube: Kube) -> None:
    """Shows that the other tests would notice: with policy Fail, an unanswered call is an error."""
    with pytest.raises(Refused, match="failed calling webhook"):
        kube.create(JOBS, PROBE)
