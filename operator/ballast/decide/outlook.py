"""What is expected of the cluster while one cycle places gangs: what workloads would do, and when GPUs become free.

It goes beside `ballast.decide.capacity`, which says what is free now. Gangs that were told to wait in this cycle stand
before those that come after them, so that the same GPU is not expected by two. What must hold: what was learned about a
workload is looked up once a cycle for all gangs that are alike; a wait is as long as running jobs say, whatever is
hoped; and what nobody knows when it ends is not taken to end soon.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from ballast.api.energyprofile import EnergyProfile
from ballast.decide.gang_request import GangRequest
from ballast.decide.gpu_models import GpuModel
from ballast.decide.model.prediction import GpuRange
from ballast.decide.model.prior import PRIOR, Prior
from ballast.decide.node import Release
from ballast.decide.policy import Policy
from ballast.decide.prospects import Prospect, prospects
from ballast.decide.snapshot import Snapshot

OVERDUE_SECONDS: Final = 60.0
"""So much longer a job is taken to run whose own estimate is over."""


@dataclass(slots=True)
class Outlook:
    """See the module's docstring.

    Attributes:
        now: Seconds since the epoch.
        policy: The admin's.
        profiles: As in the snapshot; likewise `releases` and `priors`.

    Nodes are told of with the GPUs that are free on them now, as `ballast.decide.capacity` knows.
    """

    now: float = 0.0
    policy: Policy = field(default_factory=Policy)
    profiles: Mapping[tuple[str, str], tuple[EnergyProfile, ...]] = field(default_factory=dict)
    releases: Mapping[str, Sequence[Release]] = field(default_factory=dict)
    priors: Mapping[str, Prior] = field(default_factory=dict)
    _prospects: dict[Hashable, tuple[Prospect, ...]] = field(default_factory=dict)
    _times: dict[Hashable, tuple[float, ...]] = field(default_factory=dict)
    _waiting: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, snapshot: Snapshot) -> Outlook:
        """Return what is expected in a snapshot, before anybody was told to wait."""
        return cls(snapshot.now, snapshot.policy, snapshot.profiles, snapshot.releases, snapshot.priors)

    def prospects(self, gang: GangRequest, boards: Mapping[GpuModel, GpuRange | None]) -> tuple[Prospect, ...]:
        """Return what a gang would do on each of some GPU models, in their order.

        Args:
            gang: The gang.
            boards: The GPU models, and what is known of their boards.
        """
        learned = self.profiles.get(gang.workload, ()) if gang.workload is not None else ()
        prior = self.priors.get(gang.workload[1]) if gang.workload is not None else None
        # What nobody has measured is alike for all.
        whose = gang.workload if learned or prior is not None else None
        wish = gang.max_slowdown_percent, gang.power_limit_watts, gang.is_tuned
        key = whose, gang.gpus, wish, tuple(boards.items())
        found = self._prospects.get(key)
        if found is None:
            found = self._prospects[key] = prospects(
                boards,
                gang.gpus,
                gang.max_slowdown_percent,
                learned,
                prior or PRIOR,
                gang.power_limit_watts,
                is_tuned=gang.is_tuned,
            )
        return found

    def fits_at(self, gang: GangRequest, model: GpuModel, free: Mapping[str, int]) -> float:
        """Return when the gang will fit on nodes of a GPU model, behind those who wait for that model already.

        Args:
            gang: The gang.
            model: The GPU model.
            free: GPUs that are free now, by name of all nodes of that model that it may use.

        Returns:
            Seconds since the epoch; infinite if nobody knows.
        """
        room = self._grows(gang.gpus_per_pod, model, free)
        behind = self._grows(1, model, free)
        if gang.replicas > len(room):
            return math.inf
        # It needs room of its own, on few nodes, and all who come first need theirs, wherever.
        needed = self._waiting[model.name] + gang.gpus
        if needed > len(behind):
            return math.inf
        return max(room[gang.replicas - 1], behind[needed - 1], self.now + OVERDUE_SECONDS)

    def clear_at(self, node: str, gpus: int, free: int) -> float:
        """Return when so many GPUs of a node are free at once; seconds since the epoch, infinite if nobody knows."""
        if free >= gpus:
            return self.now
        for release in self.releases.get(node, ()):
            free += release.gpus
            if free >= gpus:
                return max(release.at, self.now)
        return math.inf

    def busy_until(self, node: str) -> float:
        """Return when the last job is done of which anybody knows that it is on a node; seconds since the epoch."""
        releases = self.releases.get(node, ())
        return max(releases[-1].at, self.now) if releases else self.now

    def _grows(self, per_pod: int, model: GpuModel, free: Mapping[str, int]) -> tuple[float, ...]:
        """Return when one more pod of so many GPUs fits, and one more, and so on, on nodes with so much free."""
        key = per_pod, model.name, tuple(free.items())
        times = self._times.get(key)
        if times is None:
            found: list[float] = []
            for node, count in free.items():
                found += [self.now] * (count // per_pod)
                for release in self.releases.get(node, ()):
                    more = (count + release.gpus) // per_pod - count // per_pod
                    found += [release.at] * more
                    count += release.gpus
            times = self._times[key] = tuple(sorted(found))
        return times

    def wait_for(self, model: GpuModel, gpus: int) -> None:
        """Let gangs that wait for so many GPUs of a model stand before those that come after them in this cycle."""
        self._waiting[model.name] += gpus
