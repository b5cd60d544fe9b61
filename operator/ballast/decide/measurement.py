"""What a running job did while all of its GPUs stayed at one confirmed operating point: what profiles are made of.

Pure values. What must hold: a measurement is of one attempt, one gang and one operating point, from one report of its
trainer to a later one; what happened while a limit changed, or before the training went steadily, is in none.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto

from ballast.api.energyprofile import EnergyProfile
from ballast.decide.model.prediction import GpuRange


@dataclass(frozen=True, slots=True)
class Measurement:
    """One reading of a job.

    Attributes:
        attempt: Of the job.
        began_at: Seconds since the epoch; likewise ``ended_at``.
        limit_watts: Power limit of each GPU, as its agent read it back; the found one where nothing was asked.
        max_clock_hertz: Clock that no GPU exceeded; the GPU model's highest where none was locked.
        gpus: Of the gang.
        steps: Done by the whole gang meanwhile.
        gpu_joules: Used by its GPUs meanwhile.
    """

    attempt: int
    began_at: float
    ended_at: float
    limit_watts: float
    max_clock_hertz: int
    gpus: int
    steps: float
    gpu_joules: float

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.ended_at - self.began_at


class Whose(Enum):
    """Who writes a profile."""

    OPERATOR = auto()
    """The operator, in the namespace of the jobs that it is learned from."""
    ADMIN = auto()
    """An admin, in the operator's namespace; read only."""


@dataclass(frozen=True, slots=True)
class Learned:
    """What profiles say of a job's workload on the GPU model that it has.

    Attributes:
        profile_key: The job's own, or the hash that stands for it.
        gpu_model: As in the node's label.
        gpu: What its boards' agents tell of limits and idle power; None while they tell none, or not all the same, and
            of boards whose limit cannot be set or that are divided (MIG).
        max_clock_hertz: The highest clock of these boards, which they have where none is locked; None if not told.
        own: The profile of the job's namespace; None if there is none yet.
        shared: The admin's; None if there is none.
        of_key: Those of the key on all GPU models: the namespace's own, or else the admin's.
        writing: A write of ``own`` is under way.
        is_admins: The job's namespace is the operator's: what is learned there only an admin writes.
    """

    profile_key: str
    gpu_model: str
    gpu: GpuRange | None = None
    max_clock_hertz: int | None = None
    own: EnergyProfile | None = None
    shared: EnergyProfile | None = None
    of_key: tuple[EnergyProfile, ...] = ()
    writing: bool = field(default=False)
    is_admins: bool = field(default=False)
