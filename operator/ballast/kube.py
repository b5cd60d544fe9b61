"""A thin client of the Kubernetes API: raw JSON in and out, typed errors, counted and bounded requests.

`kubernetes.aio` does transport, TLS and credentials. What is added here: one name for each write that Ballast makes,
errors that say whether trying again helps, a limit on requests per second (not on events, which have their own), so
that a burst of jobs never starves other users of the API server, and a fence. What must hold: a write leaves only while
the fence lets it pass, and it is asked as the bytes are handed to the connection, after every wait: for the limit, for
a free connection, for a TLS handshake.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from typing import Any, Literal, Self, TypeAlias

import aiohttp
from kubernetes.aio.client import ApiClient, ApiException
from kubernetes.aio.dynamic import DynamicClient

from ballast import kubeconfig
from ballast.errors import BallastError, NotLeading, RetryableError

USER_AGENT = "ballast-operator"
FIELD_MANAGER = "ballast"
REQUEST_TIMEOUT_SECONDS = 30
WATCH_SECONDS = 300
PAGE_SIZE = 500
MAX_EVENTS = 3

JsonObject = dict[str, Any]

Fence: TypeAlias = Callable[[], None]
"""Raises `NotLeading` where a write must not be sent."""


class ApiRefused(BallastError):
    """The API server answered that it won't do it (403, 404, 409, 422 ...): the world or the request must change."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        self.status = status
        self.reason = reason
        super().__init__(f"{status} {reason}: {message}")

    @property
    def is_final(self) -> bool:
        """Whether the request itself is wrong (400, 422), so that only another one can succeed."""
        return self.status in {400, 422}


class NameTaken(ApiRefused):
    """Somebody else's object has the name that Ballast needs for its own."""

    def __init__(self, error: ApiRefused, kind: str, name: str) -> None:
        told = f"{kind} {name} exists already and is somebody else's; delete it, or give the job another name"
        super().__init__(error.status, error.reason, told)

    @property
    def is_final(self) -> bool:
        """Trying again does not help."""
        return True


class ApiUnavailable(RetryableError):
    """The API server could not be reached, was overloaded or did not answer in time."""


