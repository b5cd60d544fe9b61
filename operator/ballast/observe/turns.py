"""Jobs that are to be looked at because something was learned, a bounded number of them in each cycle.

A profile that thousands of jobs share may change with each measurement of any of them, and one answer of Prometheus
may complete measurements of all. What must hold: a cycle looks at so many of them and no more, in the order in which
they came; a job that waits for its turn waits once, whatever else is learned meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Final

LOOKED_AT_ONCE: Final = 100
"""The limit of each may be chosen anew, which takes milliseconds."""


class Turns:
    """Jobs by UID; see the module's docstring. It is true while there is somebody to look at."""

    def __init__(self) -> None:
        self._waiting: dict[str, None] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, jobs: Iterable[str]) -> None:
        """Let jobs wait for their turn."""
        self._waiting |= dict.fromkeys(jobs)

    def take(self) -> list[str]:
        """Return whose turn it is; they no longer wait."""
        jobs = list(islice(self._waiting, LOOKED_AT_ONCE))
        for job in jobs:
            del self._waiting[job]
        return jobs

    def forget(self, job: str) -> None:
        """Take in that a job is gone."""
        self._waiting.pop(job, None)
