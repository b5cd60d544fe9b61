"""An API server as far as TokenReviews go, and a clock that passes when a test says so."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping
from typing import Any

from ballast.agent.serving.tokens import Tokens
from ballast.errors import BallastError

JsonObject = dict[str, Any]

NODE = "v100-0"
TOKEN = "header.claims.signature"  # noqa: S105 - no secret


EPOCH = 1_800_000_000.0
"""The time at which the clock shows 0."""


def token_until(seconds: object) -> str:
    """Return a token that expires when the clock shows so many seconds."""
    expires = EPOCH + seconds if isinstance(seconds, int | float) else seconds
    payload = json.dumps({"aud": ["ballast-agent"], "exp": expires}).encode()
    return f"header.{base64.urlsafe_b64encode(payload).decode().rstrip('=')}.signature"


class Clock:
    """Seconds."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def user(pod: str = "train-1-0", uid: str = "uid-1", node: str = NODE) -> JsonObject:
    """What a TokenReview tells of a pod's token."""
    return {
        "username": "system:serviceaccount:team:default",
        "extra": {
            "authentication.kubernetes.io/pod-name": [pod],
            "authentication.kubernetes.io/pod-uid": [uid],
            "authentication.kubernetes.io/node-name": [node],
        },
    }


def accepted(**of: str) -> JsonObject:
    """The status of a review of a pod's token."""
    return {"authenticated": True, "audiences": ["ballast-agent"], "user": user(**of)}


class TokenReviews:
    """Answers reviews.

    Attributes:
        statuses: by token; what is not here is not authenticated.
        asked: the specs of all reviews.
        was_asked: set with the first.
        error: raised instead of an answer.
        hold: waited for before each answer.
        gone: UIDs of pods that the agent knows to be deleted.
        there: of those that it knows to be there.
    """

    def __init__(self, **statuses: JsonObject) -> None:
        self.statuses = statuses or {TOKEN: accepted()}
        self.asked: list[JsonObject] = []
        self.was_asked = asyncio.Event()
        self.error: BallastError | None = None
        self.hold: asyncio.Event | None = None
        self.clock = Clock()
        self.gone: set[str] = set()
        self.there: set[str] = set()

    @property
    def tokens(self) -> Tokens:
        """Return what asks this API server."""
        return Tokens(
            self,
            NODE,
            self.gone.__contains__,
            self.clock,
            pod_is_there=self.there.__contains__,
            wall=lambda: EPOCH + self.clock.now,
        )

    async def create(self, path: str, body: Mapping[str, Any]) -> JsonObject:
        assert (path, body["kind"]) == ("/apis/authentication.k8s.io/v1/tokenreviews", "TokenReview")
        self.asked.append(body["spec"])
        self.was_asked.set()
        await asyncio.sleep(0)
        if self.hold is not None:
            await self.hold.wait()
        if self.error is not None:
            raise self.error
        return {
            **body,
            "status": self.statuses.get(body["spec"]["token"], {"user": {}, "error": "invalid bearer token"}),
        }
