"""Fair share between namespaces: whose jobs count as queued later, because it uses more GPUs than its weight says.

Pure. A namespace's fair share is its weight's part of all GPUs, among the namespaces that hold or want some. What must
hold: one namespace alone, or several of which none uses more than its share, wait in the plain order; and nobody is
put back by more than `MOST_TIMES_OVER` times the policy's `share_seconds`, so that no job starves.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from ballast.decide.policy import Policy

MOST_TIMES_OVER = 4.0
"""A namespace is put back no further for what it uses beyond five times its fair share."""


@dataclass(frozen=True, slots=True)
class FairShares:
    """What namespaces use and what would be fair, at one moment.

    Attributes:
        used: GPUs that the jobs of a namespace hold, those being placed and those being stopped included.
        fair: GPUs that it would have by its weight; empty where there is nothing to share.
        seconds: by how much a namespace is put back that uses twice its fair share.
    """

    used: Mapping[str, int]
    fair: Mapping[str, float]
    seconds: float

    def put_back_seconds(self, namespace: str, more: int = 0) -> int:
        """Return how much later the jobs of a namespace count as queued, in whole seconds, so that sums are exact.

        Args:
            namespace: The namespace; an empty one, for jobs without GPUs, is never put back.
            more: GPUs that it was given since `used` was counted.
        """
        fair = self.fair.get(namespace)
        if not fair:
            return 0
        over = (self.used.get(namespace, 0) + more) / fair - 1
        return round(self.seconds * min(max(over, 0.0), MOST_TIMES_OVER))

    def put_back(self) -> Mapping[str, int]:
        """Return by how many seconds each namespace is put back; only those that are."""
        return {name: seconds for name in self.fair if (seconds := self.put_back_seconds(name))}


NO_SHARES = FairShares({}, {}, 0.0)
"""Nobody is put back."""


def fair_shares(used: Mapping[str, int], waiting: Collection[str], gpus: int, policy: Policy) -> FairShares:
    """Return what is fair at this moment.

    Args:
        used: GPUs held, by namespace; only namespaces that hold some.
        waiting: The namespaces in which jobs wait for GPUs.
        gpus: Of all nodes, free or not.
        policy: The weights, and how much they count.
    """
    names = {*used, *waiting}
    if len(waiting) < 2 or gpus <= 0 or policy.share_seconds <= 0:
        return NO_SHARES
    total = sum(policy.weight(name) for name in names)
    fair = {name: gpus * policy.weight(name) / total for name in names}
    return FairShares(dict(used), fair, policy.share_seconds)
