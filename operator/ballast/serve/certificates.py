"""The webhook's certificates: a certificate authority of its own, what it issues, and when each is replaced.

Pure: the clock is an argument and nothing is read or written. What must hold: at every moment the serving certificate
is signed by an authority that callers trust already. So a new authority is announced first (callers trust the old and
the new one), and signs only once the announcement has had time to reach everybody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

RENEWED_AFTER = 2 / 3
"""The share of its lifetime after which a certificate is replaced."""

CA_LIFETIMES = 4
"""An authority lives as long as this many of the certificates that it issues."""

MAX_SKEW_SECONDS = 300.0
"""Certificates are valid from a little earlier on, for callers whose clock is behind."""

CERTIFICATE, PRIVATE_KEY, CA_CERTIFICATE, CA_PRIVATE_KEY = "tls.crt", "tls.key", "ca.crt", "ca.key"
"""The names in the Secret; the first two are those of `kubernetes.io/tls`."""


@dataclass(frozen=True)
class Policy:
    """How long certificates live.

    Attributes:
        names: The DNS names by which the webhook is called.
        lifetime_seconds: Of the serving certificate.
        settle_seconds: How long after a new authority was announced nobody can be left who does not trust it.
    """

    names: tuple[str, ...]
    lifetime_seconds: float
    settle_seconds: float

    @property
    def skew_seconds(self) -> float:
        """How much earlier than it was made a certificate is valid."""
        return min(MAX_SKEW_SECONDS, self.lifetime_seconds / 10)


class Unusable(ValueError):
    """What is stored are no certificates that fit together: they are made anew."""


@dataclass(frozen=True)
class Material:
    """What the replicas share.

    Attributes:
        authorities: The certificates of trusted authorities, the newest first.
        authority_key: The key of the newest; those of older ones are gone, so they can sign nothing any more.
        certificate: The serving certificate.
        key: Its key.
    """

    authorities: tuple[x509.Certificate, ...]
    authority_key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def __repr__(self) -> str:
        return f"Material(serial={self.certificate.serial_number:x}, authorities={len(self.authorities)})"  # no keys

    @classmethod
    def parse(cls, files: Mapping[str, bytes]) -> Self:
        """Reads what `files()` returned.

        Raises:
            Unusable: A part is missing, unreadable or of another one's.
        """
        try:
            material = cls(
                authorities=tuple(x509.load_pem_x509_certificates(files[CA_CERTIFICATE])),
                authority_key=private_key(files[CA_PRIVATE_KEY]),
                certificate=x509.load_pem_x509_certificate(files[CERTIFICATE]),
                key=private_key(files[PRIVATE_KEY]),
            )
        except KeyError as error:
            raise Unusable(f"{error.args[0]} is missing") from error
        except ValueError as error:
            raise Unusable(str(error)) from error
        pairs = ((material.authorities[0], material.authority_key), (material.certificate, material.key))
        if any(certificate.public_key() != key.public_key() for certificate, key in pairs):
            raise Unusable("a key is not that of its certificate")
        if material.issuer is None:
            raise Unusable("the serving certificate is not signed by a trusted authority")
        return material

    def files(self) -> dict[str, bytes]:
        """PEM, by the names in the Secret."""
        return {
            CERTIFICATE: pem(self.certificate),
            PRIVATE_KEY: key_pem(self.key),
            CA_CERTIFICATE: self.ca_bundle,
            CA_PRIVATE_KEY: key_pem(self.authority_key),
        }

    @property
    def ca_bundle(self) -> bytes:
        """What callers are to trust, as PEM."""
        return b"".join(pem(authority) for authority in self.authorities)

    @property
    def issuer(self) -> x509.Certificate | None:
        """The trusted authority that signed the serving certificate."""
        return next((each for each in self.authorities if _signed(self.certificate, each)), None)

    @property
    def expires(self) -> datetime:
        """When the serving certificate does."""
        return self.certificate.not_valid_after_utc


def advance(material: Material | None, now: datetime, policy: Policy) -> Material:
    """Returns what should be stored now: the same if nothing is due.

    Args:
        material: What is stored; None if there is nothing usable.
        now: The time, in UTC.
        policy: How long certificates live.
    """
    if material is None or material.authorities[0].not_valid_after_utc <= now:
        authority, authority_key = _new_authority(now, policy)
        return _issue((authority,), authority_key, now, policy)
    newest = material.authorities[0]
    if is_due(newest, now):
        newest, key = _new_authority(now, policy)
        material = replace(material, authorities=(newest, *material.authorities), authority_key=key)
    trusted = tuple(each for each in material.authorities if each.not_valid_after_utc > now)
    if trusted != material.authorities:
        material = replace(material, authorities=trusted)
    settled = now >= newest.not_valid_before_utc + timedelta(seconds=policy.skew_seconds + policy.settle_seconds)
    stale = (
        is_due(material.certificate, now)
        or material.issuer != newest
        or set(_names(material.certificate)) != set(policy.names)
    )
    # Nobody accepts an expired certificate: a new authority's is no worse then.
    if stale and (settled or len(trusted) == 1 or material.expires <= now):
        return _issue(material.authorities, material.authority_key, now, policy)
    return material


def is_due(certificate: x509.Certificate, now: datetime) -> bool:
    """Whether a certificate should be replaced."""
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return now >= start + (end - start) * RENEWED_AFTER


def new_authority(prefix: str, start: datetime, end: datetime) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """Returns a certificate authority that signs serving certificates only, and its key.

    Args:
        prefix: of its name.
        start: from when it is valid.
        end: until when it is.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    # Its own key's digest is in the name: two authorities of the same name would be mistaken for each other.
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{prefix}-{identifier.digest.hex()[:12]}")])
    usage = x509.KeyUsage(
        digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    certificate = (
        _builder(name, key.public_key(), start, end)
        .issuer_name(name)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(identifier, critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate, key


def serving_certificate(
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    public_key: ec.EllipticCurvePublicKey,
    common_name: str,
    names: Sequence[x509.GeneralName],
    start: datetime,
    end: datetime,
) -> x509.Certificate:
    """Returns a certificate for a server; it never outlives its authority.

    Args:
        authority: signs it.
        authority_key: the authority's key.
        public_key: the server's.
        common_name: for people.
        names: by which the server is called.
        start: from when it is valid.
        end: until when it is, at most.
    """
    identifier = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    return (
        _builder(subject, public_key, start, min(end, authority.not_valid_after_utc))
        .issuer_name(authority.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .sign(authority_key, hashes.SHA256())
    )


def _new_authority(now: datetime, policy: Policy) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    start = now - timedelta(seconds=policy.skew_seconds)
    return new_authority("ballast-webhook-ca", start, now + timedelta(seconds=policy.lifetime_seconds * CA_LIFETIMES))


def _issue(
    authorities: Sequence[x509.Certificate],
    authority_key: ec.EllipticCurvePrivateKey,
    now: datetime,
    policy: Policy,
) -> Material:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = serving_certificate(
        authorities[0],
        authority_key,
        key.public_key(),
        "ballast-webhook",
        [x509.DNSName(each) for each in policy.names],
        now - timedelta(seconds=policy.skew_seconds),
        now + timedelta(seconds=policy.lifetime_seconds),
    )
    return Material(tuple(authorities), authority_key, certificate, key)


def _builder(
    name: x509.Name, key: ec.EllipticCurvePublicKey, start: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
    )


def _signed(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _names(certificate: x509.Certificate) -> list[str]:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return names.get_values_for_type(x509.DNSName)


def private_key(text: bytes) -> ec.EllipticCurvePrivateKey:
    """Reads a key from PEM.

    Raises:
        ValueError: It is none, or (`Unusable`) of another kind.
    """
    key = serialization.load_pem_private_key(text, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise Unusable("a key is not an elliptic curve's")
    return key


def pem(certificate: x509.Certificate) -> bytes:
    """A certificate as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A key as PEM."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def utc_now() -> datetime:
    """The time of the machine's clock, in UTC."""
    return datetime.now(UTC)
