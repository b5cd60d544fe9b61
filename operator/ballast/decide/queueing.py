"""Which waiting jobs are admitted now.

Order: by precedence, which is the time of queueing less a head start by priority class; so waiting long enough
outweighs any priority. A job that does not fit does not block smaller ones behind it, until it has waited for
`patience_seconds`: then the nodes nearest to taking it are held for it, so that no feasible job starves. Waiting jobs
stand in lanes of equal requests, and capacity only shrinks within a cycle, so when the first job of a lane does not
fit, none behind it can: the work of a cycle grows with lanes and admissions, not with waiting jobs.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass

from ballast.api.conditions import ConditionType, Reason
from ballast.api.jobstatus import Attempt, Phase, PodPlacement, nodes_in_short
from ballast.decide.actions import Note, Transition, WriteStatus
from ballast.decide.capacity import Capacity
from ballast.decide.life.accounting import with_new_attempt
from ballast.decide.placement import Placement, nodes_to_hold, place
from ballast.decide.snapshot import GangRequest, Job, Refusal, Snapshot
from ballast.decide.telling import moment, status_of, with_condition


@dataclass(frozen=True, slots=True)
class Admissions:
    """What came of a cycle's queue.

    Attributes:
        writes: the admissions, in the order of the queue.
        refused: for each lane that is left with jobs, why its first one has to wait. A lane that was not reached
            because of the limit has no refusal.
        held_for: UID of the job for which nodes are held, if there is one.
    """

    writes: tuple[WriteStatus, ...]
    refused: Mapping[GangRequest, Refusal]
    held_for: str | None

    @property
    def uids(self) -> frozenset[str]:
        """The jobs that were admitted."""
        return frozenset(write.job.metadata.uid for write in self.writes)


def admit(snapshot: Snapshot, limit: int) -> Admissions:
    """Admit every waiting job that fits, in the order of the queue, at most `limit` of them."""
    capacity = Capacity(snapshot.nodes)
    by_name = {node.name: node for node in snapshot.nodes}
    writes: list[WriteStatus] = []
    refused = {lane.gang: snapshot.refused[lane.gang] for lane in snapshot.lanes if lane.gang in snapshot.refused}
    held_for: str | None = None
    heads = [(lane.jobs[0].order, index, 0) for index, lane in enumerate(snapshot.lanes) if lane.jobs]
    heapq.heapify(heads)
    while heads and len(writes) < limit:
        _, index, position = heapq.heappop(heads)
        lane = snapshot.lanes[index]
        job = lane.jobs[position]
        decision = refused.get(lane.gang) or place(lane.gang, capacity)
        if isinstance(decision, Refusal):
            refused[lane.gang] = decision
            if held_for is None and _has_waited_too_long(job, decision, snapshot):
                held_for = _hold(job, lane.gang, capacity, snapshot.now)
            continue
        for name in decision.nodes:
            capacity.reserve(by_name[name], lane.gang.resources)
        writes.append(_admission(job, decision, snapshot.now))
        position += 1
        if position < len(lane.jobs):
            heapq.heappush(heads, (lane.jobs[position].order, index, position))
    return Admissions(tuple(writes), refused, held_for)


def _has_waited_too_long(job: Job, refusal: Refusal, snapshot: Snapshot) -> bool:
    waited = snapshot.now - job.queued_at
    return refusal.reason is Reason.WAITING_FOR_CAPACITY and waited >= snapshot.policy.patience_seconds


def _hold(job: Job, gang: GangRequest, capacity: Capacity, now: float) -> str | None:
    nodes = nodes_to_hold(gang, capacity)
    if not nodes:
        return None
    count = f"{len(nodes)} node{'s' * (len(nodes) != 1)}"
    # Not its name: it may be of another namespace.
    capacity.hold(nodes, f"{count} held for a job that has waited {(now - job.queued_at) / 60:.0f} min")
    return job.uid


def _admission(job: Job, placement: Placement, now: float) -> WriteStatus:
    number = job.attempt + 1
    model = placement.gpu_model
    attempts, energy = with_new_attempt(job.job.status, Attempt(number=number, started_at=moment(now)))
    status = status_of(
        job,
        phase=Phase.PLACING,
        reason=Reason.RESERVED.value,
        queued_at=moment(job.queued_at),
        retry_at=None,
        queue=None,
        gpus=job.job.gpus,
        nodes=nodes_in_short(placement.nodes),
        placement=tuple(
            PodPlacement(
                pod=f"{job.name}-{number}-{index}",
                node=node,
                gpu_model=model.name if model is not None else None,
                gpus=job.job.spec.gpus_per_replica,
            )
            for index, node in enumerate(placement.nodes)
        ),
        energy=energy.model_copy(update={"predicted_watts": placement.predicted_watts, "watts": None}),
        attempts=attempts,
        conditions=with_condition(
            job, job.job.status.conditions, ConditionType.ADMITTED, True, Reason.RESERVED, placement.message, now
        ),
    )
    return WriteStatus(job.job, Transition.ADMIT, status, Note("Admitted", placement.message))
