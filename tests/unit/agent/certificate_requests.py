"""An API server as far as an agent's CertificateSigningRequests go, with somebody who answers them."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from ballast.errors import BallastError
from ballast.kube import ApiRefused
from ballast.serve.certificates import new_authority, serving_certificate

JsonObject = dict[str, Any]

NOW = datetime.now(UTC)
AUTHORITY, AUTHORITY_KEY = new_authority("test-ca", NOW - timedelta(hours=1), NOW + timedelta(days=10))


def asked(request: JsonObject) -> x509.CertificateSigningRequest:
    """The PKCS#10 request in one of Kubernetes."""
    return x509.load_pem_x509_csr(base64.b64decode(request["spec"]["request"]))


def signed(request: JsonObject) -> JsonObject:
    """The status of a request that is signed as it stands."""
    wanted = asked(request)
    key = wanted.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    names = wanted.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    certificate = serving_certificate(
        AUTHORITY,
        AUTHORITY_KEY,
        key,
        "test",
        list(names),
        NOW,
        NOW + timedelta(seconds=request["spec"]["expirationSeconds"]),
    )
    return {"certificate": base64.b64encode(certificate.public_bytes(Encoding.PEM)).decode()}


class CertificateRequests:
    """Keeps requests.

    Attributes:
        requests: all that were made, in order.
        answer: gives each its status when it is looked at; raises instead, or returns None to leave it open.
    """

    def __init__(self, answer: Callable[[JsonObject], JsonObject | None] = signed) -> None:
        self.requests: list[JsonObject] = []
        self.answer = answer
        self.error: BallastError | None = None

    async def create(self, path: str, body: Mapping[str, Any]) -> JsonObject:
        assert path == "/apis/certificates.k8s.io/v1/certificatesigningrequests"
        if self.error is not None:
            raise self.error
        name = f"{body['metadata']['generateName']}{len(self.requests)}"
        self.requests.append({**body, "metadata": {"name": name}})
        return self.requests[-1]

    async def get(self, path: str) -> JsonObject:
        for request in self.requests:
            if path.endswith("/" + request["metadata"]["name"]):
                return {**request, "status": self.answer(request) or {}}
        raise ApiRefused(404, "NotFound", path)
