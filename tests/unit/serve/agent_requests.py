"""Certificate requests of agents, as the API server keeps them, and builders for what others might ask for."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

JsonObject = dict[str, Any]

ACCOUNT = "system:serviceaccount:ballast-system:ballast-agent"
OWN = (x509.DNSName("v100-0.agents.ballast.dev"), x509.IPAddress(ip_address("10.1.2.3")))
ADDRESSES = [{"type": "InternalIP", "address": "10.1.2.3"}, {"type": "Hostname", "address": "v100-0"}]


def pkcs10(
    names: Sequence[x509.GeneralName] = OWN,
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | None = None,
    *extensions: x509.ExtensionType,
) -> bytes:
    """A signed request, as PEM."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "anything")])
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=True)
    return builder.sign(key or ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()).public_bytes(Encoding.PEM)


def request(
    pem: bytes | None = None,
    *,
    name: str = "ballast-agent-x",
    user: str = ACCOUNT,
    node: str | None = "v100-0",
    conditions: Sequence[str] = (),
    **spec: Any,
) -> JsonObject:
    """A CertificateSigningRequest, by default one that is signed."""
    return {
        "metadata": {"name": name, "resourceVersion": "1"},
        "spec": {
            "signerName": "ballast.dev/agent-serving",
            "request": base64.b64encode(pem or pkcs10()).decode(),
            "usages": ["digital signature", "server auth"],
            "expirationSeconds": 86400,
            "username": user,
            "extra": {} if node is None else {"authentication.kubernetes.io/node-name": [node]},
            **spec,
        },
        "status": {"conditions": [{"type": kind, "status": "True"} for kind in conditions]} if conditions else {},
    }
