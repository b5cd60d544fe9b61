"""Pods that carry Ballast's finalizer: which are being let go, and which no job will ever account for.

A pod is an orphan if its TrainingJob does not exist, or is another namespace's, or if it does not say whose it is: with
nobody to account for it, nothing is gained by keeping it. One whose job is there but cannot be read is an orphan once
it is being deleted: no ledger can be written, and a namespace that is being deleted must not wait for that. What must
hold: while a finalizer is being taken off, and for a while after that failed, it is not tried again.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, islice

from ballast.decide.snapshot import Orphan
from ballast.observe.timers import Timers, retry_delay


class HeldPods:
    """See the module's docstring."""

    def __init__(self) -> None:
        self._orphans: dict[str, dict[str, Orphan]] = {}  # by owner: a job's UID, or the pod's own
        self._under_way: set[str] = set()
        self._failures: dict[str, int] = {}
        self._rests = Timers()
        self._resting: set[str] = set()

    def put_orphans(self, owner: str, orphans: Iterable[Orphan]) -> None:
        """Set the orphans of an owner, in place of those before."""
        found = {orphan.uid: orphan for orphan in orphans}
        if found:
            self._orphans[owner] = found
        else:
            self._orphans.pop(owner, None)

    def orphans(self, most: int) -> tuple[Orphan, ...]:
        """Return the orphans to let go now, at most so many."""
        free = (
            each for each in chain.from_iterable(map(dict.values, self._orphans.values())) if self.is_free(each.uid)
        )
        return tuple(islice(free, most))

    def is_free(self, pod: str) -> bool:
        """Return whether it may be tried now to let a pod go, by its UID."""
        return pod not in self._under_way and pod not in self._resting

    def begins(self, pod: str) -> None:
        """Take in that a pod's finalizer is being taken off."""
        self._under_way.add(pod)

    def is_done(self, pod: str) -> None:
        """Take in that it is off."""
        self._under_way.discard(pod)
        self._failures.pop(pod, None)

    def failed(self, pod: str, now: float) -> None:
        """Take in that it could not be taken off; that is tried again after a while, longer each time."""
        self._under_way.discard(pod)
        failures = self._failures.get(pod, 0)
        self._failures[pod] = failures + 1
        self._resting.add(pod)
        self._rests.set(pod, now + retry_delay(failures))

    def rested(self, now: float) -> list[str]:
        """Return the UIDs of the pods that have rested enough."""
        found = self._rests.pop_due(now)
        self._resting.difference_update(found)
        return found

    def next_due(self) -> float | None:
        """Return when a pod has rested enough, in seconds since the epoch; None if none rests."""
        return self._rests.next()

    def forget(self, pod: str) -> None:
        """Take in that a pod is gone."""
        self.put_orphans(pod, ())
        self._failures.pop(pod, None)
        self._resting.discard(pod)
        self._rests.set(pod, None)
