"""The pods of a node that ask its agent for their readings, each with its own token on a connection of its own.

There is no operator here: the harness signs the agent's certificate. Invariant: an answer that is no reading of the
pod that asked is an error of the benchmark.
"""

from __future__ import annotations

import base64
import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ballast.api.agentserving import AUDIENCE, READINGS_PATH, SIGNER
from ballast.serve import agent_authority
from ballast.serve.agent_authority import Lifetimes
from tests.e2e.kube import Kube

REQUESTS: Final = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
TOKENS: Final = "/api/v1/namespaces/default/serviceaccounts/default/token"
PATIENCE_SECONDS: Final = 60.0
DAY_SECONDS: Final = 86_400.0
PERIOD_SECONDS: Final = 10.0
"""How often a pod asks: as its exporter does by default."""


def sign_certificate(kube: Kube) -> bytes:
    """Sign what the agent asks for, as soon as it does, with an authority made for it; return that, as PEM.

    Raises:
        TimeoutError: it does not ask.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        for request in kube.list(REQUESTS):
            if request["spec"]["signerName"] == SIGNER and not request.get("status", {}).get("certificate"):
                return _sign(kube, request)
        time.sleep(0.2)
    raise TimeoutError(f"the agent asked for no certificate within {PATIENCE_SECONDS:.0f} s")


def _sign(kube: Kube, request: Mapping[str, Any]) -> bytes:
    path = f"{REQUESTS}/{request['metadata']['name']}"
    asked = x509.load_pem_x509_csr(base64.b64decode(request["spec"]["request"]))
    names = asked.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    key = asked.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    now, lifetimes = datetime.now(UTC), Lifetimes()
    authorities = agent_authority.advance(None, now, lifetimes)
    certificate = agent_authority.issue(authorities.all[0], key, list(names), DAY_SECONDS, now, lifetimes)
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    approved = {"type": "Approved", "status": "True", "reason": "Benchmark", "message": "by the harness"}
    kube.merge(f"{path}/approval", {"status": {"conditions": [approved]}})
    kube.merge(f"{path}/status", {"status": {"certificate": base64.b64encode(pem).decode()}})
    return authorities.bundle


def tokens(kube: Kube, uids: Mapping[str, str]) -> dict[str, str]:
    """Return a token of each pod by its UID.

    Args:
        kube: a client that may do everything.
        uids: of the pods, by their names.
    """
    found = {}
    for name, uid in uids.items():
        bound = {"apiVersion": "v1", "kind": "Pod", "name": name, "uid": uid}
        spec = {"audiences": [AUDIENCE], "boundObjectRef": bound, "expirationSeconds": 3600}
        found[uid] = kube.create(TOKENS, {"spec": spec})["status"]["token"]
    return found


class AskingPods:
    """Pods that ask, spread evenly over time.

    Args:
        port: the agent's.
        tokens: of the pods, by UID.

    Attributes:
        answers: how many readings were told.
        problems: what was told instead.
    """

    def __init__(self, port: int, tokens: Mapping[str, str]) -> None:
        self._port = port
        self._tokens = dict(tokens)
        self._context = ssl.create_default_context()
        self._context.check_hostname = False
        self._context.verify_mode = ssl.CERT_NONE  # the benchmark is no test of trust
        self.answers = 0
        self.problems: list[str] = []

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Ask until the end of the block.

        Raises:
            RuntimeError: something else than readings was told.
            TimeoutError: the agent does not listen.
        """
        self._wait_until_served()
        stop = threading.Event()
        thread = threading.Thread(target=self._ask_all, args=(stop,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
        if self.problems or not self.answers:
            raise RuntimeError(
                f"{self.answers} readings were told, and {len(self.problems)} errors: {self.problems[:3]}"
            )

    def _wait_until_served(self) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self._port), timeout=5).close()
            except OSError:
                time.sleep(0.1)
            else:
                return
        raise TimeoutError(f"the agent does not listen on port {self._port} within {PATIENCE_SECONDS:.0f} s")

    def _ask_all(self, stop: threading.Event) -> None:
        # Each from an address of its own, as pods do: the agent bounds what one address may ask.
        connections = {
            uid: http.client.HTTPSConnection(
                "127.0.0.1", self._port, timeout=30, context=self._context, source_address=(f"127.1.0.{number}", 0)
            )
            for number, uid in enumerate(self._tokens, start=1)
        }
        try:
            while True:
                for uid, connection in connections.items():
                    if stop.wait(PERIOD_SECONDS / len(connections)):
                        return
                    self._ask(uid, connection)
        finally:
            for connection in connections.values():
                connection.close()

    def _ask(self, uid: str, connection: http.client.HTTPSConnection) -> None:
        try:
            connection.request("GET", READINGS_PATH, headers={"Authorization": f"Bearer {self._tokens[uid]}"})
            response = connection.getresponse()
            text = response.read()
            if response.status == 200 and json.loads(text)["podUid"] == uid:
                self.answers += 1
            elif response.status != 404:  # it has just begun, and knows nothing yet
                self.problems.append(f"{response.status} {text[:200]!r}")
        except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
            connection.close()
            self.problems.append(f"{type(error).__name__}: {error}")
