"""A client of any server with Prometheus' HTTP API: Prometheus itself, Thanos, Mimir, VictoriaMetrics.

What must hold: every way in which a server can fail to answer ends in a typed error that says what to do; an answer
that is in part only says so; no answer takes more memory than `max_bytes` and its rows; large ones never hold up the
event loop. The bearer token goes to the configured address only: redirects are not followed.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, Generic, Self, TypeAlias, TypeVar

import aiohttp
from yarl import URL

from ballast.errors import BallastError, RetryableError, UserError

MAX_BYTES: Final = 64 << 20
TIMEOUT_SECONDS: Final = 10.0
QUERY_PATH: Final = "api/v1/query"
CHUNK_BYTES: Final = 1 << 16
TOLD_CHARACTERS: Final = 300
"""How much of a server's own words a message repeats."""

_SETTING: Final = "BALLAST_PROMETHEUS"

Row: TypeAlias = tuple[Mapping[str, str], float]
"""A series' labels and its value."""
T = TypeVar("T")


class PrometheusUnavailable(RetryableError):
    """It could not be reached, was overloaded or did not answer in time."""


class PrometheusRefused(UserError):
    """It answered, but not the question: an address, a credential, a limit or a setting must change."""


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """What a query gave.

    Attributes:
        value: what was made of the rows.
        warnings: why they are not all, in the server's words; empty if they are.
    """

    value: T
    warnings: tuple[str, ...] = ()


