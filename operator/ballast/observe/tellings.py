"""Whose news is written next: so many status writes a second and no more, however many jobs have news.

News of figures comes for all jobs at once, each time that Prometheus has answered. A token bucket bounds how many of
them are told: a small cluster at once, a large one in turn. What must hold: who was told longest ago comes first; who
was never told comes before all but those who were told more than `HEAD_START_SECONDS` ago, so that nobody waits
forever; what is kept grows only with the jobs there are. Each call costs the logarithm of their number per job.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from itertools import count
from typing import Final

PER_SECOND: Final = 8.0
BURST: Final = 40
"""With `PER_SECOND`: at most 520 writes in any minute, of the 600 that 5,000 jobs may cost."""
BATCH: Final = 8
"""How many are handed out together at least, where so many wait: each batch costs a cycle."""
HEAD_START_SECONDS: Final = 900.0
"""More than a round takes with 5,000 jobs."""
_WHOLE: Final = 1 - 1e-3
"""As good as a token: seconds since the epoch are not finer as a float."""


class Tellings:
    """Jobs with news, by UID; see the module's docstring.

    Args:
        per_second: how many are told in the long run.
        burst: how many are told at once after a pause.
        batch: how many are waited for to be told together.
    """

    def __init__(self, per_second: float = PER_SECOND, burst: int = BURST, batch: int = BATCH) -> None:
        self._per_second = per_second
        self._burst = float(burst)
        self._batch = min(batch, burst)
        self._tokens = float(burst)
        self._counted_at: float | None = None
        self._told_at: dict[str, float] = {}
        self._waiting: dict[str, tuple[float, int]] = {}  # by UID, the entry in the heap that counts
        self._heap: list[tuple[float, int, str]] = []
        self._entries = count()

    def __len__(self) -> int:
        """Return how many jobs wait to be told."""
        return len(self._waiting)

    def __contains__(self, uid: str) -> bool:
        """Return whether a job waits to be told: whether it still has news need not be asked."""
        return uid in self._waiting

    def news(self, uids: Iterable[str], now: float) -> None:
        """Take in which jobs have news; one that waits already keeps its place."""
        for uid in uids:
            if uid in self._waiting:
                continue
            entry = self._waiting[uid] = self.rank(uid, now), next(self._entries)
            heapq.heappush(self._heap, (*entry, uid))

    def rank(self, uid: str, now: float) -> float:
        """Return a job's place among those that have news now, least first."""
        return self._told_at.get(uid, now - HEAD_START_SECONDS)

    def take(self, now: float) -> list[str]:
        """Return whose turn it is, at most as many as may be told now; they no longer wait."""
        self._count_tokens(now)
        taken: list[str] = []
        while self._waiting and self._tokens >= _WHOLE:
            rank, entry, uid = heapq.heappop(self._heap)
            if self._waiting.get(uid) != (rank, entry):
                continue
            del self._waiting[uid]
            self._told_at[uid] = now
            self._tokens -= 1
            taken.append(uid)
        return taken

    def next_due(self, now: float) -> float | None:
        """Return when `take` is worth a cycle; None while nobody waits."""
        if not self._waiting:
            return None
        self._count_tokens(now)
        missing = min(self._batch, len(self._waiting)) - self._tokens
        return now + max(missing, 0.0) / self._per_second

    def forget(self, uid: str) -> None:
        """Forget a job that does not run any more; when it runs again it counts as never told."""
        self._told_at.pop(uid, None)
        if self._waiting.pop(uid, None) is not None and len(self._heap) > 2 * len(self._waiting) + 64:
            self._heap = [(*entry, name) for name, entry in self._waiting.items()]
            heapq.heapify(self._heap)

    def _count_tokens(self, now: float) -> None:
        # The clock may be set back: then nothing is added, and counting goes on from there.
        passed = max(now - self._counted_at, 0.0) if self._counted_at is not None else 0.0
        self._tokens = min(self._tokens + passed * self._per_second, self._burst)
        self._counted_at = now
