"""The validating webhook: `/validate` over TLS, for TrainingJobs that are created or whose pods change.

Both replicas answer, whether they lead or not. What must hold: only what was found wrong is refused. A question that
cannot be answered in time, for whatever reason, is answered with yes: the webhook spares people a wait for a condition,
it is not what keeps the cluster safe. It trusts its callers with no more than what an answer says, and does little for
each: requests are bounded in size, number and time.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from aiohttp import web

from ballast.act.exporter_sidecar import ExporterSidecar
from ballast.api.trainingjob import InvalidTrainingJob, TrainingJob
from ballast.errors import BallastError, UserError
from ballast.serve.admission import MAX_WARNING_LENGTH, Verdict, judge
from ballast.serve.certificates import Policy
from ballast.serve.findings import AdmissionClient, Kube, find_out
from ballast.serve.trust import CertificateKeeper

logger = logging.getLogger(__name__)

JsonObject = dict[str, Any]

PATH = "/validate"
SERVICE_NAME = "ballast-operator"
REVIEW_SECONDS = 4.0
"""How long finding out may take; the API server waits for 5."""
CONCURRENT_REVIEWS = 32
MAX_REVIEW_BYTES = 8 << 20  # two objects as large as etcd takes, written as JSON
REQUESTS_PER_SECOND = 100.0
REFRESH_SECONDS = 30.0

_JUDGED = ("replicas", "template", "launcher")


async def serve_webhook(
    host: str,
    port: int,
    namespace: str,
    certificate_seconds: float,
    *,
    refresh_seconds: float = REFRESH_SECONDS,
    names: tuple[str, ...] = (),
    exporter: ExporterSidecar | None = None,
    on_request: Callable[[str, str, int], None] = lambda verb, resource, status: None,
    on_review: Callable[[str], None] = lambda result: None,
    on_certificate: Callable[[float], None] = lambda expires: None,
) -> NoReturn:
    """Serve until cancelled, with certificates that renew themselves.

    Args:
        host: the address to listen on.
        port: the port; 0 for any.
        namespace: the operator's namespace, where its Service and Secret are.
        certificate_seconds: how long the serving certificate is valid; it is renewed after two thirds of that.
        refresh_seconds: how often the certificates are looked at.
        names: further DNS names by which it is called.
        exporter: what pods will have beside the trainer.
        on_request: told the verb, resource and status of each request to the API server.
        on_review: told `allowed`, `refused` or `unknown` of each review.
        on_certificate: told when the serving certificate expires, in seconds since the epoch.

    Raises:
        UserError: the address cannot be listened on.
    """
    policy = Policy(
        names=(f"{SERVICE_NAME}.{namespace}.svc", *names),
        lifetime_seconds=certificate_seconds,
        settle_seconds=3 * refresh_seconds,
    )
    async with await AdmissionClient.connect(REQUESTS_PER_SECOND, on_request) as kube:
        keeper = CertificateKeeper(kube, namespace, policy, refresh_seconds, on_certificate)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(keeper.run())
                await keeper.ready.wait()
                tasks.create_task(
                    listen(application(Reviewer(kube, on_review, exporter=exporter)), host, port, keeper.context)
                )
        except ExceptionGroup as group:
            raise group.exceptions[0] from group  # so that a UserError reaches the command line as one
    raise AssertionError("a task group with tasks that never end has ended")


class Reviewer:
    """Answers AdmissionReviews.

    Args:
        kube: the API server.
        on_review: told the result of each.
        review_seconds: how long finding out may take.
        exporter: what pods will have beside the trainer.
    """

    def __init__(
        self,
        kube: Kube,
        on_review: Callable[[str], None] = lambda result: None,
        review_seconds: float = REVIEW_SECONDS,
        exporter: ExporterSidecar | None = None,
    ) -> None:
        self._exporter = exporter
        self._kube = kube
        self._on_review = on_review
        self._review_seconds = review_seconds
        self._slots = asyncio.Semaphore(CONCURRENT_REVIEWS)

    async def answer(self, review: Mapping[str, Any]) -> JsonObject:
        """Return the AdmissionReview that answers one.

        Raises:
            KeyError, TypeError: it is no AdmissionReview.
        """
        request = review["request"]
        response: JsonObject = {"uid": request["uid"], "allowed": True}
        verdict = await self._verdict(request) if _is_judged(request) else Verdict()
        if verdict.warnings:
            response["warnings"] = list(verdict.warnings)
        if not verdict.allowed:
            response["allowed"] = False
            response["status"] = {"code": 422, "reason": "Invalid", "message": verdict.message}
        return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}

    async def _verdict(self, request: Mapping[str, Any]) -> Verdict:
        try:
            job = TrainingJob.parse(_with_namespace(request))
        except InvalidTrainingJob as error:
            # The API server took it: its CRD is newer than this operator, which may be about to be replaced.
            self._on_review("unknown")
            return Verdict(warnings=(f"this version of the operator cannot read it: {error}"[:MAX_WARNING_LENGTH],))
        try:
            async with asyncio.timeout(self._review_seconds), self._slots:
                verdict = judge(job, await find_out(self._kube, job, self._exporter))
        except* (BallastError, TimeoutError) as group:
            logger.info(
                "a TrainingJob was let through unseen",
                extra={"job": "/".join(job.key), "error": str(group.exceptions[0]) or "no answer in time"},
            )
            verdict = None
        self._on_review("unknown" if verdict is None else "allowed" if verdict.allowed else "refused")
        return verdict or Verdict()


def application(reviewer: Reviewer) -> web.Application:
    """Return the web application."""

    async def validate(request: web.Request) -> web.Response:
        try:
            return web.json_response(await reviewer.answer(await request.json()))
        except (KeyError, TypeError, ValueError) as error:
            raise web.HTTPBadRequest(text=f"not an AdmissionReview of admission.k8s.io/v1: {error!r}\n") from error

    app = web.Application(client_max_size=MAX_REVIEW_BYTES)
    app.router.add_post(PATH, validate)
    return app


async def listen(app: web.Application, host: str, port: int, context: ssl.SSLContext) -> None:
    """Serve until cancelled; what is being reviewed then is finished.

    Raises:
        UserError: the address cannot be listened on.
    """
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=REVIEW_SECONDS)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, ssl_context=context)
        try:
            await site.start()
        except OSError as error:
            raise UserError(
                f"cannot listen on {host}:{port}: {error.strerror or error}; set BALLAST_WEBHOOK_HOST or "
                "BALLAST_WEBHOOK_PORT, or BALLAST_WEBHOOK_PORT=0 to do without the webhook"
            ) from error
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


def _is_judged(request: Mapping[str, Any]) -> bool:
    """Whether the request is about what the webhook judges: a new job, or other pods of one that is there."""
    if request["operation"] not in {"CREATE", "UPDATE"} or request.get("subResource"):
        return False
    new, old = request["object"], request.get("oldObject") or {}
    if request["operation"] == "CREATE":
        return True
    if new["metadata"].get("deletionTimestamp"):
        return False
    before, after = old.get("spec") or {}, new.get("spec") or {}
    return any(before.get(field) != after.get(field) for field in _JUDGED)


def _with_namespace(request: Mapping[str, Any]) -> JsonObject:
    """Return the object, surely with its namespace."""
    job = dict(request["object"])
    job["metadata"] = {**job["metadata"], "namespace": request["namespace"]}
    job["metadata"].setdefault("name", request.get("name") or "new")
    return job
