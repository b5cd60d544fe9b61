"""Keeps the webhook's certificates: in a Secret that the replicas share, in the API server's trust, and in use.

Every replica does the same round now and then: read the Secret, renew what is due, tell the API server whom to trust,
serve with what is stored. Whichever comes first renews; a write tests the version that was read, so that two at once
end with one result. What must hold: a certificate is used only after its authority is in the webhook's configuration.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
import ssl
import tempfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

from ballast.errors import BallastError
from ballast.kube import ApiRefused
from ballast.serve import certificates, shared_secret
from ballast.serve.certificates import Material, Policy, Unusable
from ballast.serve.shared_secret import Kube, SharedSecret

logger = logging.getLogger(__name__)

JsonObject = dict[str, Any]

SECRET_NAME = "ballast-webhook"  # noqa: S105 - a name
CONFIGURATION_NAME = "ballast"
RETRY_SECONDS = 5.0

_CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"


class NotInstalled(BallastError):
    """The cluster has no configuration that calls the webhook: there is nothing to be trusted for."""


class CertificateKeeper:
    """Keeps an SSL context in step with the Secret.

    Args:
        kube: the API server.
        namespace: the operator's namespace.
        policy: how long certificates live, and their names.
        refresh_seconds: how often a round is done; less than a third of the policy's `settle_seconds`.
        on_certificate: told when the serving certificate expires, in seconds since the epoch.
        clock: the time, in UTC.
    """

    def __init__(
        self,
        kube: Kube,
        namespace: str,
        policy: Policy,
        refresh_seconds: float,
        on_certificate: Callable[[float], None] = lambda expires: None,
        clock: Callable[[], datetime] = certificates.utc_now,
    ) -> None:
        self._kube = kube
        self._secret = SharedSecret(kube, namespace, SECRET_NAME)
        self._policy = policy
        self._refresh_seconds = refresh_seconds
        self._on_certificate = on_certificate
        self._clock = clock
        self._serial: int | None = None
        self._complaint = ""
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.ready = asyncio.Event()

    async def run(self) -> NoReturn:
        """Do rounds until cancelled; what fails is tried again, and said once."""
        while True:
            try:
                await self.round()
            except BallastError as error:
                self._complain(str(error))
                await asyncio.sleep(min(RETRY_SECONDS, self._refresh_seconds))
            else:
                self._complaint = ""
                await asyncio.sleep(self._refresh_seconds)

    async def round(self) -> None:
        """Renew what is due, have it trusted, and serve with it.

        Raises:
            NotInstalled: no webhook is configured.
            BallastError: the API server refused or is away; another round may succeed.
        """
        await shared_secret.repeated(self._round)

    async def _round(self) -> None:
        configuration = await self._configuration()
        material = await self._material(configuration)
        await self._announce(configuration, material)
        self._serve_with(material)

    async def _configuration(self) -> JsonObject:
        try:
            return await self._kube.get(f"{_CONFIGURATIONS}/{CONFIGURATION_NAME}")
        except ApiRefused as error:
            if error.status != 404:
                raise
            raise NotInstalled(
                f"there is no ValidatingWebhookConfiguration {CONFIGURATION_NAME}, so the webhook is never called; "
                "install charts/ballast, or set BALLAST_WEBHOOK_PORT=0 to leave it out"
            ) from error

    async def _material(self, configuration: JsonObject) -> Material:
        """Return what is stored, after storing what is due."""
        secret = await self._secret.read()
        if secret is None:
            material = certificates.advance(None, self._clock(), self._policy)
            await self._secret.create(_new_secret(material, configuration))
            logger.info("certificates made", extra={"expires": material.expires.isoformat()})
            return material
        stored = _stored(secret)
        material = certificates.advance(stored, self._clock(), self._policy)
        if material is not stored:
            await self._secret.write(secret, material.files())
            logger.info("certificates renewed", extra={"expires": material.expires.isoformat()})
        return material

    async def _announce(self, configuration: JsonObject, material: Material) -> None:
        """See to it that the API server trusts all authorities, the newest included."""
        bundle = base64.b64encode(material.ca_bundle).decode()
        version = {"op": "test", "path": "/metadata/resourceVersion"}
        operations: list[JsonObject] = [{**version, "value": configuration["metadata"]["resourceVersion"]}]
        for position, webhook in enumerate(configuration.get("webhooks") or ()):
            if webhook["clientConfig"].get("caBundle") != bundle:
                path = f"/webhooks/{position}/clientConfig/caBundle"
                operations.append({"op": "add", "path": path, "value": bundle})
        if len(operations) > 1:
            await self._kube.json_patch(f"{_CONFIGURATIONS}/{CONFIGURATION_NAME}", operations)

    def _serve_with(self, material: Material) -> None:
        """Take a certificate into use; connections that are open keep theirs."""
        serial = material.certificate.serial_number
        if serial == self._serial:
            return
        files = material.files()
        # `ssl` reads keys from files only: this one is gone at once, and /tmp is memory where the chart runs us.
        with tempfile.TemporaryDirectory(prefix="ballast-") as folder:  # mode 0700
            chain = Path(folder) / "chain.pem"
            chain.touch(mode=0o600)
            chain.write_bytes(files[certificates.CERTIFICATE] + files[certificates.PRIVATE_KEY])
            self.context.load_cert_chain(chain)
        self._serial = serial
        self._on_certificate(material.expires.timestamp())
        self.ready.set()
        logger.info("serving certificate loaded", extra={"serial": f"{serial:x}"})

    def _complain(self, message: str) -> None:
        if message != self._complaint:
            self._complaint = message
            logger.warning("the webhook's certificates are not up to date", extra={"error": message})


def _new_secret(material: Material, configuration: JsonObject) -> JsonObject:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": {
            "name": SECRET_NAME,
            "labels": {"app.kubernetes.io/name": "ballast", "app.kubernetes.io/component": "webhook"},
            # Nobody else knows that it exists: it goes when the webhook's configuration is uninstalled.
            "ownerReferences": [
                {
                    "apiVersion": "admissionregistration.k8s.io/v1",
                    "kind": "ValidatingWebhookConfiguration",
                    "name": CONFIGURATION_NAME,
                    "uid": configuration["metadata"]["uid"],
                }
            ],
        },
        "data": shared_secret.encoded(material.files()),
    }


def _stored(secret: JsonObject) -> Material | None:
    """Return what a Secret holds, or None if it must be made anew."""
    try:
        data = {name: base64.b64decode(text, validate=True) for name, text in (secret.get("data") or {}).items()}
        return Material.parse(data)
    except (Unusable, binascii.Error) as error:
        logger.warning("Secret %s is made anew", SECRET_NAME, extra={"error": str(error)})
        return None
