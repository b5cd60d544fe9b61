"""Who leads: of all replicas of the operator at most one writes, by a Lease of `coordination.k8s.io`.

What must hold:

- The leader counts its time from the moment *before* it sent the renewal that succeeded, and stops writing after two
  thirds of the lease. The others count from the moment *after* they first saw that renewal, and take over after the
  whole lease. So the old leader has stopped for a third of a lease before a new one begins, however slow the requests.
- Both measure with their own clock that nobody can set and that goes on while the process is stopped or the machine
  sleeps. The times that stand in the Lease are for people; none is compared with a clock.
- `check` is asked right before each write is sent (see `act.kube`). A leader that was paused and wakes up is refused
  there, whatever it was about to write; `keep` raises, and the process ends.
- Every change of the Lease is conditional on its resource version: of two that take it at once, one gets it.

`kubernetes.aio.leaderelection` is not used. In version 37 it compares `time.time()`, so that a clock step ends a lease
early or late; a request has five minutes to answer and the renewal deadline is looked at only between requests, so
that the led task goes on long after others have taken over; an error that is not an HTTP answer (connection refused)
ends the election; the end of the led task goes unnoticed and nothing is released; it tells nobody how long it may
still write; and it writes local time marked as UTC. See docs/adr/0007.
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
import socket
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NoReturn, Protocol

from ballast.clock import steady_seconds
from ballast.errors import BallastError, NotLeading
from ballast.kube import ApiRefused, JsonObject

logger = logging.getLogger(__name__)

NEVER = float("-inf")
LED_SHARE = 2 / 3  # of the lease: how long after a renewal the leader writes
REQUEST_SHARE = 1 / 3  # how long one request may take
RETRY_SHARE = 1 / 6  # how often the leader renews and the others look
HURRY = 1 / 5  # of that: the pause after a renewal that failed
JITTER = 0.2


class Leases(Protocol):
    """What is needed of an API client; not the one that the leader writes with, whose requests may have to wait."""

    async def get(self, path: str) -> JsonObject:
        """Read one object."""
        ...

    async def create(self, path: str, body: Mapping[str, Any]) -> JsonObject:
        """Create an object in a collection."""
        ...

    async def replace(self, path: str, body: Mapping[str, Any]) -> JsonObject:
        """Replace an object, if it is still of the version that `body` carries."""
        ...


def new_identity() -> str:
    """Return a name for this process: its pod's, and something random, since a container restarts in its pod."""
    return f"{socket.gethostname()}_{secrets.token_hex(4)}"


