"""The operator's HTTP server: `/healthz` (is the loop alive), `/readyz` (has it a complete picture), `/metrics`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import web

from ballast.errors import UserError
from ballast.serve.metrics import Metrics


def application(
    metrics: Metrics, why_unhealthy: Callable[[], str | None], why_not_ready: Callable[[], str | None]
) -> web.Application:
    """Return the web application.

    Args:
        metrics: what `/metrics` shows.
        why_unhealthy: a sentence if the process should be restarted, else None.
        why_not_ready: a sentence if it has no complete picture yet, else None.
    """

    def probe(why_not: Callable[[], str | None]) -> Callable[[web.Request], object]:
        async def handle(_: web.Request) -> web.Response:
            problem = why_not()
            return web.Response(status=200 if problem is None else 503, text=(problem or "ok") + "\n")

        return handle

    async def expose(_: web.Request) -> web.Response:
        return web.Response(body=metrics.render(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    app = web.Application()
    app.router.add_get("/healthz", probe(why_unhealthy))  # type: ignore[arg-type]
    app.router.add_get("/readyz", probe(why_not_ready))  # type: ignore[arg-type]
    app.router.add_get("/metrics", expose)
    return app


async def serve(app: web.Application, host: str, port: int) -> None:
    """Serve until cancelled.

    Raises:
        UserError: the address cannot be listened on.
    """
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise UserError(
                f"cannot listen on {host}:{port}: {error.strerror or error}; set BALLAST_HTTP_HOST or BALLAST_HTTP_PORT"
            ) from error
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()
