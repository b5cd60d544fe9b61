"""Which running jobs have figures to tell, and whose turn it is.

News of figures comes for all jobs at once. Whether a job has any costs some tens of microseconds, too much to ask of
thousands while watches and probes wait. What must hold: each cycle looks at so many jobs and no more, those first that
would be told first, and one that waits to be told is not looked at again; each job is looked at after each answer of
Prometheus, or waits to be told already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from ballast.decide.life.reporting import wants_report
from ballast.decide.snapshot import Context, Job
from ballast.observe.tellings import Tellings

LOOKED_AT_ONCE: Final = 250
PAUSE_SECONDS: Final = 0.05
"""Before the next cycle looks at more; it may also come sooner."""


class FigureNews:
    """Jobs by UID; see the module's docstring."""

    def __init__(self) -> None:
        self._tellings = Tellings()
        self._unseen: dict[str, None] = {}  # in the order in which they are looked at

    def arrived(self, running: Iterable[str], now: float) -> None:
        """Take in that Prometheus was asked; whatever came of it may be news of every running job."""
        unseen = (uid for uid in dict.fromkeys((*self._unseen, *running)) if uid not in self._tellings)
        self._unseen = dict.fromkeys(sorted(unseen, key=lambda uid: self._tellings.rank(uid, now)))

    @property
    def has_unseen(self) -> bool:
        """Whether there are jobs to look at."""
        return bool(self._unseen)

    def look(self, view: Callable[[str], Job | None], context: Context) -> None:
        """Look at some jobs.

        Args:
            view: returns a job as it is now; None if it is gone.
            context: what is news depends on it.
        """
        looked_at = [uid for uid, _ in zip(self._unseen, range(LOOKED_AT_ONCE), strict=False)]
        for uid in looked_at:
            del self._unseen[uid]
        jobs = (job for uid in looked_at if (job := view(uid)) is not None)
        self._tellings.news((job.uid for job in jobs if wants_report(job, context)), context.now)

    def take(self, now: float) -> list[str]:
        """Return whose turn it is, at most as many as may be told now; they no longer wait."""
        return self._tellings.take(now)

    def next_due(self, now: float) -> float | None:
        """Return when the next cycle is worth it; None while there is nothing to look at or to tell."""
        due = self._tellings.next_due(now)
        if not self._unseen:
            return due
        return now + PAUSE_SECONDS if due is None else min(due, now + PAUSE_SECONDS)

    def forget(self, uid: str) -> None:
        """Forget a job that does not run any more."""
        self._unseen.pop(uid, None)
        self._tellings.forget(uid)
