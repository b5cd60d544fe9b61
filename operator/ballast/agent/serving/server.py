"""Answers pods over TLS: `GET /v1/readings` with a pod's own token tells what that pod has used.

What must hold: whose readings are told follows from the token alone, never from what a request names (G7). What cannot
be decided is refused: without an answer of the API server nobody gets readings. No header, and no token, is logged. An
error is problem JSON (RFC 9457) with a sentence that says what to do.
"""

from __future__ import annotations

import logging
import math
import ssl
from collections.abc import Callable
from enum import StrEnum
from http import HTTPStatus

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from ballast import http
from ballast.agent.serving.listener import listen
from ballast.agent.serving.tokens import NotReviewed, PodIdentity, Tokens, TooMany, Unauthenticated, WrongNode
from ballast.api.agentserving import AUDIENCE, READINGS_PATH
from ballast.api.readings import PodReadings

logger = logging.getLogger(__name__)

CLOSING_SECONDS = 2.0
MAX_REQUEST_BYTES = 1024
"""Of a body; a GET has none."""


class Answer(StrEnum):
    """How a request ended; a label of metrics."""

    TOLD = "told"
    """With readings."""
    UNKNOWN = "unknown"
    """There are no readings of the pod yet."""
    UNAUTHENTICATED = "unauthenticated"
    """Nobody knows the token."""
    FORBIDDEN = "forbidden"
    """It asked for another pod's readings, or another node's agent."""
    LIMITED = "limited"
    """It asked too often."""
    UNAVAILABLE = "unavailable"
    """The API server could not be asked."""
    FAILED = "failed"
    """A defect of the agent."""


_ANSWERS = {
    HTTPStatus.NOT_FOUND: Answer.UNKNOWN,
    HTTPStatus.UNAUTHORIZED: Answer.UNAUTHENTICATED,
    HTTPStatus.FORBIDDEN: Answer.FORBIDDEN,
    HTTPStatus.TOO_MANY_REQUESTS: Answer.LIMITED,
    HTTPStatus.SERVICE_UNAVAILABLE: Answer.UNAVAILABLE,
    HTTPStatus.INTERNAL_SERVER_ERROR: Answer.FAILED,
}


class _Problem(Exception):
    def __init__(self, status: HTTPStatus, detail: str, **headers: str) -> None:
        self.status = status
        self.detail = detail
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        super().__init__(detail)


def application(
    tokens: Tokens,
    readings: Callable[[str], PodReadings | None],
    on_answer: Callable[[Answer], None] = lambda answer: None,
) -> web.Application:
    """Return the web application that pods ask.

    Args:
        tokens: tells pods by their tokens.
        readings: what the pod with a UID has used; None while there is nothing to tell.
        on_answer: told of each request for readings how it ended.
    """

    async def tell(request: web.Request) -> web.Response:
        pod = await _identify(tokens, request)
        asked = set(request.query.getall("pod", ()))
        if asked - {pod.uid}:
            raise _Problem(
                HTTPStatus.FORBIDDEN,
                f"the token is that of pod {pod.name} ({pod.uid}), and a pod is told its own readings only: leave"
                " ?pod= out",
            )
        found = readings(pod.uid)
        if found is None:
            raise _Problem(HTTPStatus.NOT_FOUND, f"there are no readings of pod {pod.name} yet: ask again in a second")
        if found.pod_uid != pod.uid:
            raise AssertionError(f"readings of another pod were about to be told to pod {pod.uid}")
        on_answer(Answer.TOLD)
        # As `to_manifest`, and without a detour: a node's pods ask again and again.
        text = found.model_dump_json(by_alias=True, exclude_none=True)
        return web.Response(text=text, content_type="application/json")

    app = web.Application(client_max_size=MAX_REQUEST_BYTES, middlewares=[_problems(on_answer)])
    app.router.add_get(READINGS_PATH, tell, allow_head=False)
    return app


async def serve_readings(app: web.Application, host: str, port: int, context: ssl.SSLContext) -> None:
    """Serve until cancelled.

    Args:
        app: what `application` returned.
        host: the address to listen on.
        port: the port.
        context: has a certificate; another one may be loaded into it at any time.

    Raises:
        UserError: the address cannot be listened on.
    """
    remedy = (
        "set BALLAST_AGENT_HTTPS_HOST or BALLAST_AGENT_HTTPS_PORT, or BALLAST_AGENT_HTTPS_PORT=0 if no pod is to ask"
    )
    await http.serve(
        app,
        host,
        port,
        remedy,
        context=context,
        listener=listen(host, port, remedy),
        closing_seconds=CLOSING_SECONDS,
    )


async def _identify(tokens: Tokens, request: web.Request) -> PodIdentity:
    scheme, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise _unauthenticated(f"there is no token: send 'Authorization: Bearer' and a token of audience {AUDIENCE}")
    try:
        return await tokens.identify(token.strip(), request.remote or "")
    except Unauthenticated as error:
        raise _unauthenticated(str(error)) from error
    except WrongNode as error:
        raise _Problem(HTTPStatus.FORBIDDEN, str(error)) from error
    except TooMany as error:
        wait = str(math.ceil(error.retry_seconds))
        raise _Problem(HTTPStatus.TOO_MANY_REQUESTS, str(error), Retry_After=wait) from error
    except NotReviewed as error:
        raise _Problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error), Retry_After="1") from error


def _unauthenticated(detail: str) -> _Problem:
    return _Problem(HTTPStatus.UNAUTHORIZED, detail, WWW_Authenticate=f'Bearer realm="{AUDIENCE}"')


def _problems(on_answer: Callable[[Answer], None]) -> Middleware:
    """Return what turns errors into problem JSON, and keeps every answer out of caches."""

    @web.middleware
    async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            response = await handler(request)
        except _Problem as problem:
            on_answer(_ANSWERS[problem.status])
            response = _problem_json(problem)
        except web.HTTPException as error:
            status = HTTPStatus(error.status)
            headers = {hdrs.ALLOW: error.headers[hdrs.ALLOW]} if hdrs.ALLOW in error.headers else {}
            response = _problem_json(_Problem(status, f"there is only GET {READINGS_PATH}", **headers))
        except Exception:
            logger.exception("a request for readings failed")
            on_answer(Answer.FAILED)
            response = _problem_json(_Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "a defect; see the agent's log"))
        response.headers[hdrs.CACHE_CONTROL] = "no-store"
        return response

    return answer


def _problem_json(problem: _Problem) -> web.Response:
    content = {"title": problem.status.phrase, "status": problem.status.value, "detail": problem.detail}
    return web.json_response(
        content, status=problem.status, headers=problem.headers, content_type="application/problem+json"
    )
