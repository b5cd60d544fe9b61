"""What pods say at their end, and what the ledger then writes."""

from __future__ import annotations

from ballast.api.finalreading import FinalReading, Joules
from ballast.api.jobstatus import AttemptEnergy, TrainingJobStatus
from ballast.api.source import Component, Source
from ballast.decide.actions import ReleasePod, Transition, WriteStatus
from ballast.decide.policy import Policy
from tests.builders import NOW, ROOMY, JobBuilder, NodeBuilder
from tests.unit.decide.stepping import steps

POLICY = Policy()
SETTLE, LOST = POLICY.settle_seconds, POLICY.lost_reading_seconds


def used(gpu: float, idle: float = 0.0, *, at: float = 0.0, source: Source = Source.COUNTER) -> FinalReading:
    """Return a reading of so many joules of a GPU, the meter having looked so many seconds after `NOW`."""
    return FinalReading(NOW + at, {Component.GPU: Joules(gpu - idle, idle, source)}, is_last=True)


def words(gpu: float, idle: float = 0.0, *, at: float = 0.0, source: Source = Source.COUNTER) -> str:
    """Return the same as the exporter's last words."""
    return used(gpu, idle, at=at, source=source).encode()


def settled(
    of: JobBuilder, after: float = 0.0, nodes: tuple[NodeBuilder, ...] = ROOMY, policy: Policy | None = None
) -> TrainingJobStatus | None:
    """Return the status that the ledger writes so many seconds after `NOW`, or None if it writes none."""
    writes = [action for action in steps(of, after, nodes, policy) if isinstance(action, WriteStatus)]
    assert all(write.transition is Transition.SETTLE for write in writes), writes
    return writes[0].status if writes else None


def ledger(status: TrainingJobStatus | None, attempt: int = 1) -> AttemptEnergy:
    """Return the ledger of an attempt."""
    assert status is not None, "nothing is entered"
    [energy] = [each.energy for each in status.attempts if each.number == attempt]
    assert energy is not None
    return energy


def released(of: JobBuilder, after: float = 0.0, nodes: tuple[NodeBuilder, ...] = ROOMY) -> list[str]:
    """Return the names of the pods that are let go."""
    return [action.pod_name for action in steps(of, after, nodes) if isinstance(action, ReleasePod)]
