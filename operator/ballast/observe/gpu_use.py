"""How many GPUs the jobs of each namespace hold, for their fair share.

Incremental: a job that changes touches its own namespace only. What must hold: a job counts from its reservation until
it holds nothing any more, once, in the namespace where it is; a namespace that holds nothing is not listed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from ballast.api.jobstatus import Phase
from ballast.decide.snapshot import Job

HOLDING = frozenset({Phase.PLACING, Phase.RUNNING, Phase.SUSPENDING})


class GpuUse:
    """GPUs held, by namespace."""

    def __init__(self) -> None:
        self._of_jobs: dict[str, tuple[str, int]] = {}
        self._by_namespace: Counter[str] = Counter()

    @property
    def by_namespace(self) -> Mapping[str, int]:
        """GPUs that jobs hold, those that are being placed or stopped included."""
        return self._by_namespace

    def put(self, job: Job) -> None:
        """Count a job as it is now, in place of what was counted before."""
        gpus = 0
        if job.job.status.phase in HOLDING:
            gpus = job.gang.gpus if job.gang is not None else job.job.gpus
        before = self._of_jobs.get(job.uid)
        if before == (job.namespace, gpus) or (before is None and not gpus):
            return
        self.forget(job.uid)
        if gpus:
            self._of_jobs[job.uid] = job.namespace, gpus
            self._by_namespace[job.namespace] += gpus

    def forget(self, uid: str) -> None:
        """Count a job no more, if it was counted."""
        namespace, gpus = self._of_jobs.pop(uid, ("", 0))
        self._by_namespace[namespace] -= gpus
        if not self._by_namespace[namespace]:
            del self._by_namespace[namespace]