class Leadership:
    """This process's part in the election; what it did is told by `leading`, `settled` and `keep`.

    Args:
        leases: reads and writes the Lease.
        namespace: where the Lease is.
        name: of the Lease.
        identity: of this process; no other ever has the same.
        lease_seconds: how long a leader that says nothing is still believed to lead.
        on_new_leader: told the identity of each leader that is seen to follow another, also of this process.
        on_failure: told of each renewal that failed.
        clock: seconds that only pass.
    """

    def __init__(
        self,
        leases: Leases,
        namespace: str,
        name: str,
        identity: str,
        lease_seconds: int,
        *,
        on_new_leader: Callable[[str], None] = lambda identity: None,
        on_failure: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = steady_seconds,
    ) -> None:
        self._leases = leases
        self._collection = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._name = name
        self._path = f"{self._collection}/{name}"
        self.identity = identity
        self._lease_seconds = lease_seconds
        self._request_seconds = lease_seconds * REQUEST_SHARE
        self._retry_seconds = lease_seconds * RETRY_SHARE
        self._on_new_leader = on_new_leader
        self._on_failure = on_failure
        self._clock = clock
        self._seen: JsonObject | None = None  # the Lease as it was last read or written
        self._free_from = NEVER  # the moment from which a Lease that is not ours may be taken
        self._leads_until = NEVER
        self._renewed_at = NEVER
        self._leader = ""
        self._troubled = False
        self._lost = asyncio.Event()
        self.settled = asyncio.Event()
        """It is known who leads: this process or another."""

    # -- what others ask

    @property
    def leading(self) -> bool:
        """Whether this process may write."""
        return self._clock() < self._leads_until

    def check(self) -> None:
        """Let a write pass, or not.

        Raises:
            NotLeading: this process does not lead, or no longer.
        """
        if self.leading:
            return
        if self._leads_until == NEVER:
            raise NotLeading("this process does not lead: it must not write")
        self._lost.set()
        raise self._expired()

    # -- before it leads

    async def acquire(self) -> None:
        """Wait until this process leads."""
        while not await self.attempt():  # noqa: ASYNC110 - what is waited for happens in another process
            await asyncio.sleep(self._pause())

    async def attempt(self) -> bool:
        """Take the lease if it is free; return whether this process leads now."""
        try:
            async with asyncio.timeout(self._request_seconds):
                await self._take_if_free()
        except (BallastError, TimeoutError) as error:
            self._complain("cannot look at the lease yet; is the permission granted?", error)
        else:
            self._troubled = False
        return self.leading

    async def _take_if_free(self) -> None:
        lease = await self._look()
        if self._holder(lease) != self.identity and self._clock() < self._free_from:
            return
        sent = self._clock()
        try:
            self._won(await self._write(lease, self._held(lease)), sent)
        except ApiRefused as error:
            if error.status != 409:
                raise  # 409: another was faster.

    async def _look(self) -> JsonObject | None:
        """Read the Lease, and note since when it is as it is."""
        try:
            lease = await self._leases.get(self._path)
        except ApiRefused as error:
            if error.status != 404:
                raise
            self._seen = None  # what was seen of it before keeps its time to run out
            return None
        now = self._clock()
        if self._seen is None or _version(self._seen) != _version(lease):
            spec = lease.get("spec") or {}
            # The longer of both durations, where replicas of two releases do not agree on it.
            duration = max(float(spec.get("leaseDurationSeconds") or 0), float(self._lease_seconds))
            self._free_from = now + duration if spec.get("holderIdentity") else NEVER
        self._seen = lease
        holder = self._holder(lease)
        if holder and holder != self.identity and now < self._free_from:
            self._note_leader(holder)
        return lease

    def _won(self, lease: JsonObject, sent: float) -> None:
        self._renewed(lease, sent)
        if self.leading:
            logger.info("leading", extra={"identity": self.identity})
            self._note_leader(self.identity)

    # -- while it leads

    async def keep(self) -> NoReturn:
        """Renew the lease as long as that is possible.

        Raises:
            NotLeading: it was lost, or could not be renewed in time.
        """
        while True:
            await self._pause_or_loss()
            if self._lost.is_set() or not self.leading:
                self._leads_until = NEVER
                raise self._expired()
            try:
                async with asyncio.timeout(min(self._request_seconds, self._leads_until - self._clock())):
                    await self._renew()
            except NotLeading:
                self._leads_until = NEVER
                raise
            except (BallastError, TimeoutError) as error:
                self._on_failure()
                self._complain("the lease was not renewed; trying again", error)
            else:
                self._troubled = False

    async def _renew(self) -> None:
        sent = self._clock()
        try:
            lease = await self._write(self._seen, self._held(self._seen))
        except ApiRefused as error:
            if error.status not in {404, 409}:
                raise
            # Somebody else wrote it (or deleted it), or an earlier renewal was done though its answer never came.
            seen = await self._look()
            if seen is not None and self._holder(seen) != self.identity:
                raise NotLeading(f"{self._holder(seen) or 'somebody'} has taken the lease") from error
            sent = self._clock()
            lease = await self._write(seen, self._held(seen))
        self._renewed(lease, sent)

    def _renewed(self, lease: JsonObject, sent: float) -> None:
        self._seen = lease
        self._renewed_at = sent
        self._leads_until = sent + self._lease_seconds * LED_SHARE

    def _renewal_pause(self) -> float:
        pause = self._retry_seconds * (HURRY if self._troubled else 1)
        return max(min(pause, self._leads_until - self._clock()), 0)

    async def _pause_or_loss(self) -> None:
        try:
            async with asyncio.timeout(self._renewal_pause()):
                await self._lost.wait()
        except TimeoutError:
            return

    # -- when it ends

    async def release(self) -> None:
        """Stop leading and give the lease back, so that another need not wait until it runs out; never raises."""
        self._leads_until = NEVER
        try:
            async with asyncio.timeout(self._request_seconds):
                lease = await self._look()
                if lease is not None and self._holder(lease) == self.identity:
                    spec = {**lease["spec"], "leaseDurationSeconds": 1, "renewTime": _now()}
                    del spec["holderIdentity"]
                    await self._leases.replace(self._path, {**lease, "spec": spec})
                    logger.info("the lease is given back")
        except (BallastError, TimeoutError) as error:
            logger.warning(
                "the lease is not given back: another takes over when it runs out",
                extra={"error": str(error) or type(error).__name__},
            )

    # -- the object

    async def _write(self, lease: JsonObject | None, spec: JsonObject) -> JsonObject:
        if lease is None:
            return await self._leases.create(
                self._collection,
                {
                    "apiVersion": "coordination.k8s.io/v1",
                    "kind": "Lease",
                    "metadata": {"name": self._name},
                    "spec": spec,
                },
            )
        return await self._leases.replace(self._path, {**lease, "spec": spec})

    def _held(self, lease: JsonObject | None) -> JsonObject:
        """Return the spec with which this process holds the Lease."""
        spec = dict((lease or {}).get("spec") or {})
        now = _now()
        if spec.get("holderIdentity") != self.identity:
            spec["leaseTransitions"] = int(spec.get("leaseTransitions") or 0) + (lease is not None)
            spec["acquireTime"] = now
        return {
            **spec,
            "holderIdentity": self.identity,
            "leaseDurationSeconds": self._lease_seconds,
            "renewTime": now,
        }

    def _holder(self, lease: JsonObject | None) -> str:
        return ((lease or {}).get("spec") or {}).get("holderIdentity") or ""

    def _expired(self) -> NotLeading:
        silent = self._clock() - self._renewed_at
        return NotLeading(
            f"the lease was not renewed for {silent:.1f} s of its {self._lease_seconds} s: another may lead by now"
        )

    def _note_leader(self, identity: str) -> None:
        if identity != self._leader:
            if identity != self.identity:
                logger.info("standing by", extra={"leader": identity})
            self._leader = identity
            self._on_new_leader(identity)
        self.settled.set()

    def _pause(self) -> float:
        """Return how long to wait before the next look: until the lease runs out if that is sooner."""
        pause = self._retry_seconds * random.uniform(1 - JITTER, 1)  # noqa: S311 - no secret
        left = self._free_from - self._clock()
        return min(pause, left) if left > 0 else pause

    def _complain(self, message: str, error: Exception) -> None:
        """Log the first trouble of a row."""
        level = logging.DEBUG if self._troubled else logging.WARNING
        self._troubled = True
        logger.log(level, message, extra={"error": str(error) or type(error).__name__})


def _version(lease: JsonObject) -> str:
    version: str = lease["metadata"]["resourceVersion"]
    return version


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
