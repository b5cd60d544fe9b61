"""The waiting jobs, in lanes of equal requests, oldest first, and whose turn it is to be explained.

Every operation costs the logarithm of the lane or less, but for keeping a list sorted, so that a change of one job
among thousands stays cheap.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import replace

from ballast.decide.snapshot import Ahead, GangRequest, Job

REVIEWED_PER_CYCLE = 100

_Order = tuple[float, str, str]


class WaitingJobs:
    """Jobs without a reservation, by lane."""

    def __init__(self) -> None:
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._lanes: dict[GangRequest, list[tuple[_Order, str]]] = {}
        self._changed: dict[str, None] = {}  # in the order in which they changed

    def __len__(self) -> int:
        return len(self._jobs)

    def put(self, job: Job) -> None:
        """Add or update a waiting job."""
        self.remove(job.uid)
        self._jobs[job.uid] = job
        self._changed[job.uid] = None
        if job.gang is not None:
            insort(self._lanes.setdefault(job.gang, []), (job.order, job.uid))

    def remove(self, uid: str) -> None:
        """Forget a job, if it was waiting."""
        job = self._jobs.pop(uid, None)
        self._changed.pop(uid, None)
        if job is None or job.gang is None:
            return
        lane = self._lanes[job.gang]
        del lane[bisect_left(lane, (job.order, uid))]
        if not lane:
            del self._lanes[job.gang]

    def lanes(self, depth: int) -> Iterator[tuple[GangRequest, tuple[Job, ...]]]:
        """Yield each lane with its oldest `depth` jobs: no cycle can admit more."""
        for gang, lane in self._lanes.items():
            yield gang, tuple(self._jobs[uid] for _, uid in lane[:depth])

    def ahead(self, job: Job) -> Ahead:
        """Return a waiting job's place in the whole queue; costs a search in each lane."""
        jobs = gpus = 0
        for gang, lane in self._lanes.items():
            before = bisect_left(lane, (job.order, job.uid))
            jobs += before
            gpus += before * gang.size
        return Ahead(jobs + 1, gpus + (job.gang.size if job.gang is not None else 0))

    def uids(self) -> tuple[str, ...]:
        """Return the UIDs of all waiting jobs."""
        return tuple(self._jobs)

    def review(self, limit: int) -> tuple[Job, ...]:
        """Return at most `limit` jobs to explain in this cycle: those that changed, then some others in turn.

        Changed jobs beyond the limit stay for the next cycle: see `has_changed`.
        """
        due = dict.fromkeys(self._take_changed(limit))
        for uid in self._next_in_turn(min(REVIEWED_PER_CYCLE, limit - len(due))):
            due[uid] = None
        return tuple(self._placed_in_queue(self._jobs[uid]) for uid in due)

    def _placed_in_queue(self, job: Job) -> Job:
        return job if job.gang is None else replace(job, ahead=self.ahead(job))

    @property
    def has_changed(self) -> bool:
        """Whether changed jobs have not been returned by `review` yet."""
        return bool(self._changed)

    def _take_changed(self, count: int) -> list[str]:
        taken = [uid for uid, _ in zip(self._changed, range(count), strict=False)]
        for uid in taken:
            del self._changed[uid]
        return taken

    def _next_in_turn(self, count: int) -> list[str]:
        turn = [uid for uid, _ in zip(self._jobs, range(count), strict=False)]
        for uid in turn:
            self._jobs.move_to_end(uid)
        return turn

    def keep_for_review(self, uids: Iterable[str]) -> None:
        """Put jobs back that could not be explained in their cycle."""
        self._changed.update(dict.fromkeys(uid for uid in uids if uid in self._jobs))
