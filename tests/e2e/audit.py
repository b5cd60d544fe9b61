"""The API server's audit log as evidence: who wrote what, and what came of it.

The API server writes a request's line before it answers, so whatever a test has seen happen is in the log.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OPERATOR_USER = "system:serviceaccount:ballast-system:ballast-operator"
OPERATOR_AGENT = "ballast-operator"
WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})


@dataclass(frozen=True, slots=True)
class Request:
    """One answered request.

    Attributes:
        resource: with its subresource, for example `trainingjobs/status`.
        name: of the object; for a creation in a collection, of what was created.
        agent: the program that asked: its User-Agent up to a slash.
        message: why it was not done, if so.
        body: what was sent, where the audit policy keeps it.
        agent_version: the rest of the User-Agent; the operator's is the identity of its process.
    """

    user: str
    agent: str
    verb: str
    resource: str
    namespace: str
    name: str
    code: int
    message: str
    body: Any
    agent_version: str = ""

    @property
    def by_operator(self) -> bool:
        """Whether the operator asked."""
        return self.user == OPERATOR_USER

    @property
    def is_write(self) -> bool:
        """Whether it was to change something."""
        return self.verb in WRITES

    @property
    def succeeded(self) -> bool:
        """Whether the API server did it."""
        return 200 <= self.code < 300

    @property
    def cut_off(self) -> bool:
        """Whether the caller was gone before there was an answer: it may have been done or not."""
        return self.code >= 500


class AuditLog:
    """An audit log that is being written."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def position(self) -> int:
        """Return where the log ends now."""
        return self._file.stat().st_size

    def since(self, position: int) -> list[Request]:
        """Return the requests that were answered since then."""
        with self._file.open("rb") as file:
            file.seek(position)
            return list(_parse(file))

    def about(self, namespace: str) -> list[Request]:
        """Return the requests about a namespace, from its beginning."""
        with self._file.open("rb") as file:
            return list(_parse(line for line in file if namespace.encode() in line))


def writes_of_operator(requests: Iterable[Request], namespace: str) -> list[Request]:
    """Return what the operator wrote, or may have written, in a namespace."""
    return [
        request
        for request in requests
        if request.by_operator
        and request.is_write
        and request.namespace == namespace
        and (request.succeeded or request.cut_off)
    ]


def count_by_name(writes: Iterable[Request], resource: str, code: int | None = None) -> Counter[str]:
    """Return how many writes succeeded for each object of a resource, with one status code if given."""
    return Counter(w.name for w in writes if w.resource == resource and w.succeeded and code in (None, w.code))


def cut_off_by_name(writes: Iterable[Request], resource: str) -> Counter[str]:
    """Return how many writes were cut off for each object of a resource."""
    return Counter(w.name for w in writes if w.resource == resource and w.cut_off)


def assert_once(writes: Iterable[Request], resource: str, names: Collection[str], code: int | None = None) -> None:
    """Check that each of the objects, and no other, was written exactly once.

    A write that a SIGKILL cut off counts as the one if no other succeeded.
    """
    writes = list(writes)
    done, cut_off = count_by_name(writes, resource, code), cut_off_by_name(writes, resource)
    for name in {*names, *done}:
        assert name in names, f"{resource} {name} was written, unexpectedly"
        assert done[name] == 1 or (done[name] == 0 and cut_off[name]), f"{resource} {name}: written {done[name]} times"


def _parse(lines: Iterable[bytes]) -> Iterator[Request]:
    for line in lines:
        entry = json.loads(line)
        reference = entry.get("objectRef")
        if entry["stage"] != "ResponseComplete" or reference is None:
            continue
        subresource = reference.get("subresource")
        agent, _, agent_version = entry.get("userAgent", "").partition("/")
        yield Request(
            user=entry["user"].get("username", ""),
            agent=agent,
            verb=entry["verb"],
            resource=reference.get("resource", "") + (f"/{subresource}" if subresource else ""),
            namespace=reference.get("namespace", ""),
            name=reference.get("name", ""),
            code=entry.get("responseStatus", {}).get("code", 0),
            message=entry.get("responseStatus", {}).get("message", ""),
            body=entry.get("requestObject"),
            agent_version=agent_version,
        )
