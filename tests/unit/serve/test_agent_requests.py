"""An agent gets a certificate of the node on which it runs, and nobody gets another one."""

from __future__ import annotations

import base64
from ipaddress import ip_address
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from ballast.serve.agent_certificates import Objection, Wanted, addresses_of, check, node_of
from tests.unit.serve.agent_requests import ACCOUNT, ADDRESSES, OWN, pkcs10, request

ADDRESS = ip_address("10.1.2.3")
OTHER_NODE = x509.DNSName("a40-0.agents.ballast.dev")


def checked(asked: dict[str, Any]) -> Wanted:
    return check(asked, node_of(asked, ACCOUNT), addresses_of({"status": {"addresses": ADDRESSES}}))


def test_an_agent_gets_its_own_node() -> None:
    wanted = checked(request())
    assert (wanted.node, wanted.names, wanted.seconds) == ("v100-0", OWN, 86400)


def test_an_agent_without_an_address_gets_its_name() -> None:
    assert checked(request(pkcs10(OWN[:1]))).names == OWN[:1]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (request(user="system:serviceaccount:ballast-system:default"), "only system:serviceaccount:ballast-system"),
        (
            request(user="system:serviceaccount:team:ballast-agent"),
            "asked for by system:serviceaccount:team:ballast-ag",
        ),
        (request(user="admin"), "asked for by admin"),
        (request(user=""), "asked for by nobody"),
        (request(node=None), "names no node"),
        (request(extra={"authentication.kubernetes.io/node-name": ["v100-0", "a40-0"]}), "names no node"),
    ],
)
def test_only_agents_get_any(asked: dict[str, Any], told: str) -> None:
    with pytest.raises(Objection, match=told):
        checked(asked)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (request(node="a40-0"), "the agent of node a40-0 may be called .*, and asked for v100-0.agents.ballast.dev"),
        (request(pkcs10([*OWN, OTHER_NODE])), "and asked for a40-0.agents.ballast.dev"),
        (request(pkcs10([*OWN, x509.IPAddress(ip_address("10.1.2.4"))])), "and asked for 10.1.2.4"),
        (request(pkcs10([*OWN, x509.DNSName("*.agents.ballast.dev")])), "and asked for"),
        (request(pkcs10([*OWN, x509.DNSName("kubernetes.default.svc")])), "and asked for kubernetes.default.svc"),
        (request(pkcs10([*OWN, x509.RFC822Name("me@example.com")])), "and asked for me@example.com"),
        (request(pkcs10(OWN[1:])), "must hold v100-0.agents.ballast.dev"),
        (request(pkcs10(())), "must hold v100-0.agents.ballast.dev"),
    ],
)
def test_no_other_names_are_signed(asked: dict[str, Any], told: str) -> None:
    with pytest.raises(Objection, match=told):
        checked(asked)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (request(pkcs10(key=ec.generate_private_key(ec.SECP384R1()))), "P-256"),
        (request(pkcs10(key=rsa.generate_private_key(65537, 2048))), "P-256"),
        (request(pkcs10(OWN, None, x509.BasicConstraints(ca=True, path_length=None))), "only names may be asked for"),
        (request(usages=["digital signature", "server auth", "client auth"]), "not client auth, digital signature"),
        (request(usages=["server auth"]), "usages must be digital signature, server auth"),
        (request(request="%%%"), "cannot be read"),
        (request(request=base64.b64encode(b"nonsense").decode()), "cannot be read"),
        (request(request="A" * 20_000), "longer than"),
    ],
)
def test_nothing_but_a_serving_certificate_is_signed(asked: dict[str, Any], told: str) -> None:
    with pytest.raises(Objection, match=told):
        checked(asked)


def test_a_request_must_be_signed_with_its_own_key() -> None:
    pem = pkcs10()
    content = bytearray(base64.b64decode(b"".join(pem.splitlines()[1:-1])))
    content[-1] ^= 1
    forged = (
        b"-----BEGIN CERTIFICATE REQUEST-----\n" + base64.encodebytes(content) + b"-----END CERTIFICATE REQUEST-----\n"
    )
    with pytest.raises(Objection, match=r"not signed with its own key|cannot be read"):
        checked(request(forged))


def test_a_nodes_addresses_are_those_that_are_no_names() -> None:
    assert addresses_of({"status": {"addresses": ADDRESSES}}) == {ADDRESS}
    assert addresses_of({}) == frozenset()
