"""The authority that signs agents' serving certificates: kept in a Secret, trusted by pods, replaced in time.

What must hold: a pod trusts whatever its node's agent serves with, as long as it runs. A pod is told once, when its Job
is made, so a new authority is made when the present one has lived two thirds of its life, and is told to new pods from
then on; the present one goes on signing for the last third, and all of them are trusted until they expire. Which of
them signs follows from the time alone, so that it needs no memory of where a change stands.
"""

from __future__ import annotations

import base64
import binascii
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from ballast.serve import certificates, shared_secret
from ballast.serve.certificates import CA_CERTIFICATE, CA_PRIVATE_KEY, Unusable
from ballast.serve.shared_secret import Kube, SharedSecret

logger = logging.getLogger(__name__)

JsonObject = dict[str, Any]

SECRET_NAME = "ballast-agent-ca"  # noqa: S105 - a name
SECONDS_PER_DAY = 86_400

_KEY = re.compile(rb"-----BEGIN PRIVATE KEY-----.+?-----END PRIVATE KEY-----\n?", re.DOTALL)


@dataclass(frozen=True)
class Lifetimes:
    """How long certificates are valid.

    Attributes:
        authority_seconds: An authority; a pod is told of the next one for the last third of that.
        leaf_seconds: What an agent serves with, at most.
        skew_seconds: How much earlier than it was made a certificate is valid, for callers whose clock is behind.
    """

    authority_seconds: float = 3 * 365 * SECONDS_PER_DAY
    leaf_seconds: float = SECONDS_PER_DAY
    skew_seconds: float = certificates.MAX_SKEW_SECONDS


@dataclass(frozen=True)
class Authority:
    """One certificate authority."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def __repr__(self) -> str:
        return f"Authority(serial={self.certificate.serial_number:x})"  # no key


@dataclass(frozen=True)
class Authorities:
    """All that are trusted, the oldest first."""

    all: tuple[Authority, ...]

    @classmethod
    def parse(cls, files: Mapping[str, bytes]) -> Self:
        """Reads what `files()` returned.

        Raises:
            Unusable: A part is missing, unreadable or of another one's.
        """
        try:
            trusted = x509.load_pem_x509_certificates(files[CA_CERTIFICATE])
            keys = [certificates.private_key(text) for text in _KEY.findall(files[CA_PRIVATE_KEY])]
        except KeyError as error:
            raise Unusable(f"{error.args[0]} is missing") from error
        except ValueError as error:
            raise Unusable(str(error)) from error
        if [each.public_key() for each in trusted] != [key.public_key() for key in keys]:
            raise Unusable("the keys are not those of the certificates")
        return cls(tuple(Authority(certificate, key) for certificate, key in zip(trusted, keys, strict=True)))

    def files(self) -> dict[str, bytes]:
        """PEM, by the names in the Secret."""
        keys = b"".join(certificates.key_pem(each.key) for each in self.all)
        return {CA_CERTIFICATE: self.bundle, CA_PRIVATE_KEY: keys}

    @property
    def bundle(self) -> bytes:
        """What pods are to trust, as PEM."""
        return b"".join(certificates.pem(each.certificate) for each in self.all)

    def signer(self, now: datetime, lifetimes: Lifetimes) -> Authority:
        """The one that signs now: the oldest that outlives what it signs, else the newest."""
        end = now + timedelta(seconds=lifetimes.leaf_seconds)
        return next((each for each in self.all if each.certificate.not_valid_after_utc >= end), self.all[-1])


def advance(stored: Authorities | None, now: datetime, lifetimes: Lifetimes) -> Authorities:
    """Returns what should be stored now: the same if nothing is due.

    Args:
        stored: What is stored; None if there is nothing usable.
        now: The time, in UTC.
        lifetimes: How long certificates are valid.
    """
    trusted = tuple(each for each in stored.all if each.certificate.not_valid_after_utc > now) if stored else ()
    if not trusted or certificates.is_due(trusted[-1].certificate, now):
        start = now - timedelta(seconds=lifetimes.skew_seconds)
        end = now + timedelta(seconds=lifetimes.authority_seconds)
        trusted = (*trusted, Authority(*certificates.new_authority("ballast-agent-ca", start, end)))
    return stored if stored is not None and trusted == stored.all else Authorities(trusted)


def issue(
    authority: Authority,
    public_key: ec.EllipticCurvePublicKey,
    names: Sequence[x509.GeneralName],
    seconds: float,
    now: datetime,
    lifetimes: Lifetimes,
) -> x509.Certificate:
    """Returns a certificate for an agent.

    Args:
        authority: Signs it.
        public_key: The agent's.
        names: By which pods call it.
        seconds: How long it was asked for; it gets no more than `lifetimes` allow.
        now: The time, in UTC.
        lifetimes: How long certificates are valid.
    """
    return certificates.serving_certificate(
        authority.certificate,
        authority.key,
        public_key,
        "ballast-agent",
        names,
        max(now - timedelta(seconds=lifetimes.skew_seconds), authority.certificate.not_valid_before_utc),
        now + timedelta(seconds=min(seconds, lifetimes.leaf_seconds)),
    )


class AuthorityKeeper:
    """Keeps the authorities in step with the Secret; of two replicas that make one at once, one does.

    Args:
        kube: the API server.
        namespace: the operator's namespace.
        lifetimes: how long certificates are valid.
        clock: the time, in UTC.
    """

    def __init__(
        self,
        kube: Kube,
        namespace: str,
        lifetimes: Lifetimes,
        clock: Callable[[], datetime] = certificates.utc_now,
    ) -> None:
        self._secret = SharedSecret(kube, namespace, SECRET_NAME)
        self._lifetimes = lifetimes
        self._clock = clock

    async def round(self) -> Authorities:
        """Return what is stored, after storing what is due.

        Raises:
            BallastError: the API server refused or is away; another round may succeed.
        """
        return await shared_secret.repeated(self._round)

    async def _round(self) -> Authorities:
        secret = await self._secret.read()
        stored = _stored(secret) if secret is not None else None
        authorities = advance(stored, self._clock(), self._lifetimes)
        if authorities is stored:
            return authorities
        if secret is None:
            await self._secret.create(_new_secret(authorities))
        else:
            await self._secret.write(secret, authorities.files())
        newest = authorities.all[-1].certificate
        logger.info(
            "the agents' authorities have changed",
            extra={"trusted": len(authorities.all), "expires": newest.not_valid_after_utc.isoformat()},
        )
        return authorities


def _new_secret(authorities: Authorities) -> JsonObject:
    """The chart has one, empty, that goes when Ballast is uninstalled; this is for operators without it."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": {
            "name": SECRET_NAME,
            "labels": {"app.kubernetes.io/name": "ballast", "app.kubernetes.io/component": "agent"},
        },
        "data": shared_secret.encoded(authorities.files()),
    }


def _stored(secret: JsonObject) -> Authorities | None:
    """Return what a Secret holds, or None if it must be made anew."""
    data = secret.get("data") or {}
    if not data:
        return None
    try:
        return Authorities.parse({name: base64.b64decode(text, validate=True) for name, text in data.items()})
    except (Unusable, binascii.Error) as error:
        # Pods that run trust what is lost here, and cannot ask their agents any more; they go on training.
        logger.warning("Secret %s is made anew", SECRET_NAME, extra={"error": str(error)})
        return None