class PrometheusClient:
    """Asks queries; close it, or use it as an async context manager.

    Args:
        url: the server's address, also with a path; a query in it (`?dedup=true`) goes with every request.
        token_file: with a bearer token, read anew when it changes.
        ca_file: authorities to trust, as PEM, read anew when it changes; None for the system's.
        headers: sent with every request.
        timeout_seconds: how long an answer is waited for.
        max_bytes: a longer answer is refused.

    Raises:
        UserError: the address is none.
    """

    def __init__(
        self,
        url: str,
        token_file: Path | None = None,
        ca_file: Path | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._url = _query_url(url)
        self._shown = str(self._url.with_user(None).with_query(None)).removesuffix(f"/{QUERY_PATH}")
        self._token = None if token_file is None else _Changing(token_file, _read_token, f"{_SETTING}_TOKEN_FILE")
        self._trust = None if ca_file is None else _Changing(ca_file, _read_authorities, f"{_SETTING}_CA_FILE")
        # Compression costs both sides more time than it saves within a cluster.
        self._headers = {"Accept": "application/json", "Accept-Encoding": "identity", **(headers or {})}
        self._timeout_seconds = timeout_seconds
        self._max_bytes = max_bytes
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def query(self, expression: str, at: float, read: Callable[[Iterable[Row]], T]) -> Answer[T]:
        """Return the value of an expression at a moment.

        Args:
            expression: PromQL that gives an instant vector.
            at: seconds since the epoch.
            read: makes something of the rows, as they are parsed, in another thread.

        Raises:
            PrometheusRefused: a person must change something.
            PrometheusUnavailable: it may be there the next time.
        """
        form = {"query": expression, "time": f"{at:.3f}", "timeout": f"{round(self._timeout_seconds * 1000)}ms"}
        try:
            status, content_type, body = await self._post(form)
        except aiohttp.ClientConnectorCertificateError as error:
            raise PrometheusRefused(
                f"{self._shown} shows a certificate that is not trusted ({error.certificate_error}): name its authority"
                " with BALLAST_PROMETHEUS_CA_FILE"
            ) from error
        except (aiohttp.ClientSSLError, ssl.SSLError) as error:
            raise PrometheusRefused(
                f"{self._shown} does not speak TLS as expected ({error}): is BALLAST_PROMETHEUS_URL right to begin with"
                f" {self._url.scheme}://?"
            ) from error
        except TimeoutError as error:
            raise PrometheusUnavailable(
                f"{self._shown} did not answer within {self._timeout_seconds:g} s: is it overloaded?"
            ) from error
        except (aiohttp.ClientConnectorError, OSError) as error:
            raise PrometheusUnavailable(
                f"{self._shown} cannot be reached ({_told(str(error))}): is it running, and BALLAST_PROMETHEUS_URL its"
                " address?"
            ) from error
        except aiohttp.ClientError as error:
            raise PrometheusUnavailable(f"{self._shown}: {_told(str(error)) or type(error).__name__}") from error
        if status != HTTPStatus.OK:
            raise self._refusal(status, content_type, body)
        return await asyncio.to_thread(self._answer, content_type, body, read)

    async def _post(self, form: Mapping[str, str]) -> tuple[int, str, bytes]:
        """Return the status, the content type and the content of the answer."""
        headers = dict(self._headers)
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token.value()}"
        trust = True if self._trust is None else self._trust.value()
        request = self._open_session().post(self._url, data=form, headers=headers, ssl=trust, allow_redirects=False)
        async with request as response:
            content_type = response.headers.get("Content-Type", "")
            if HTTPStatus.MULTIPLE_CHOICES <= response.status < HTTPStatus.BAD_REQUEST:
                return response.status, content_type, response.headers.get("Location", "").encode()
            chunks, size = [], 0
            async for chunk in response.content.iter_chunked(CHUNK_BYTES):
                size += len(chunk)
                if size > self._max_bytes:
                    raise PrometheusRefused(
                        f"{self._shown} answers more than {self._max_bytes >> 20} MiB to one query: does somebody else"
                        " expose series with Ballast's names? Bound what one target may expose (sample_limit)"
                    )
                chunks.append(chunk)
            return response.status, content_type, b"".join(chunks)

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=self._timeout_seconds)
            self._session = aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar())
        return self._session

    def _answer(self, content_type: str, body: bytes, read: Callable[[Iterable[Row]], T]) -> Answer[T]:
        try:
            return parse_answer(body, read)
        except ServerError as error:
            raise PrometheusRefused(f"{self._shown} cannot answer: {error}") from error
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise PrometheusRefused(
                f"{self._shown} does not answer as Prometheus does (Content-Type {content_type or 'none'}, it begins"
                f" with {_told(body[:80].decode(errors='replace'))!r}): BALLAST_PROMETHEUS_URL must be the address"
                f" before /{QUERY_PATH}, and no login page may stand before it"
            ) from error

    def _refusal(self, status: int, content_type: str, body: bytes) -> BallastError:
        words = _told(_error_text(body))
        told = f"{self._shown} answered {status}" + (f" ({words})" if words else "")
        token = self._token
        match status:
            case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN if token is None:
                return PrometheusRefused(f"{told}: name a file with a bearer token by BALLAST_PROMETHEUS_TOKEN_FILE")
            case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN if token is not None:
                return PrometheusRefused(
                    f"{told}: the token in {token.path} is not accepted, or may not query; put a valid one there"
                )
            case HTTPStatus.NOT_FOUND | HTTPStatus.METHOD_NOT_ALLOWED | HTTPStatus.GONE:
                return PrometheusRefused(
                    f"{told}: there is no /{QUERY_PATH} below it; correct the path of BALLAST_PROMETHEUS_URL"
                )
            case HTTPStatus.BAD_REQUEST | HTTPStatus.UNPROCESSABLE_ENTITY:
                return PrometheusRefused(
                    f"{told}: the server does not carry the query out; see BALLAST_PROMETHEUS_LABELS and"
                    " BALLAST_PROMETHEUS_HEADERS, and the server's own limits of queries"
                )
            case _ if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
                return PrometheusRefused(
                    f"{told}: it sends us elsewhere, where no token is taken; set BALLAST_PROMETHEUS_URL to the final"
                    " address"
                )
            case HTTPStatus.TOO_MANY_REQUESTS:
                return PrometheusUnavailable(f"{told}: raise its limit, or BALLAST_TELEMETRY_SECONDS")
            case _ if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                return PrometheusUnavailable(f"{told}: look into its log")
            case _:
                return PrometheusRefused(f"{told}, Content-Type {content_type or 'none'}: is it a Prometheus at all?")


