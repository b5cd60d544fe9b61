"""What a decision weighed: each way in which a job could go on, its joules, its seconds, and what speaks against it.

The same values choose and explain (G8): whoever decides makes a list of them and takes the first that nothing speaks
against, so that what is told afterwards cannot differ from what was decided.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Option:
    """One way in which a job could go on.

    Attributes:
        gpu_model: Short name; empty for a gang that trains on CPUs.
        nodes: How many nodes the gang would be on.
        power_limit_watts: Of each GPU, which the joules are of; None where nothing is set.
        joules: Predicted for what is left of the job, with what its nodes draw for it alone; None where nothing is
            known.
        seconds: From now until the job would be done, waiting included; None where nothing is known.
        wait_seconds: Of them, until the gang could start; 0 where it fits now.
        against: Why it was not taken, in a few words with numbers; empty for the one that was.
    """

    gpu_model: str
    nodes: int
    power_limit_watts: float | None
    joules: float | None
    seconds: float | None
    wait_seconds: float
    against: str = ""


@dataclass(frozen=True, slots=True)
class Weighed:
    """All options of one decision.

    Attributes:
        options: The one that was taken first, if there is one; the others by predicted joules.
        work_seconds: How much work the joules are of: seconds on the fastest GPU model at its default limit.
        work_is_assumed: Whether nobody said, or has measured, how long the job takes, so that `work_seconds` is a
            guess.
    """

    options: tuple[Option, ...]
    work_seconds: float
    work_is_assumed: bool
