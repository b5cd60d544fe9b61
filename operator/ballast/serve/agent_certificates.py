"""Signs agents' serving certificates: the leading operator answers CertificateSigningRequests of `SIGNER`.

What must hold: whoever asks gets a certificate for the node on which it runs and for no other. Who asks is what the API
server wrote into the request: the agent's service account, and the node that its token is bound to. Names and addresses
must be that node's own, exactly; the rest of the certificate is ours. Approved by whomever, what fails these checks is
not signed. A node may claim another's address only as far as Kubernetes lets its kubelet do so in `status.addresses`.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, NoReturn, Protocol

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec

from ballast.api.agentserving import NODE_NAME_EXTRA, SIGNER, USAGES, dns_name
from ballast.errors import BallastError
from ballast.kube import ApiRefused
from ballast.serve import agent_authority, certificates, shared_secret
from ballast.serve.agent_authority import Authorities, AuthorityKeeper, Lifetimes

logger = logging.getLogger(__name__)

JsonObject = dict[str, Any]
Address = IPv4Address | IPv6Address

REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
NODES = "/api/v1/nodes"
AGENT_ACCOUNT = "ballast-agent"
REFRESH_SECONDS = 60.0
"""How often the authorities are looked at."""
RETRY_SECONDS = 5.0
MAX_REQUEST_BYTES = 16 << 10


class Objection(BallastError):
    """A request that is not signed; the message says why, to whoever reads the request."""


@dataclass(frozen=True)
class Wanted:
    """What an agent asks for, checked.

    Attributes:
        node: Its node.
        public_key: Its key.
        names: By which pods call it.
        seconds: How long it wants the certificate to be valid.
    """

    node: str
    public_key: ec.EllipticCurvePublicKey
    names: tuple[x509.GeneralName, ...]
    seconds: float


def node_of(request: Mapping[str, Any], account: str) -> str:
    """Return the node of the agent that made a request, as the API server knows it.

    Args:
        request: a CertificateSigningRequest.
        account: the user name of the agents' service account.

    Raises:
        Objection: it was made by somebody else.
    """
    spec = request["spec"]
    user = spec.get("username") or ""
    if user != account:
        raise Objection(f"only {account} gets certificates of {SIGNER}, and this was asked for by {user or 'nobody'}")
    nodes = (spec.get("extra") or {}).get(NODE_NAME_EXTRA) or []
    if len(nodes) != 1:
        raise Objection(
            f"the token with which it was asked for names no node: an agent asks with its own pod's token, and"
            f" Kubernetes 1.30 or later writes {NODE_NAME_EXTRA} into it"
        )
    return str(nodes[0])


def check(request: Mapping[str, Any], node: str, addresses: Collection[Address]) -> Wanted:
    """Return what a node's agent asks for.

    Args:
        request: a CertificateSigningRequest.
        node: the node of the agent that made it.
        addresses: the node's.

    Raises:
        Objection: it is not what agents get.
    """
    spec = request["spec"]
    usages = set(spec.get("usages") or ())
    if usages != USAGES:
        raise Objection(f"usages must be {_listed(USAGES)}, not {_listed(usages)}")
    asked = _parsed(spec.get("request") or "")
    key = asked.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise Objection("the key must be an elliptic curve's, P-256")
    if not asked.is_signature_valid:
        raise Objection("the request is not signed with its own key")
    names = _names(asked)
    allowed = {x509.DNSName(dns_name(node)), *(x509.IPAddress(each) for each in addresses)}
    foreign = [each for each in names if each not in allowed]
    if foreign:
        told = _listed(str(each.value) for each in foreign)
        raise Objection(f"the agent of node {node} may be called {_told(allowed)}, and asked for {told}")
    if x509.DNSName(dns_name(node)) not in names:
        raise Objection(f"the names must hold {dns_name(node)}")
    return Wanted(node, key, tuple(names), float(spec.get("expirationSeconds") or Lifetimes.leaf_seconds))


def addresses_of(node: Mapping[str, Any]) -> frozenset[Address]:
    """Return a Node's addresses, names left out."""
    found = set()
    for address in (node.get("status") or {}).get("addresses") or ():
        with contextlib.suppress(ValueError):
            found.add(ip_address(address.get("address") or ""))
    return frozenset(found)


