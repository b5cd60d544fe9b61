"""Whose token is it: asks the API server by TokenReview, remembers the answer for a short while, and asks seldom.

What must hold: nobody is taken for a pod unless the API server said so, for a token of our audience that is bound to a
pod of this node, within the last `ACCEPTED_SECONDS`; or, if the agent's own watch knows the pod to be there, within the
last `THERE_SECONDS` and before the token expires. Where the API server cannot be asked then, nobody is (it fails
closed). Tokens are kept as digests only, and stand in no message.

So revocation lags: the API server itself forgets a deleted pod's token about 10 s after the pod is gone, and about 71 s
after its deletion where a finalizer holds it. What is remembered here adds at most `ACCEPTED_SECONDS` once the agent
has seen that the deletion began, nothing once it has seen the pod go, and at most `THERE_SECONDS` where its watch is
broken, or where something else than the pod is taken back: its service account, or the key that signed the token.

Asking is bounded: one question at a time about a token, one bucket for tokens that were never accepted for each address
that they come from and one for all of them, so that a pod that makes up tokens neither floods the API server nor keeps
others from being recognized.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import logging
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from ballast.api.agentserving import AUDIENCE, NODE_NAME_EXTRA, POD_NAME_EXTRA, POD_UID_EXTRA
from ballast.clock import steady_seconds
from ballast.errors import BallastError, RetryableError

logger = logging.getLogger(__name__)

JsonObject = dict[str, Any]

ACCEPTED_SECONDS = 10.0
"""How long a token that was accepted is accepted again without asking."""
THERE_SECONDS = 300.0
"""How long that of a pod is that the agent knows to be there: many pods ask all the time."""
REJECTED_SECONDS = 2.0
"""How long one that was not is refused without asking."""
REVIEW_SECONDS = 5.0
"""How long an answer of the API server is waited for."""
MAX_TOKENS = 1024
MAX_TOKEN_BYTES = 16 << 10
UNKNOWN_PER_SECOND, UNKNOWN_BURST = 10.0, 40.0
UNKNOWN_PER_ADDRESS_PER_SECOND, UNKNOWN_BURST_PER_ADDRESS = 2.0, 10.0
REQUESTS_PER_SECOND, REQUESTS_BURST = 10.0, 20.0

_REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"
_READ_ANEW = (
    f"mount a projected service-account token with audience {AUDIENCE} into the pod, and read its file anew for each"
    " request"
)


class Unauthenticated(BallastError):
    """The token is not one of a pod of this cluster for this agent."""


class WrongNode(BallastError):
    """The token is that of a pod on another node."""


class TooMany(RetryableError):
    """More was asked than is answered; `retry_seconds` says when it may be tried again."""

    def __init__(self, message: str, retry_seconds: float) -> None:
        self.retry_seconds = retry_seconds
        super().__init__(f"{message}; wait {retry_seconds:.1f} s")


class NotReviewed(RetryableError):
    """The API server could not be asked."""


@dataclass(frozen=True)
class PodIdentity:
    """The pod that a token is bound to.

    Attributes:
        uid: Its UID; a later pod of the same name has another.
        name: Its name.
        node: Its node.
    """

    uid: str
    name: str
    node: str


class Kube(Protocol):
    """What is needed of an API client."""

    async def create(self, path: str, body: Mapping[str, Any]) -> JsonObject:
        """Create an object in a collection."""
        ...


class Tokens:
    """Tells pods by their tokens.

    Args:
        kube: asks the API server; best a client of its own, so that nothing else waits for what pods ask.
        node: the agent's own node.
        pod_is_gone: whether a pod is known to have been deleted; False for one that was never heard of.
        clock: seconds that only pass.
        accepted_seconds: see `ACCEPTED_SECONDS`.
        pod_is_there: whether a pod is known to be there, and its deletion has not begun.
        wall: seconds since the epoch.
    """

    def __init__(
        self,
        kube: Kube,
        node: str,
        pod_is_gone: Callable[[str], bool] = lambda uid: False,
        clock: Callable[[], float] = steady_seconds,
        accepted_seconds: float = ACCEPTED_SECONDS,
        pod_is_there: Callable[[str], bool] = lambda uid: False,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._kube = kube
        self._node = node
        self._pod_is_gone = pod_is_gone
        self._clock = clock
        self._accepted_seconds = accepted_seconds
        self._pod_is_there = pod_is_there
        self._wall = wall
        # Apart, so that made-up tokens drive no accepted one out.
        self._accepted: _Recent[bytes, _Accepted] = _Recent(MAX_TOKENS)
        self._rejected: _Recent[bytes, tuple[Unauthenticated | WrongNode, float]] = _Recent(MAX_TOKENS)
        self._reviews: dict[bytes, asyncio.Task[PodIdentity]] = {}
        self._unknown = Buckets(UNKNOWN_PER_SECOND, UNKNOWN_BURST, clock, 1)
        self._unknown_by_address = Buckets(UNKNOWN_PER_ADDRESS_PER_SECOND, UNKNOWN_BURST_PER_ADDRESS, clock)
        self._requests = Buckets(REQUESTS_PER_SECOND, REQUESTS_BURST, clock)

    async def identify(self, token: str, address: str = "") -> PodIdentity:
        """Return the pod whose token this is.

        Args:
            token: as the pod sent it.
            address: from which it came.

        Raises:
            Unauthenticated: it is expired, for others, of a pod that is gone, or no pod's token at all.
            WrongNode: the pod runs on another node.
            TooMany: too much was asked.
            NotReviewed: the API server could not be asked.
        """
        if not _looks_like_a_token(token):
            raise Unauthenticated(f"what follows 'Bearer' is no service-account token: {_READ_ANEW}")
        digest = hashlib.sha256(token.encode()).digest()
        known = self._accepted.get(digest)
        if known is None:
            self._refuse_again(digest)
            pod = await self._review(digest, token, address)
            self._limit(pod)
        else:
            pod = known.pod
            self._limit(pod)  # first: where the API server is away, each request would be a question to it
            if not self._holds(known):
                pod = await self._review(digest, token, address)
        if self._pod_is_gone(pod.uid):
            self._accepted.forget(digest)
            raise Unauthenticated(f"pod {pod.name} was deleted, and its token with it")
        return pod

    async def close(self) -> None:
        """End the questions under way."""
        reviews = list(self._reviews.values())
        for review in reviews:
            review.cancel()
        await asyncio.gather(*reviews, return_exceptions=True)

    def _holds(self, accepted: _Accepted) -> bool:
        """Return whether what the API server said is still to be believed."""
        age = self._clock() - accepted.at
        if age < self._accepted_seconds:
            return True
        return age < min(THERE_SECONDS, accepted.valid_seconds) and self._pod_is_there(accepted.pod.uid)

    def _refuse_again(self, digest: bytes) -> None:
        rejected = self._rejected.get(digest)
        if rejected is not None and self._clock() < rejected[1]:
            raise type(rejected[0])(str(rejected[0]))

    def _limit(self, pod: PodIdentity) -> None:
        if (wait := self._requests.take(pod.uid)) > 0:
            raise TooMany(f"pod {pod.name} may ask {REQUESTS_PER_SECOND:g} times a second", wait)

    async def _review(self, digest: bytes, token: str, address: str) -> PodIdentity:
        review = self._reviews.get(digest)
        if review is None:
            if self._accepted.get(digest) is None:  # one that was accepted before is no made-up one
                self._limit_unknown(address)
            review = asyncio.create_task(self._ask(digest, token))
            self._reviews[digest] = review
            review.add_done_callback(lambda done: self._settle(digest, done))
        # Shielded: others may wait for the same answer as one that hangs up.
        return await asyncio.shield(review)

    def _limit_unknown(self, address: str) -> None:
        wait = self._unknown_by_address.take(address) or self._unknown.take("all")
        if wait > 0:
            raise TooMany("too many tokens that are not known", wait)

    def _settle(self, digest: bytes, review: asyncio.Task[PodIdentity]) -> None:
        del self._reviews[digest]
        if not review.cancelled():
            review.exception()  # seen, also if whoever asked has hung up

    async def _ask(self, digest: bytes, token: str) -> PodIdentity:
        spec = {"token": token, "audiences": [AUDIENCE]}
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec}
        asked = self._clock()
        try:
            async with asyncio.timeout(REVIEW_SECONDS):
                answer = await self._kube.create(_REVIEWS, body)
        except (BallastError, TimeoutError) as error:
            # Not what it says: an error may quote what was sent.
            logger.warning("tokens cannot be reviewed", extra={"error": type(error).__name__})
            raise NotReviewed(
                "the API server cannot be asked whose token this is; try again, and if it stays so see the agent's log"
                " and its right to create tokenreviews"
            ) from None
        try:
            pod = self._judge(answer.get("status") or {})
        except (Unauthenticated, WrongNode) as error:
            self._accepted.forget(digest)
            self._rejected.put(digest, (error, asked + REJECTED_SECONDS))
            raise
        self._accepted.put(digest, _Accepted(pod, asked, _expires(token) - self._wall()))
        return pod

    def _judge(self, status: Mapping[str, Any]) -> PodIdentity:
        """Return the pod that a TokenReview's status tells of."""
        if status.get("authenticated") is not True:
            raise Unauthenticated(
                f"the token is not valid here: it is expired, not for audience {AUDIENCE}, or its pod is gone;"
                f" {_READ_ANEW}"
            )
        if AUDIENCE not in (status.get("audiences") or ()):
            # So answer API servers that know no audiences: the token might be meant for anybody.
            raise Unauthenticated(f"the API server does not say that the token is for {AUDIENCE}: {_READ_ANEW}")
        extra = (status.get("user") or {}).get("extra") or {}
        uid, name, node = (_only(extra.get(key)) for key in (POD_UID_EXTRA, POD_NAME_EXTRA, NODE_NAME_EXTRA))
        if not uid or not name:
            raise Unauthenticated(f"the token is not bound to a pod: {_READ_ANEW}")
        if not node:
            raise Unauthenticated(f"the token does not say on which node its pod runs: {_READ_ANEW}")
        if node != self._node:
            raise WrongNode(
                f"pod {name} runs on node {node}, and this is the agent of node {self._node}: ask the agent of its own"
                " node, at the address in status.hostIP"
            )
        return PodIdentity(uid, name, node)


