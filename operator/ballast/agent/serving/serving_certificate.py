"""The agent's serving certificate: asked for by a CertificateSigningRequest, kept in memory, renewed in time.

The leading operator signs it for this agent's own node. What must hold: the private key never leaves the process, not
even to a disk; a certificate is used only if it is for that key; where nobody signs, the agent goes on metering and
capping, and asks again.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import os
import random
import ssl
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address
from typing import Any, NoReturn, Protocol

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ballast.api.agentserving import SIGNER, USAGES, dns_name
from ballast.errors import BallastError, RetryableError
from ballast.kube import ApiRefused, ApiUnavailable

logger = logging.getLogger(__name__)

JsonObject = dict[str, Any]

LIFETIME_SECONDS = 24 * 3600
RENEWED_AFTER = 2 / 3
"""The share of its lifetime after which a certificate is replaced."""
POLL_SECONDS, MAX_POLL_SECONDS = 0.5, 15.0
RETRY_SECONDS, MAX_RETRY_SECONDS = 5.0, 300.0
JITTER = 0.2

REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"


class Kube(Protocol):
    """What is needed of an API client."""

    async def get(self, path: str) -> JsonObject:
        """Read one object."""
        ...

    async def create(self, path: str, body: Mapping[str, Any]) -> JsonObject:
        """Create an object in a collection."""
        ...


class NotSigned(RetryableError):
    """The operator did not sign, or signed something else."""


class ServingCertificate:
    """Keeps an SSL context that serves as this node's agent.

    Args:
        kube: the API server.
        node: the agent's own node.
        addresses: by which pods reach it: the node's.
        lifetime_seconds: how long a certificate is asked for; the operator may give less.
        on_certificate: told when the serving certificate expires, in seconds since the epoch.
        clock: the time, in UTC.
    """

    def __init__(
        self,
        kube: Kube,
        node: str,
        addresses: Sequence[IPv4Address | IPv6Address],
        lifetime_seconds: int = LIFETIME_SECONDS,
        on_certificate: Callable[[float], None] = lambda expires: None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._kube = kube
        self._node = node
        self._addresses = tuple(addresses)
        self._lifetime_seconds = lifetime_seconds
        self._on_certificate = on_certificate
        self._clock = clock
        self._complaint = ""
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.certificate: x509.Certificate | None = None
        """The one in use."""
        self.ready = asyncio.Event()
        """There is one."""

    async def run(self) -> NoReturn:
        """Ask for a certificate, and for the next one in time, until cancelled; what fails is tried again."""
        retry_seconds = RETRY_SECONDS
        while True:
            try:
                await self.renew()
            except BallastError as error:
                self._complain(error)
                await asyncio.sleep(_spread(retry_seconds))
                retry_seconds = min(retry_seconds * 2, MAX_RETRY_SECONDS)
            else:
                retry_seconds, self._complaint = RETRY_SECONDS, ""
                await self._until_due()

    async def _until_due(self) -> None:
        # In steps: a sleep does not notice that the machine slept, or that its clock was set.
        while (remaining := self.seconds_until_due()) > 0:  # noqa: ASYNC110 - time does not tell when it has come
            await asyncio.sleep(min(remaining, MAX_RETRY_SECONDS))

    def seconds_until_due(self) -> float:
        """Return in how many seconds the certificate is to be replaced; 0 or less if it is due."""
        if self.certificate is None:
            return 0.0
        start, end = self.certificate.not_valid_before_utc, self.certificate.not_valid_after_utc
        return (start + (end - start) * RENEWED_AFTER - self._clock()).total_seconds()

    async def renew(self) -> None:
        """Have a new key's certificate signed, however long that takes, and serve with it.

        Raises:
            NotSigned: the operator refused, or nobody answered until the API server forgot the request.
            BallastError: the API server refused or is away.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        created = await self._kube.create(REQUESTS, self._request(key))
        chain = await self._signed(created["metadata"]["name"])
        self._serve_with(chain, key)

    def _request(self, key: ec.EllipticCurvePrivateKey) -> JsonObject:
        names: list[x509.GeneralName] = [x509.DNSName(dns_name(self._node))]
        names += [x509.IPAddress(address) for address in self._addresses]
        request = (
            x509.CertificateSigningRequestBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ballast-agent")]))
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign(key, hashes.SHA256())
        )
        pem = request.public_bytes(serialization.Encoding.PEM)
        return {
            "apiVersion": "certificates.k8s.io/v1",
            "kind": "CertificateSigningRequest",
            "metadata": {
                "generateName": "ballast-agent-",
                "labels": {"app.kubernetes.io/name": "ballast", "app.kubernetes.io/component": "agent"},
            },
            "spec": {
                "signerName": SIGNER,
                "request": base64.b64encode(pem).decode(),
                "usages": sorted(USAGES),
                "expirationSeconds": self._lifetime_seconds,
            },
        }

    async def _signed(self, name: str) -> bytes:
        """Return what was signed, as PEM; wait for it as long as the API server keeps the request."""
        poll_seconds = POLL_SECONDS
        while True:
            await asyncio.sleep(poll_seconds)
            poll_seconds = min(poll_seconds * 1.5, MAX_POLL_SECONDS)
            if poll_seconds == MAX_POLL_SECONDS:
                self._complain(
                    NotSigned(f"nobody has signed CertificateSigningRequest {name} yet; does the operator run?")
                )
            try:
                seen = await self._kube.get(f"{REQUESTS}/{name}")
            except ApiUnavailable:
                continue
            except ApiRefused as error:
                if error.status != 404:
                    raise
                raise NotSigned(f"CertificateSigningRequest {name} is gone, and nobody has signed it") from error
            status = seen.get("status") or {}
            if status.get("certificate"):
                return base64.b64decode(status["certificate"])
            for condition in status.get("conditions") or ():
                if condition["type"] in {"Denied", "Failed"}:
                    raise NotSigned(
                        f"CertificateSigningRequest {name} was refused: {condition.get('message') or condition['type']}"
                    )

    def _serve_with(self, chain: bytes, key: ec.EllipticCurvePrivateKey) -> None:
        """Take a certificate into use; connections that are open keep theirs."""
        try:
            certificate = x509.load_pem_x509_certificate(chain)
        except ValueError as error:
            raise NotSigned(f"what was signed cannot be read: {error}") from error
        if certificate.public_key() != key.public_key():
            raise NotSigned("what was signed is for another key")
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        # `ssl` reads keys from files only: this one exists in memory, for this process, for a moment.
        file = os.memfd_create("serving", os.MFD_CLOEXEC)
        try:
            os.write(file, chain + pem)
            self.context.load_cert_chain(f"/proc/self/fd/{file}")
        finally:
            os.close(file)
        self.certificate = certificate
        self._on_certificate(certificate.not_valid_after_utc.timestamp())
        self.ready.set()
        logger.info("serving certificate loaded", extra={"expires": certificate.not_valid_after_utc.isoformat()})

    def _complain(self, error: BallastError) -> None:
        # By its kind: the requests' names, which differ each time, would make each complaint a new one.
        if (complaint := type(error).__name__) != self._complaint:
            self._complaint = complaint
            logger.warning("pods cannot ask, or not for long: no serving certificate", extra={"error": str(error)})


def _spread(seconds: float) -> float:
    """Return about as many seconds, so that the agents of a cluster do not all ask at once."""
    return seconds * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - no secret
