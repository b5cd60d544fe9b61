"""What a policy sees and what it may do: the seam between the engine and all arms of a comparison.

What must hold: a policy learns of a job's speed and power only what a cluster would tell it, by readings at the
operating points that the job really ran at. The curves that decide what happens are the engine's alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from ballast.simulate.job import TraceJob


@dataclass(frozen=True, slots=True)
class SimNode:
    """A node as the cluster file describes it; see `ballast.simulate.inputs.cluster`.

    Attributes:
        gpu_model: Short name: V100, A40…
        gpus: How many it has.
        min_limit_watts: Least power limit of one of its GPUs.
        max_limit_watts: Highest, which is also the default.
        idle_watts: Of one of its GPUs when nothing runs on it.
        base_watts: Of the node without its GPUs, while it is on.
    """

    name: str
    gpu_model: str
    gpus: int
    min_limit_watts: float
    max_limit_watts: float
    idle_watts: float
    base_watts: float


@dataclass(frozen=True, slots=True)
class Reading:
    """What a running job's exporter and its node's agent say of it at one operating point.

    Attributes:
        at: Seconds since the trace began.
        gpu_model: That it runs on.
        limit_watts: Of each of its GPUs.
        gpus: Of the job.
        work_per_second: Throughput of the whole job, in seconds of reference work for each second.
        watts_per_gpu: Mean of its GPUs.
        seconds: How long it was watched.
    """

    at: float
    gpu_model: str
    limit_watts: float
    gpus: int
    work_per_second: float
    watts_per_gpu: float
    seconds: float


@dataclass(frozen=True, slots=True)
class RunningJob:
    """A job that holds GPUs.

    Attributes:
        nodes: GPUs that it holds by node name.
        limit_watts: Of each of its GPUs.
        reading: The last at this operating point; None before there is one.
        done: Share of its work that is done, 0 to 1.
    """

    job: TraceJob
    started_at: float
    nodes: Mapping[str, int]
    gpu_model: str
    limit_watts: float
    reading: Reading | None
    done: float


@dataclass(frozen=True, slots=True)
class View:
    """The cluster at a moment at which something happened.

    Attributes:
        now: Seconds since the trace began.
        waiting: Jobs that hold nothing, by submission.
        running: Jobs that hold GPUs, by name.
        nodes: All nodes, by name.
        free: GPUs that nobody holds, by node name.
        off: Nodes that are switched off, where the experiment allows that: a job that starts there waits for the boot.
        grams_per_kwh: Of the electricity now; None without a series.
        price_per_kwh: Likewise.
        read: Running jobs of which there is a reading since the policy was asked last; None if all may have one.
    """

    now: float
    waiting: Sequence[TraceJob]
    running: Mapping[str, RunningJob]
    nodes: Mapping[str, SimNode]
    free: Mapping[str, int]
    off: frozenset[str] = frozenset()
    grams_per_kwh: float | None = None
    price_per_kwh: float | None = None
    read: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Start:
    """Give a waiting job its GPUs, all at once.

    Attributes:
        nodes: GPUs by node name; of one GPU model, together the job's.
        limit_watts: Of each of them; within the model's range.
    """

    job: str
    nodes: Mapping[str, int]
    limit_watts: float


@dataclass(frozen=True, slots=True)
class SetLimit:
    """Change the power limit of a running job's GPUs."""

    job: str
    limit_watts: float


@dataclass(frozen=True, slots=True)
class Stop:
    """Take a running job's GPUs away; it keeps what it has done, and waits again."""

    job: str


@dataclass(frozen=True, slots=True)
class WakeUp:
    """Ask again at this time, whatever happens until then; seconds since the trace began."""

    at: float


Step: TypeAlias = Start | SetLimit | Stop | WakeUp


class Policy(Protocol):
    """An arm of a comparison.

    Attributes:
        name: In tables and files: lower case, with hyphens.
        reference: Who describes it, and where.
        keeps_slowdown: Whether it sees to it that no job is slower than its ``max_slowdown_percent`` allows: those that
            do are compared apart from those that do not.
    """

    @property
    def name(self) -> str:
        """See `Policy`."""
        ...

    @property
    def reference(self) -> str:
        """See `Policy`."""
        ...

    @property
    def keeps_slowdown(self) -> bool:
        """See `Policy`."""
        ...

    def decide(self, view: View) -> Sequence[Step]:
        """What to do now; called whenever jobs arrive or end, readings come, or time is up that it asked for."""
        ...