class KubeClient:
    """The requests that Ballast makes; close it, or use it as an async context manager.

    Args:
        client: a configured client of the `kubernetes` package.
        requests_per_second: the sustained limit; a second's worth may be sent at once.
        on_request: told the verb, the resource and the HTTP status of every request that was answered.
        fence: asked before each write is sent.
        field_manager: as whom it applies.
    """

    def __init__(
        self,
        client: ApiClient,
        requests_per_second: float = 50.0,
        on_request: Callable[[str, str, int], None] = lambda verb, resource, status: None,
        fence: Fence = lambda: None,
        field_manager: str = FIELD_MANAGER,
    ) -> None:
        self._field_manager = field_manager
        # The package reads this where it makes its connections, which is at the first request.
        client.configuration.trace_configs = [_asking(fence)]
        self._fence = fence
        self._client = client
        self._dynamic = DynamicClient(client)  # type: ignore[no-untyped-call]
        self._limiter = RateLimiter(requests_per_second)
        self._on_request = on_request

    @classmethod
    async def connect(
        cls,
        requests_per_second: float = 50.0,
        on_request: Callable[[str, str, int], None] = lambda verb, resource, status: None,
        fence: Fence = lambda: None,
        identity: str = "",
        *,
        user_agent: str = USER_AGENT,
        field_manager: str = FIELD_MANAGER,
        file: str | None = None,
        context: str | None = None,
    ) -> Self:
        """Connect as the pod's service account, or else by the kubeconfig; by the kubeconfig if one is named.

        Args:
            requests_per_second: see the class.
            on_request: see the class.
            fence: see the class.
            identity: of this process; tells its requests from another replica's in the API server's audit log.
            user_agent: the process's name there.
            field_manager: see the class.
            file: the kubeconfig; None for the one that `KUBECONFIG` names, or `~/.kube/config`.
            context: of the kubeconfig; None for its current one.

        Raises:
            UserError: there is no service account and no usable kubeconfig.
        """
        configuration = await kubeconfig.configuration(file, context)
        # Else a thread looks for a netrc and for proxies before each request; kopf does not look for them either.
        configuration.client_session_kwargs = {"trust_env": False}
        client = ApiClient(configuration)
        client.user_agent = f"{user_agent}/{identity}" if identity else user_agent
        return cls(client, requests_per_second, on_request, fence, field_manager)

    def beside(self, requests_per_second: float) -> KubeClient:
        """Return a client with the same connections and a limit of its own; it needs no closing."""
        return KubeClient(self._client, requests_per_second, self._on_request, self._fence, self._field_manager)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()  # type: ignore[no-untyped-call]

    async def apply(self, path: str, body: Mapping[str, Any], *, force: bool = True) -> JsonObject:
        """Server-side apply `body` at `path` as Ballast.

        Args:
            path: of the object.
            body: what Ballast wants of it.
            force: whether to take over fields that others set; else those are a conflict (`ApiRefused`, 409).
        """
        return await self._request(
            "PATCH",
            path,
            body,
            content_type="application/apply-patch+yaml",
            query=[("fieldManager", self._field_manager), ("force", str(force).lower())],
        )

    async def json_patch(self, path: str, operations: list[JsonObject]) -> JsonObject:
        """Apply a JSON patch; a failed `test` operation raises `ApiRefused`."""
        return await self._request("PATCH", path, operations, content_type="application/json-patch+json")

    async def merge(self, path: str, body: Mapping[str, Any]) -> JsonObject:
        """Apply a strategic merge patch, which changes single entries of lists; Kubernetes' own kinds know how."""
        return await self._request("PATCH", path, body, content_type="application/strategic-merge-patch+json")

    async def create(self, path: str, body: Mapping[str, Any], *, dry_run: bool = False) -> JsonObject:
        """Create an object in the collection at `path`; with `dry_run` only be told what would come of it."""
        return await self._request("POST", path, body, query=[("dryRun", "All")] if dry_run else None)

    async def replace(self, path: str, body: Mapping[str, Any]) -> JsonObject:
        """Put `body` in an object's place; if it carries a resource version, only in that version's."""
        return await self._request("PUT", path, body)

    async def delete(
        self,
        path: str,
        uid: str,
        resource_version: str | None = None,
        propagation: Literal["Foreground", "Background", "Orphan"] = "Foreground",
    ) -> JsonObject | None:
        """Delete one object, if it is still the one meant.

        Args:
            path: of the object.
            uid: its UID; another object that has taken the name is left alone (`ApiRefused` with status 409).
            resource_version: if given, a version that must still be the present one (409 too).
            propagation: what becomes of the objects that it owns.

        Returns:
            What the API server answered: the object if its deletion has begun, else a Status. None if it was gone.
        """
        preconditions = {"uid": uid}
        if resource_version is not None:
            preconditions["resourceVersion"] = resource_version
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": propagation,
            "preconditions": preconditions,
        }
        try:
            return await self._request("DELETE", path, options)
        except ApiRefused as error:
            if error.status != 404:
                raise
            return None

    async def list_events(self, namespace: str, involved_uid: str, reason: str) -> list[str]:
        """Return the newest few messages of the events of one reason about one object, the newest first."""
        selector = f"involvedObject.uid={involved_uid},reason={reason}"
        query = [("fieldSelector", selector), ("limit", str(PAGE_SIZE))]
        answer = await self._request("GET", f"/api/v1/namespaces/{namespace}/events", query=query)
        newest = sorted(answer["items"], key=_last_seen, reverse=True)
        return [event.get("message") or "" for event in newest[:MAX_EVENTS]]

    async def get(self, path: str) -> JsonObject:
        """Read one object."""
        return await self._request("GET", path)

    async def list_pages(
        self, path: str, label_selector: str | None = None, field_selector: str | None = None
    ) -> AsyncIterator[JsonObject]:
        """Yield a collection page by page; all pages show the same moment.

        Raises:
            ApiRefused: also with status 410, when the list took so long that its moment is gone: start again.
        """
        token = ""
        while True:
            query = [("limit", str(PAGE_SIZE))]
            if label_selector:
                query.append(("labelSelector", label_selector))
            if field_selector:
                query.append(("fieldSelector", field_selector))
            if token:
                query.append(("continue", token))
            page = await self._request("GET", path, query=query)
            yield page
            token = page["metadata"].get("continue") or ""
            if not token:
                return

    async def watch(
        self, path: str, resource_version: str, field_selector: str | None = None
    ) -> AsyncGenerator[tuple[str, JsonObject]]:
        """Yield (event type, object) for what happens in a collection after a version, until the API server ends it.

        Args:
            path: of the collection.
            resource_version: of the list that the watch goes on from.
            field_selector: only objects of which this holds.

        Raises:
            ApiRefused: also with status 410, when that version is too old: list again.
            ApiUnavailable: the connection broke.
        """
        query = [
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("resourceVersion", resource_version),
            ("timeoutSeconds", str(WATCH_SECONDS)),
        ]
        if field_selector:
            query.append(("fieldSelector", field_selector))
        await self._limiter.acquire()
        try:
            response = await self._dynamic.request(
                "get",
                path,
                query_params=query,
                serialize=False,
                _request_timeout=WATCH_SECONDS + REQUEST_TIMEOUT_SECONDS,
            )
            # Closed, so that a watch that is left ends at the API server too.
            async with response, contextlib.aclosing(_lines(response.content)) as lines:
                async for line in lines:
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        status = event["object"]
                        raise ApiRefused(status.get("code", 0), status.get("reason", ""), status.get("message", ""))
                    yield event["type"], event["object"]
        except ApiException as error:
            raise _typed(error) from error
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise ApiUnavailable(f"watch {path}: {error or type(error).__name__}") from error

    async def _request(
        self,
        method: str,
        path: str,
        body: object = None,
        content_type: str | None = None,
        query: list[tuple[str, str]] | None = None,
    ) -> JsonObject:
        resource = _resource(path)
        if (method, resource) != ("POST", "events"):  # They have a limit of their own: see `EventRecorder`.
            await self._limiter.acquire()
        if method != "GET":
            self._fence()  # Here for its plain error; what counts is `_asking`.
        try:
            response = await self._dynamic.request(
                method.lower(),
                path,
                body=body,
                content_type=content_type,
                query_params=query or [],
                serialize=False,
                _request_timeout=REQUEST_TIMEOUT_SECONDS,
            )
            answer: JsonObject = json.loads(await response.read())
        except ApiException as error:
            self._on_request(method, resource, error.status or 0)
            raise _typed(error) from error
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            if isinstance(error.__cause__, NotLeading):
                raise error.__cause__ from error  # aiohttp wraps what comes up while it sends a body
            self._on_request(method, resource, 0)
            raise ApiUnavailable(f"{method} {path}: {error or type(error).__name__}") from error
        self._on_request(method, resource, response.status)
        return answer


