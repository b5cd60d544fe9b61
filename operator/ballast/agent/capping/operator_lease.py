"""The dead man's switch: is there an operator that still renews its Lease?

What must hold: only a renewal that was *seen to happen* counts, timed by the agent's own steady clock. The times that
stand in the Lease are compared with each other for being different, never with a clock: the clocks of two nodes may
differ by hours. So everything that brings no news makes the operator stale after the same time: a Lease that nobody
renews, one that was given back (no holder), one that was deleted, an API server that does not answer.

When the agent starts it has seen nothing yet, and counts from then: what an agent before it had set stays until the
spec is known, and is not taken away and set again a second later.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class OperatorLease:
    """Whether the operator is alive, from what was seen of its Lease.

    Args:
        stale_seconds: how long the operator is believed without news.
        now: the present moment, in steady seconds.
    """

    def __init__(self, stale_seconds: float, now: float) -> None:
        self._stale_seconds = stale_seconds
        self._news_at = now
        self._seen: tuple[object, ...] | None = None

    def observe(self, lease: Mapping[str, Any] | None, now: float) -> bool:
        """Take note of the Lease as it is.

        Args:
            lease: the Lease object; None if there is none.
            now: steady seconds; for an object that was asked for, the moment *before* the request was sent.

        Returns:
            Whether it was news: somebody renewed or took the Lease since it was seen last. The first sight is none: it
            may have looked so for hours.
        """
        spec = (lease or {}).get("spec") or {}
        if not spec.get("holderIdentity"):
            return False  # what was seen before stays: the same old Lease, back again, is no news
        seen = (spec["holderIdentity"], spec.get("renewTime"), spec.get("leaseTransitions"))
        is_news = self._seen is not None and seen != self._seen
        self._seen = seen
        if is_news:
            self._news_at = max(self._news_at, now)
        return is_news

    def is_fresh(self, now: float) -> bool:
        """Return whether the operator's word still holds."""
        return now - self._news_at < self._stale_seconds

    def next_due(self, now: float) -> float | None:
        """Return the moment, in steady seconds, at which it turns stale without news; None if it is stale already."""
        return self._news_at + self._stale_seconds if self.is_fresh(now) else None
