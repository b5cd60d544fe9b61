"""The waiting jobs, in lanes of equal requests of a namespace, oldest first, and whose turn it is to be explained.

Every operation costs the logarithm of the lane or less, but for keeping a list sorted, so that a change of one job
among thousands stays cheap.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from ballast.decide.fair_share import NO_SHARES, FairShares
from ballast.decide.gang_request import GangRequest
from ballast.decide.snapshot import Ahead, Job, Order

REVIEWED_PER_CYCLE = 100
NOBODY: Mapping[str, int] = {}


@dataclass(slots=True)
class _Lane:
    """Jobs in their order, with what is asked of their request again and again."""

    size: int
    payer: str
    jobs: list[tuple[Order, str]] = field(default_factory=list)


class WaitingJobs:
    """Jobs without a reservation, by lane."""

    def __init__(self) -> None:
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._lanes: dict[GangRequest, _Lane] = {}
        self._changed: dict[str, None] = {}  # in the order in which they changed

    def __len__(self) -> int:
        return len(self._jobs)

    def put(self, job: Job) -> None:
        """Add or update a waiting job."""
        self.remove(job.uid)
        self._jobs[job.uid] = job
        self._changed[job.uid] = None
        if job.gang is None:
            return
        lane = self._lanes.get(job.gang)
        if lane is None:
            lane = self._lanes[job.gang] = _Lane(job.gang.size, job.gang.payer)
        insort(lane.jobs, (job.order, job.uid))

    def remove(self, uid: str) -> None:
        """Forget a job, if it was waiting."""
        job = self._jobs.pop(uid, None)
        self._changed.pop(uid, None)
        if job is None or job.gang is None:
            return
        lane = self._lanes[job.gang]
        del lane.jobs[bisect_left(lane.jobs, (job.order, uid))]
        if not lane.jobs:
            del self._lanes[job.gang]

    def lanes(self, depth: int) -> Iterator[tuple[GangRequest, tuple[Job, ...]]]:
        """Yield each lane with its oldest `depth` jobs: no cycle can admit more."""
        for gang, lane in self._lanes.items():
            yield gang, tuple(self._jobs[uid] for _, uid in lane.jobs[:depth])

    def payers(self) -> set[str]:
        """Return the namespaces in which jobs wait for GPUs."""
        return {lane.payer for lane in self._lanes.values() if lane.payer}

    def ahead(self, job: Job, put_back: Mapping[str, int] = NOBODY) -> Ahead:
        """Return a waiting job's place in the whole queue; costs a search in each lane, or two.

        Args:
            job: a job that waits.
            put_back: by how many seconds fair share puts a namespace back at this moment.
        """
        own = put_back.get(job.gang.payer, 0) if job.gang is not None else 0
        jobs = gpus = without = 0
        for lane in self._lanes.values():
            before = self._before(job, lane, own - put_back.get(lane.payer, 0))
            jobs += before
            gpus += before * lane.size
            without += self._before(job, lane, 0) if own else before
        size = job.gang.size if job.gang is not None else 0
        return Ahead(jobs + 1, gpus + size, put_back_seconds=own if jobs > without else 0)

    @staticmethod
    def _before(job: Job, lane: _Lane, later: int) -> int:
        """Return how many of a lane stand before a job that counts as queued so many seconds later than they."""
        precedence, namespace, name = job.order
        return bisect_left(lane.jobs, ((precedence + later, namespace, name), job.uid))

    def uids(self) -> tuple[str, ...]:
        """Return the UIDs of all waiting jobs."""
        return tuple(self._jobs)

    def review(self, limit: int, shares: FairShares = NO_SHARES) -> tuple[Job, ...]:
        """Return at most `limit` jobs to explain in this cycle: those that changed, then some others in turn.

        Changed jobs beyond the limit stay for the next cycle: see `has_changed`.

        Args:
            limit: the room for explanations.
            shares: what namespaces use and what would be fair.
        """
        put_back = shares.put_back()
        due = dict.fromkeys(self._take_changed(limit))
        for uid in self._next_in_turn(min(REVIEWED_PER_CYCLE, limit - len(due))):
            due[uid] = None
        return tuple(self._placed_in_queue(self._jobs[uid], put_back) for uid in due)

    def _placed_in_queue(self, job: Job, put_back: Mapping[str, int]) -> Job:
        return job if job.gang is None else replace(job, ahead=self.ahead(job, put_back))

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
