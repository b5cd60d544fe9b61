"""Which jobs the next cycles look at, when and in which order: those that changed, that wait for a place, that are due.

What must hold: a job about which a write is under way, or that rests after one failed, is looked at by no cycle; one
that is being deleted never gets a place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ballast.api.jobstatus import Phase
from ballast.decide.fair_share import FairShares, fair_shares
from ballast.decide.life.accounting import is_accounted
from ballast.decide.life.lifecycle import wants_place
from ballast.decide.policy import Policy
from ballast.decide.snapshot import Job
from ballast.observe.gpu_use import GpuUse
from ballast.observe.timers import Timers
from ballast.observe.waiting import WaitingJobs


class Agenda:
    """Jobs by UID; see the module's docstring.

    Attributes:
        waiting: those that a cycle may give a place.
        timers: when which job is due.
    """

    def __init__(self) -> None:
        self.waiting = WaitingJobs()
        self.timers = Timers()
        self._gpu_use = GpuUse()
        self._changed: dict[str, None] = {}  # in the order in which they changed
        self._phases: dict[str, Phase] = {}

    def put(self, job: Job, now: float, due: float | None, *, untouchable: bool) -> None:
        """Set what is to be done about a job, in place of what was before.

        Args:
            job: as it is now.
            now: seconds since the epoch.
            due: when time alone makes it worth another look; None for never.
            untouchable: whether a write is under way, or it rests.
        """
        self._phases[job.uid] = job.job.status.phase
        self._gpu_use.put(job)
        deleting = job.job.metadata.deletion_timestamp is not None
        waits = not untouchable and not deleting and wants_place(job, now)
        if waits:
            self.waiting.put(job)
        else:
            self.waiting.remove(job.uid)
        if not untouchable and (is_accounted(job) or (not deleting and (not waits or job.workloads))):
            self._changed[job.uid] = None
        else:
            self._changed.pop(job.uid, None)
        self.timers.set(job.uid, due)

    def drop(self, uid: str) -> None:
        """Forget a job."""
        self.waiting.remove(uid)
        self._changed.pop(uid, None)
        self.timers.set(uid, None)
        self._phases.pop(uid, None)
        self._gpu_use.forget(uid)

    def take_changed(self) -> tuple[str, ...]:
        """Return the jobs that changed, in that order; they count as seen."""
        taken = tuple(self._changed)
        self._changed = {}
        return taken

    def shares(self, gpus: int, policy: Policy) -> FairShares:
        """Return what namespaces use now and what would be fair, of so many GPUs in the cluster."""
        return fair_shares(self._gpu_use.by_namespace, self.waiting.payers(), gpus, policy)

    def running(self) -> Iterator[str]:
        """Yield the jobs that run."""
        return (uid for uid, phase in self._phases.items() if phase is Phase.RUNNING)

    def queued(self) -> tuple[str, ...]:
        """Return the jobs whose phase is one in which they wait."""
        return tuple(uid for uid, phase in self._phases.items() if phase.is_waiting)

    def by_phase(self) -> Mapping[Phase, int]:
        """Return how many jobs there are in each phase."""
        counts: dict[Phase, int] = dict.fromkeys(Phase, 0)
        for phase in self._phases.values():
            counts[phase] += 1
        return counts