class ServerError(ValueError):
    """The server says `status: error`."""


_VECTOR: Final = '"resultType":"vector","result":['
_NEXT: Final = '},{"metric":{'
"""Between two results; within a string its quotes would be escaped."""
PIECE_CHARACTERS: Final = 1 << 17


def parse_answer(body: bytes, read: Callable[[Iterable[Row]], T]) -> Answer[T]:
    """Return what is made of the JSON of a server's answer.

    It is parsed piece by piece: parsing all at once would keep every other thread waiting meanwhile, and the garbage
    collector busy with rows that are wanted for a moment only.

    Raises:
        ServerError: the answer is an error.
        ValueError: it is no answer (or KeyError, or TypeError).
    """
    warnings: list[str] = []
    value = read(_rows(body.decode(), warnings))
    return Answer(value, tuple(warnings))


def _rows(text: str, warnings: list[str]) -> Iterator[Row]:
    """Yield the rows of an answer, and at the end add the server's warnings."""
    begin = text.find(_VECTOR)
    begin = position = len(text) if begin < 0 else begin + len(_VECTOR)
    while (cut := text.find(_NEXT, position + PIECE_CHARACTERS)) >= 0:
        yield from _values(json.loads(f"[{text[position : cut + 1]}]"))
        position = cut + 2
    content = json.loads(text[:begin] + text[position:])
    if content["status"] != "success":
        raise ServerError(f"{content.get('errorType', 'error')}: {_told(str(content.get('error', '')))}")
    data = content["data"]
    if data["resultType"] != "vector":
        raise ValueError(f"the result is a {data['resultType']}, no vector")
    yield from _values(data["result"])
    warnings.extend(_told(str(warning)) for warning in content.get("warnings") or ())


def _values(results: list[Any]) -> Iterator[Row]:
    # A native histogram has no "value", and is none of our series.
    return ((each["metric"], float(each["value"][1])) for each in results if "value" in each)


def _query_url(url: str) -> URL:
    try:
        base = URL(url)
    except ValueError as error:
        raise UserError(f"BALLAST_PROMETHEUS_URL is no address: {error}") from error
    if base.scheme not in {"http", "https"} or not base.host:
        raise UserError("BALLAST_PROMETHEUS_URL is no address: it must begin with http:// or https:// and name a host")
    path = re.sub(r"/+(api/v1(/query)?/*)?$", "", base.raw_path)
    return base.with_path(f"{path}/{QUERY_PATH}", encoded=True).with_query(base.query).with_fragment(None)


def _error_text(body: bytes) -> str:
    try:
        content = json.loads(body)
        return f"{content['errorType']}: {content['error']}"
    except (ValueError, KeyError, TypeError, RecursionError):
        return body[: 4 * TOLD_CHARACTERS].decode(errors="replace")


def _told(words: str) -> str:
    """Return words as they fit into one line of a message."""
    line = " ".join(words.split())
    return line if len(line) <= TOLD_CHARACTERS else line[:TOLD_CHARACTERS] + "…"


class _Changing(Generic[T]):
    """What a file holds, read anew when the file changes."""

    def __init__(self, path: Path, read: Callable[[Path], T], setting: str) -> None:
        self.path = path
        self._read = read
        self._setting = setting
        self._version: object = None
        self._value: T

    def value(self) -> T:
        """Return what it holds.

        Raises:
            PrometheusRefused: it cannot be read.
        """
        try:
            stat = self.path.stat()
            version = stat.st_mtime_ns, stat.st_size, stat.st_ino
            if version != self._version:
                self._value = self._read(self.path)
                self._version = version
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            raise PrometheusRefused(
                f"{self._setting}={self.path} cannot be used ({getattr(error, 'strerror', None) or error}): correct the"
                " file, or the setting"
            ) from error
        return self._value


def _read_token(path: Path) -> str:
    token = path.read_text().strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ValueError("it holds no token")
    return token


def _read_authorities(path: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(path))