class Kube(shared_secret.Kube, Protocol):
    """The requests that signing takes; writes must be refused to those who do not lead."""

    async def replace(self, path: str, body: Mapping[str, Any]) -> JsonObject:
        """Put an object in another's place, in the version that it carries."""
        ...

    def list_pages(
        self, path: str, label_selector: str | None = None, field_selector: str | None = None
    ) -> AsyncIterator[JsonObject]:
        """Yield a collection page by page."""
        ...

    def watch(
        self, path: str, resource_version: str, field_selector: str | None = None
    ) -> AsyncGenerator[tuple[str, JsonObject]]:
        """Yield what happens in a collection."""
        ...


class AgentCertificates:
    """Keeps the agents' authorities, and signs for agents; runs where the process leads.

    Args:
        kube: the API server.
        namespace: Ballast's namespace.
        lifetimes: how long certificates are valid.
        on_request: told `signed`, `denied` or `failed` of each request.
        refresh_seconds: how often the authorities are looked at.
        clock: the time, in UTC.
    """

    def __init__(
        self,
        kube: Kube,
        namespace: str,
        lifetimes: Lifetimes | None = None,
        on_request: Callable[[str], None] = lambda result: None,
        refresh_seconds: float = REFRESH_SECONDS,
        clock: Callable[[], datetime] = certificates.utc_now,
    ) -> None:
        self._kube = kube
        self._account = f"system:serviceaccount:{namespace}:{AGENT_ACCOUNT}"
        self._lifetimes = lifetimes or Lifetimes()
        self._on_request = on_request
        self._refresh_seconds = refresh_seconds
        self._clock = clock
        self._keeper = AuthorityKeeper(kube, namespace, self._lifetimes, clock)
        self._authorities: Authorities | None = None
        self._complaint = ""
        self.ready = asyncio.Event()
        """It is known whom pods are to trust."""

    @property
    def ca_bundle(self) -> str | None:
        """The authorities that pods are to trust, as PEM; None until they are known."""
        return self._authorities.bundle.decode() if self._authorities is not None else None

    async def run(self) -> NoReturn:
        """Keep the authorities and sign, until cancelled; what fails is tried again, and said once."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._keep())
                await self.ready.wait()
                tasks.create_task(self._answer_all())
        except ExceptionGroup as group:
            raise group.exceptions[0] from group
        raise AssertionError("a task group with tasks that never end has ended")

    async def refresh(self) -> Authorities:
        """Look at the authorities now.

        Raises:
            BallastError: the API server refused or is away.
        """
        self._authorities = await self._keeper.round()
        self.ready.set()
        return self._authorities

    async def _keep(self) -> NoReturn:
        while True:
            pause = self._refresh_seconds
            try:
                await self.refresh()
            except BallastError as error:
                self._complain("the agents' authorities cannot be kept", error)
                pause = min(RETRY_SECONDS, pause)
            await asyncio.sleep(pause)

    async def _answer_all(self) -> NoReturn:
        """List, then watch, and begin again whenever that ends; what was missed stands in the next list."""
        while True:
            try:
                version = "0"
                async for page in self._kube.list_pages(REQUESTS, field_selector=f"spec.signerName={SIGNER}"):
                    version = page["metadata"]["resourceVersion"]
                    for request in page["items"]:
                        await self._try(request)
                watching = self._kube.watch(REQUESTS, version, f"spec.signerName={SIGNER}")
                async with contextlib.aclosing(watching) as events:
                    async for kind, request in events:
                        if kind in {"ADDED", "MODIFIED"}:
                            await self._try(request)
            except BallastError as error:
                self._complain("agents' certificates cannot be signed", error)
                await asyncio.sleep(RETRY_SECONDS)
            else:
                self._complaint = ""

    async def _try(self, request: JsonObject) -> None:
        try:
            await self.answer(request)
        except ApiRefused as error:  # so that one request that the API server does not like holds up no other
            self._complain("an agent's certificate cannot be signed", error)

    async def answer(self, request: JsonObject) -> None:
        """Sign one request, or say why not; one that is answered already is left alone.

        Raises:
            BallastError: the API server refused or is away.
        """
        status = request.get("status") or {}
        conditions = {each["type"] for each in status.get("conditions") or ()}
        if (
            request["spec"].get("signerName") != SIGNER
            or status.get("certificate")
            or conditions & {"Denied", "Failed"}
        ):
            return
        try:
            wanted = await self._checked(request)
        except Objection as objection:
            await self._refuse(request, str(objection), approved="Approved" in conditions)
            return
        await self._sign(request, wanted, approved="Approved" in conditions)

    async def _checked(self, request: JsonObject) -> Wanted:
        node = node_of(request, self._account)
        addresses: frozenset[Address] = frozenset()
        async for page in self._kube.list_pages(NODES, field_selector=f"metadata.name={node}"):
            for each in page["items"]:
                addresses |= addresses_of(each)
        return check(request, node, addresses)

    async def _sign(self, request: JsonObject, wanted: Wanted, *, approved: bool) -> None:
        if not approved:
            told = f"the agent of node {wanted.node} asks for its own node"
            condition = _condition("Approved", "AgentOfItsNode", told, self._clock())
            approved_request = await self._write(request, "approval", conditions=[*_conditions(request), condition])
            if approved_request is None:
                return
            request = approved_request
        authorities = self._authorities or await self.refresh()
        now = self._clock()
        authority = authorities.signer(now, self._lifetimes)
        certificate = agent_authority.issue(
            authority, wanted.public_key, wanted.names, wanted.seconds, now, self._lifetimes
        )
        encoded = base64.b64encode(certificates.pem(certificate)).decode()
        if await self._write(request, "status", certificate=encoded) is not None:
            self._on_request("signed")
            logger.info(
                "signed an agent's certificate",
                extra={"node": wanted.node, "expires": certificate.not_valid_after_utc.isoformat()},
            )

    async def _refuse(self, request: JsonObject, message: str, *, approved: bool) -> None:
        """Deny it; what somebody has approved already cannot be denied any more, and has failed."""
        kind, subresource = ("Failed", "status") if approved else ("Denied", "approval")
        condition = _condition(kind, "NotAnAgentOfItsNode", message, self._clock())
        if await self._write(request, subresource, conditions=[*_conditions(request), condition]) is not None:
            self._on_request("failed" if approved else "denied")
            logger.warning(
                "refused to sign a certificate", extra={"request": request["metadata"]["name"], "reason": message}
            )

    async def _write(self, request: JsonObject, subresource: str, **status: Any) -> JsonObject | None:
        """Return the request as it is now; None if it is gone or was changed, of which the watch will tell."""
        body = {**request, "status": {**(request.get("status") or {}), **status}}
        body.setdefault("apiVersion", "certificates.k8s.io/v1")  # items of lists do not say
        body.setdefault("kind", "CertificateSigningRequest")
        try:
            return await self._kube.replace(f"{REQUESTS}/{request['metadata']['name']}/{subresource}", body)
        except ApiRefused as error:
            if error.status not in {404, 409}:
                raise
            return None

    def _complain(self, message: str, error: BallastError) -> None:
        if (complaint := f"{message}: {error}") != self._complaint:
            self._complaint = complaint
            logger.warning(message, extra={"error": str(error)})


def _parsed(text: str) -> x509.CertificateSigningRequest:
    if len(text) > MAX_REQUEST_BYTES:
        raise Objection(f"the request is longer than {MAX_REQUEST_BYTES} bytes")
    try:
        return x509.load_pem_x509_csr(base64.b64decode(text, validate=True))
    except (ValueError, binascii.Error, UnsupportedAlgorithm) as error:
        raise Objection(f"the request cannot be read: {error}") from error


def _names(asked: x509.CertificateSigningRequest) -> Sequence[x509.GeneralName]:
    """Return the names; nothing else may be asked for."""
    try:
        extensions = list(asked.extensions)
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise Objection(f"the request's extensions cannot be read: {error}") from error
    names: list[x509.GeneralName] = []
    for extension in extensions:
        if not isinstance(extension.value, x509.SubjectAlternativeName):
            raise Objection(f"only names may be asked for, not the extension {extension.oid.dotted_string}")
        names += list(extension.value)
    return names


def _condition(kind: str, reason: str, message: str, now: datetime) -> JsonObject:
    time = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"type": kind, "status": "True", "reason": reason, "message": message, "lastUpdateTime": time}


def _conditions(request: JsonObject) -> list[JsonObject]:
    return list((request.get("status") or {}).get("conditions") or ())


def _told(names: Collection[x509.GeneralName]) -> str:
    return _listed(str(each.value) for each in names)


def _listed(words: Any) -> str:
    return ", ".join(sorted(words)) or "nothing"
