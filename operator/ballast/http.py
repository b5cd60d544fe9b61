"""The plain HTTP server of a process: `/healthz` (is it alive), `/readyz` (can it do its work), `/metrics`."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable

from aiohttp import web

from ballast.errors import UserError

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
IDLE_SECONDS = 75.0
"""How long a connection without a request is kept; aiohttp's own default is an hour."""


def application(
    render: Callable[[], bytes], why_unhealthy: Callable[[], str | None], why_not_ready: Callable[[], str | None]
) -> web.Application:
    """Return the web application.

    Args:
        render: what `/metrics` shows, in Prometheus' text format.
        why_unhealthy: a sentence if the process should be restarted, else None.
        why_not_ready: a sentence if it cannot do its work yet, else None.
    """

    def probe(why_not: Callable[[], str | None]) -> Callable[[web.Request], object]:
        async def handle(_: web.Request) -> web.Response:
            problem = why_not()
            return web.Response(status=200 if problem is None else 503, text=(problem or "ok") + "\n")

        return handle

    async def expose(_: web.Request) -> web.Response:
        return web.Response(body=render(), headers={"Content-Type": CONTENT_TYPE})

    app = web.Application()
    app.router.add_get("/healthz", probe(why_unhealthy))  # type: ignore[arg-type]
    app.router.add_get("/readyz", probe(why_not_ready))  # type: ignore[arg-type]
    app.router.add_get("/metrics", expose)
    return app


async def serve(
    app: web.Application,
    host: str,
    port: int,
    remedy: str = "set BALLAST_HTTP_HOST or BALLAST_HTTP_PORT",
    *,
    context: ssl.SSLContext | None = None,
    listener: socket.socket | None = None,
    closing_seconds: float = 60.0,
) -> None:
    """Serve until cancelled; what is being answered then is finished.

    Args:
        app: what answers.
        host: the address to listen on.
        port: the port; 0 for any.
        remedy: what a person can do if that is taken.
        context: for TLS.
        listener: a bound socket to take connections from, in place of host and port.
        closing_seconds: how long to wait at the end for answers under way.

    Raises:
        UserError: the address cannot be listened on.
    """
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=closing_seconds, keepalive_timeout=IDLE_SECONDS)
    await runner.setup()
    try:
        try:
            site: web.BaseSite = web.TCPSite(runner, host, port, ssl_context=context)
            if listener is not None:
                site = web.SockSite(runner, listener, ssl_context=context)
            await site.start()
        except OSError as error:
            raise UserError(f"cannot listen on {host}:{port}: {error.strerror or error}; {remedy}") from error
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()
