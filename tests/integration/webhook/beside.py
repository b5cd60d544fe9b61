"""The webhook beside a cluster: a thread of the test's own, with the operator's rights, called by the API server."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Self

from ballast.serve.webhook import PATH, serve_webhook
from tests.cluster.helm import rendered
from tests.e2e.kube import Kube, Refused
from tests.e2e.operators import OPERATOR_NAMESPACE, WEBHOOK_NAME

JsonObject = dict[str, Any]

CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
SECRET = f"/api/v1/namespaces/{OPERATOR_NAMESPACE}/secrets/ballast-webhook"
JOBS = "/apis/ballast.dev/v1alpha1/namespaces/default/trainingjobs?dryRun=All"
PROBE = {
    "apiVersion": "ballast.dev/v1alpha1",
    "kind": "TrainingJob",
    "metadata": {"name": "probe"},
    "spec": {"template": {"spec": {"containers": [{"name": "trainer", "image": "x"}]}}},
}
TIMEOUT_SECONDS = 30.0
CLOSING_SECONDS = 0.25
"""For the loop to take leave of TLS connections that were open."""


class WebhookBeside:
    """Runs until the context is left; `KUBECONFIG` says where and as whom.

    Args:
        port: where it listens.
        certificate_seconds: how long its certificates are valid.
        refresh_seconds: how often it looks at them.
    """

    def __init__(self, port: int, certificate_seconds: float = 86400.0, refresh_seconds: float = 1.0) -> None:
        self._port = port
        self._certificate_seconds = certificate_seconds
        self._refresh_seconds = refresh_seconds
        self._started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Task[None]]] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="webhook")
        self.reviews: list[str] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        loop, task = self._started.result(TIMEOUT_SECONDS)
        loop.call_soon_threadsafe(task.cancel)
        self._thread.join(TIMEOUT_SECONDS)
        assert not self._thread.is_alive()

    async def _run(self) -> None:
        task = asyncio.create_task(self._serve())
        self._started.set_result((asyncio.get_running_loop(), task))
        with suppress(asyncio.CancelledError):
            await task
        await asyncio.sleep(CLOSING_SECONDS)

    async def _serve(self) -> None:
        await serve_webhook(
            "127.0.0.1",
            self._port,
            OPERATOR_NAMESPACE,
            self._certificate_seconds,
            refresh_seconds=self._refresh_seconds,
            names=("localhost",),
            on_review=self.reviews.append,
        )


def configure(kube: Kube, port: int) -> None:
    """Install the chart's webhook configuration, with the address of a webhook beside the cluster.

    Returns once the API server calls that address, some moments after it took the configuration; until
    then it lets everything pass, which no later wait for an answer could tell from an answer.
    """
    configuration = rendered()["ValidatingWebhookConfiguration", WEBHOOK_NAME]
    [webhook] = configuration["webhooks"]
    webhook["clientConfig"] = {"url": f"https://localhost:{port}{PATH}"}
    webhook["failurePolicy"] = "Fail"  # so that a call that failed is seen
    kube.create(CONFIGURATIONS, configuration)
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while f"localhost:{port}" not in (told := failed_call(kube)):
        assert time.monotonic() < deadline, f"the API server does not call port {port}: {told or 'no error'}"
        time.sleep(0.1)


def failed_call(kube: Kube) -> str:
    """Call the webhook; return why that did not work, if so."""
    try:
        kube.create(JOBS, PROBE)
    except Refused as error:
        return error.message if error.status == 500 else ""
    return ""


def remove(kube: Kube) -> None:
    """Remove the configuration; the Secret goes with it, and the API server no longer calls."""
    kube.delete(f"{CONFIGURATIONS}/{WEBHOOK_NAME}")
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while kube.find(SECRET) is not None:
        assert time.monotonic() < deadline, "the Secret outlives the configuration that owns it"
        time.sleep(0.1)
    while told := failed_call(kube):
        assert time.monotonic() < deadline, f"the API server still calls: {told}"
        time.sleep(0.1)