@dataclass(frozen=True, slots=True)
class _Accepted:
    """What the API server said of a token, and when it was asked: for how many seconds from then on it is valid."""

    pod: PodIdentity
    at: float
    valid_seconds: float


_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")


class _Recent(Generic[_Key, _Value]):
    """Remembers a bounded number of things: those that were used last."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._items: OrderedDict[_Key, _Value] = OrderedDict()

    def get(self, key: _Key) -> _Value | None:
        if key in self._items:
            self._items.move_to_end(key)
        return self._items.get(key)

    def put(self, key: _Key, value: _Value) -> None:
        self._items[key] = value
        self._items.move_to_end(key)
        while len(self._items) > self._size:
            self._items.popitem(last=False)

    def forget(self, key: _Key) -> None:
        self._items.pop(key, None)


class Buckets:
    """A token bucket for each key, for a bounded number of keys.

    Args:
        per_second: how fast a bucket fills.
        burst: how much it holds.
        clock: seconds that only pass.
        size: how many keys are remembered; one that is forgotten begins with a full bucket.
    """

    def __init__(self, per_second: float, burst: float, clock: Callable[[], float], size: int = MAX_TOKENS) -> None:
        self._per_second = per_second
        self._burst = burst
        self._clock = clock
        self._levels: _Recent[str, tuple[float, float]] = _Recent(size)

    def take(self, key: str) -> float:
        """Take one, and return 0; or take none, and return in how many seconds there will be one."""
        now = self._clock()
        level, then = self._levels.get(key) or (self._burst, now)
        level = min(self._burst, level + (now - then) * self._per_second)
        if level < 1:
            return (1 - level) / self._per_second
        self._levels.put(key, (level - 1, now))
        return 0.0


def _looks_like_a_token(token: str) -> bool:
    """Whether it is worth a question: three parts, of a size that tokens have."""
    return 0 < len(token) <= MAX_TOKEN_BYTES and token.isascii() and token.count(".") == 2


def _expires(token: str) -> float:
    """Return when a token that the API server has vouched for expires, in seconds since the epoch; 0 if it says not."""
    payload = token.split(".")[1]
    try:
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        expires = claims["exp"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return 0.0
    is_number = isinstance(expires, int | float) and not isinstance(expires, bool) and math.isfinite(expires)
    return float(expires) if is_number else 0.0


def _only(values: object) -> str | None:
    """Return the one value that there is; several would be ambiguous."""
    return values[0] if isinstance(values, list) and len(values) == 1 and isinstance(values[0], str) else None
