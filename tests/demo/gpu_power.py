"""What a power limit did to the GPUs of real nodes: watts and joules of each training, and the limits before and after.

Pure values. Invariant: joules are the boards' own counters, as the operator's ledger has them; None stands for what was
not measured, never 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.demo.node_powers import Gpu


@dataclass(frozen=True, kw_only=True)
class GpuUse:
    """One GPU while one pod held it.

    Attributes:
        asked_watts: The power limit that the job asks for; None if it leaves the GPU as it was found.
        joules: What the job's ledger says that its GPU used; of a job with several GPUs nobody knows each one's.
        seconds: How long the trainer ran.
        samples: Examples that the trainer learned from meanwhile.
    """

    job: str
    gpu: Gpu
    asked_watts: float | None = None
    joules: float | None = None
    seconds: float | None = None
    samples: int = 0

    @property
    def watts(self) -> float | None:
        """Mean power while the trainer ran."""
        return self.joules / self.seconds if self.joules is not None and self.seconds else None

    @property
    def joules_per_sample(self) -> float | None:
        """What one example costs at this operating point."""
        return self.joules / self.samples if self.joules is not None and self.samples else None


@dataclass(frozen=True, kw_only=True)
class GpuPower:
    """All that there is to tell and to judge.

    Attributes:
        uses: Of the jobs in the order in which they were asked for.
        before: Power limits of all GPUs before the jobs, in watts, by UUID.
        after: The same after them.
        source: Who told these limits, as in "read from the boards".
        simulated: Whether the boards are simulated ones.
        note: For people: what the watts are worth.
    """

    uses: Sequence[GpuUse]
    before: Mapping[str, float]
    after: Mapping[str, float]
    source: str
    simulated: bool
    note: str

    @property
    def pair(self) -> tuple[GpuUse, GpuUse] | None:
        """A training as found and one under a limit, both measured, on one GPU model; None if there is no such pair."""
        measured = [use for use in self.uses if use.watts is not None]
        for limited in measured:
            for free in measured:
                if limited.asked_watts is not None and free.asked_watts is None and free.gpu.model == limited.gpu.model:
                    return free, limited
        return None

    @property
    def limit_binds(self) -> bool:
        """Whether the training without a limit drew more than the other may: else there is little to hold back.

        Where trainers get too little CPU time, as on a busy machine, they leave simulated GPUs idle half of the time.
        """
        if self.pair is None:
            return False
        free, limited = self.pair
        return free.watts is not None and limited.asked_watts is not None and free.watts > limited.asked_watts

    @property
    def not_restored(self) -> list[str]:
        """UUIDs of the GPUs that do not have the limit which they had before."""
        return [uuid for uuid, watts in self.before.items() if self.after.get(uuid) != watts]