def _asking(fence: Fence) -> aiohttp.TraceConfig:
    """Return hooks that ask the fence when a write's header, and its body, are about to leave; they can refuse."""

    async def ask(
        _session: object,
        _context: object,
        sent: aiohttp.TraceRequestHeadersSentParams | aiohttp.TraceRequestChunkSentParams,
    ) -> None:
        if sent.method != "GET":
            fence()

    hooks = aiohttp.TraceConfig()
    hooks.on_request_headers_sent.append(ask)
    hooks.on_request_chunk_sent.append(ask)
    return hooks


async def _lines(stream: aiohttp.StreamReader) -> AsyncGenerator[bytes]:
    """Yield a stream's lines, however long: `StreamReader.readline` gives up at 64 KiB, and objects are larger."""
    pending = bytearray()
    async for chunk in stream.iter_any():
        pending += chunk
        *complete, rest = pending.split(b"\n")
        for line in complete:
            if line:
                yield bytes(line)
        pending = rest


class RateLimiter:
    """A token bucket that holds one second's worth of requests; waiters are served in order."""

    def __init__(self, per_second: float) -> None:
        self._interval = 1.0 / per_second
        self._burst = max(per_second, 1.0)
        self._next = 0.0

    async def acquire(self) -> None:
        """Wait until a request may be sent."""
        now = asyncio.get_running_loop().time()
        self._next = max(self._next + self._interval, now - (self._burst - 1) * self._interval)
        if self._next > now:
            await asyncio.sleep(self._next - now)


def _resource(path: str) -> str:
    """Return the resource of an API path, for example `pods` or `trainingjobs/status`."""
    parts = path.strip("/").split("/")
    rest = parts[2:] if parts[0] == "api" else parts[3:]
    if rest and rest[0] == "namespaces" and len(rest) > 2:
        rest = rest[2:]
    return rest[0] + (f"/{rest[2]}" if len(rest) > 2 else "") if rest else path


def _last_seen(event: JsonObject) -> str:
    """Return when an event happened last; all writers of events use UTC, so that text compares as time."""
    series = event.get("series") or {}
    return (
        series.get("lastObservedTime")
        or event.get("lastTimestamp")
        or event.get("eventTime")
        or event["metadata"].get("creationTimestamp")
        or ""
    )


def _typed(error: ApiException) -> BallastError:
    try:
        status = json.loads(error.body or b"{}")
    except (ValueError, TypeError):
        status = {}
    code = error.status or 0
    message = status.get("message") or error.reason or "no answer"
    if code == 429 or code >= 500 or code == 0:
        return ApiUnavailable(f"{code}: {message}")
    return ApiRefused(code, status.get("reason") or error.reason or "", message)
