"""A job of a trace, and what became of it: the words that readers, policies, engine and reports share.

What must hold: a job's work is the same in every arm. It is stated as seconds on a reference GPU model at that model's
maximum power limit; how long it takes elsewhere follows from curves, never from the policy that runs it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TraceJob:
    """A job as it was submitted.

    Attributes:
        name: Unique in its trace.
        kind: Which curves it follows: a job type, for example ``resnet50-256``.
        submitted_at: Seconds since the trace began.
        gpus: Of all its pods together; more than a node has means whole nodes of one GPU model.
        reference_seconds: How long it runs on the curves' reference GPU model at the maximum power limit.
        max_slowdown_percent: Against the fastest GPU model that it may use, at that model's maximum limit.
        deadline: By when it should be done, seconds since the trace began; None without one.
        group: Whose it is: virtual cluster, namespace or user.
    """

    name: str
    kind: str
    submitted_at: float
    gpus: int
    reference_seconds: float
    max_slowdown_percent: float = 10.0
    deadline: float | None = None
    group: str = ""
