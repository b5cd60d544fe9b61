"""An agent as pods see it: TLS with a certificate for its node, readings for a token, errors as problem JSON."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from socket import AF_INET, AF_INET6, SHUT_RDWR
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ballast.api.agentserving import CA_FILE, READINGS_PATH, TOKEN_FILE, dns_name

NODE = "node-a"
POD_UID = "0f7d1a2b-0000-4000-8000-000000000001"
GPU = "GPU-11111111-2222-3333-4444-555555555555"
TOKEN = "aaa.bbb.ccc"  # noqa: S105 - nobody's

Json = dict[str, Any]

AUTHORITY = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])


def share(active: float, idle: float = 0.0, watts: float = 0.0, source: str = "Counter") -> Json:
    """A share as the agent writes it."""
    return {"activeJoules": active, "idleJoules": idle, "watts": watts, "source": source}


def readings(
    at: float, since: float = 1_000.0, gpu: Json | None = None, cpu: Json | None = None, uid: str = POD_UID
) -> Json:
    """Readings as the agent writes them."""
    told: Json = {"podUid": uid, "namespace": "team", "name": "sweep-0", "node": NODE}
    told |= {"at": _time(at), "since": _time(since), "gpus": [], "joules": 0.0, "watts": 0.0}
    if gpu is not None:
        told["gpus"] = [{"uuid": GPU, "powerLimitWatts": 300.0, **gpu}]
    if cpu is not None:
        told["cpu"] = cpu
    return told


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


@dataclass
class Authority:
    """Signs agents' certificates."""

    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    @cached_property
    def certificate(self) -> str:
        """Its own certificate, as PEM."""
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        built = self._builder(AUTHORITY, self.key.public_key()).add_extension(usage, critical=True)
        built = built.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        return built.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()

    def context(self, folder: Path, node: str) -> ssl.SSLContext:
        """What serves as a node's agent."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ballast-agent")])
        names = x509.SubjectAlternativeName([x509.DNSName(dns_name(node)), x509.IPAddress(ip_address("192.0.2.1"))])
        built = self._builder(subject, key.public_key()).add_extension(names, critical=False)
        pem = built.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        pem += key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file = folder / "agent.pem"
        file.write_bytes(pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(AUTHORITY)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=1))
            .not_valid_after(now + timedelta(days=1))
        )


class TlsAgent:
    """One agent that answers until it is closed.

    Attributes:
        answer: status and content of the next answers.
        headers: of them.
        tokens: those that it was asked with, oldest first.
        connections: how many were made.
        is_deaf: it takes connections and says nothing.
    """

    def __init__(self, folder: Path, authority: Authority, node: str = NODE, host: str = "127.0.0.1") -> None:
        self.answer: tuple[int, Json] = (200, readings(time.time(), gpu=share(10.0, 2.0, 100.0), cpu=share(3.0)))
        self.headers: dict[str, str] = {}
        self.tokens: list[str] = []
        self.connections = 0
        self.is_deaf = False
        self.heard = threading.Event()
        self._closing = threading.Event()
        self._server = _server(self, host)
        self._server.socket = authority.context(folder, node).wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def hang_up(self) -> None:
        """End all connections, as an agent that ends does."""
        for connection in list(self._server.open):
            connection.close_from_here()

    def close(self) -> None:
        """End."""
        self._closing.set()
        self.hang_up()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def respond(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one question."""
        scheme, _, token = handler.headers.get("Authorization", "").partition(" ")
        assert (scheme, handler.path) == ("Bearer", READINGS_PATH)
        self.tokens.append(token)
        self.heard.set()
        if self.is_deaf:
            self._closing.wait(5)
            return
        status, content = self.answer
        body = json.dumps(content).encode()
        handler.send_response(status)
        for name, value in {**self.headers, "Content-Length": str(len(body))}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)


class _Server(ThreadingHTTPServer):
    block_on_close = True
    daemon_threads = False
    open: set[_Handler]

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a client that trusts nobody hangs up


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    agent: TlsAgent
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.agent.connections += 1
        self.server.open.add(self)

    def finish(self) -> None:
        self.server.open.discard(self)
        super().finish()

    def close_from_here(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(SHUT_RDWR)

    def do_GET(self) -> None:
        self.agent.respond(self)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


def _server(agent: TlsAgent, host: str) -> _Server:
    handler = type("Handler", (_Handler,), {"agent": agent})
    kind = type("Server", (_Server,), {"address_family": AF_INET6 if ":" in host else AF_INET, "open": set()})
    server: _Server = kind((host, 0), handler)
    return server


def grant(folder: Path, authority: Authority, token: str = TOKEN) -> None:
    """Write what a pod is given for its agent, as the kubelet does: replaced, not changed."""
    folder.mkdir(exist_ok=True)
    for name, text in ((TOKEN_FILE, token), (CA_FILE, authority.certificate)):
        fresh = folder / f".{name}"
        fresh.write_text(text)
        fresh.replace(folder / name)


@contextmanager
def running(folder: Path, authority: Authority, node: str = NODE, host: str = "127.0.0.1") -> Iterator[TlsAgent]:
    """An agent until the end of the block."""
    agent = TlsAgent(folder, authority, node, host)
    try:
        yield agent
    finally:
        agent.close()
