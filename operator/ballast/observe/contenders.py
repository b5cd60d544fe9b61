"""Who waits, who runs and who stops: what `decide` needs to preempt by priority, kept by the job.

What must hold: nothing is gathered while no waiting job's priority is above a running one's, so that a cluster
without priorities pays nothing; a claim holds also while a write about its job is under way.
"""

from __future__ import annotations

from collections import Counter

from ballast.api.jobstatus import Phase
from ballast.decide.snapshot import Claim, Job

HOLDING = frozenset({Phase.PLACING, Phase.RUNNING, Phase.SUSPENDING})


class Contenders:
    """Jobs by UID; see the module's docstring."""

    def __init__(self) -> None:
        self._holding: dict[str, Job] = {}
        self._running: dict[str, int] = {}
        self._waiting: dict[str, int] = {}
        self._priorities_running: Counter[int] = Counter()
        self._priorities_waiting: Counter[int] = Counter()
        self._claimants: dict[str, tuple[Job, bool]] = {}

    def put(self, job: Job, *, untouchable: bool) -> bool:
        """Set where a job stands, in place of where it stood before; return whether other nodes are held now.

        Args:
            job: as it is now.
            untouchable: whether a write about it is under way, or it rests.
        """
        held = self._held(job.uid)
        self._forget(job.uid)
        status = job.job.status
        leaving = job.job.metadata.deletion_timestamp is not None
        if status.phase in HOLDING:
            self._holding[job.uid] = job
            if status.phase is Phase.RUNNING and not untouchable and not leaving and job.priority is not None:
                self._running[job.uid] = job.priority
                self._priorities_running[job.priority] += 1
        elif status.phase.is_waiting and not leaving and not job.job.spec.suspend and job.priority is not None:
            self._waiting[job.uid] = job.priority
            self._priorities_waiting[job.priority] += 1
            if status.preemption is not None:
                self._claimants[job.uid] = job, not untouchable
        return self._held(job.uid) != held

    def drop(self, uid: str) -> bool:
        """Forget a job; return whether other nodes are held now."""
        held = self._held(uid)
        self._forget(uid)
        return bool(held)

    def running(self) -> tuple[Job, ...]:
        """Return the jobs that run and have no write under way, if the priority of one that waits is above theirs."""
        if not self._priorities_waiting or not self._priorities_running:
            return ()
        highest = max(self._priorities_waiting)
        if highest <= min(self._priorities_running):
            return ()
        return tuple(self._holding[uid] for uid, priority in self._running.items() if priority < highest)

    def claims(self) -> tuple[Claim, ...]:
        """Return the jobs for which others are stopped, the oldest claim first."""
        found = [Claim(job, settled, self._victims(job)) for job, settled in self._claimants.values()]
        return tuple(sorted(found, key=_age))

    def _victims(self, job: Job) -> tuple[Job, ...]:
        preemption = job.job.status.preemption
        named = preemption.victims if preemption is not None else ()
        found = ((self._holding.get(victim.uid), victim.attempt) for victim in named)
        return tuple(each for each, attempt in found if each is not None and each.attempt == attempt)

    def _held(self, uid: str) -> tuple[str, ...]:
        claimant, _ = self._claimants.get(uid, (None, False))
        preemption = claimant.job.status.preemption if claimant is not None else None
        return preemption.nodes if preemption is not None else ()

    def _forget(self, uid: str) -> None:
        self._holding.pop(uid, None)
        self._claimants.pop(uid, None)
        _count_out(self._priorities_running, self._running.pop(uid, None))
        _count_out(self._priorities_waiting, self._waiting.pop(uid, None))


def _age(claim: Claim) -> tuple[float, str]:
    preemption = claim.job.job.status.preemption
    return (preemption.until.timestamp() if preemption is not None else 0.0), claim.job.uid


def _count_out(counts: Counter[int], priority: int | None) -> None:
    if priority is None:
        return
    counts[priority] -= 1
    if not counts[priority]:
        del counts[priority]
