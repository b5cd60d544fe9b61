"""Which waiting jobs are admitted now.

Order: by precedence, which is the time of queueing less the head starts of priority class and deadline, and later by
what fair share puts its namespace back; each is bounded, so waiting long enough outweighs them all. A job that does not
fit does not block smaller ones behind it, until it has waited for `patience_seconds`: then the nodes that will take it
first are held for it, so that no feasible job starves. A job for which others are being stopped (`preemption`) comes
before all, and has its nodes held from the first moment. Waiting jobs stand in lanes of equal requests, and capacity
only shrinks within a cycle, so when the first job of a lane does not fit, none behind it can, nor any equal one of
another namespace: the work of a cycle grows with lanes and admissions, not with waiting jobs, and placement is tried no
more often for many namespaces than for one.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from ballast.api.conditions import ConditionType, Reason
from ballast.api.decision import DecisionKind
from ballast.api.jobstatus import Attempt, Phase, PodPlacement, nodes_in_short
from ballast.decide.actions import Note, Transition, WriteStatus
from ballast.decide.capacity import Capacity
from ballast.decide.gang_request import GangRequest
from ballast.decide.life.accounting import with_new_attempt
from ballast.decide.options_told import decision
from ballast.decide.outlook import Outlook
from ballast.decide.placement import Placement, nodes_to_hold, place
from ballast.decide.snapshot import Claim, Job, Refusal, Snapshot
from ballast.decide.telling import moment, status_of, with_condition
from ballast.decide.turns import Turns

PATIENCE_DRAINS: Final = 4.0
"""So many times as long as it takes to clear nodes a job waits before they are held for it: they idle meanwhile."""


@dataclass(frozen=True, slots=True)
class Admissions:
    """What came of a cycle's queue.

    Attributes:
        writes: the admissions, in the order of the queue.
        refused: for each lane that is left with jobs, why its first one has to wait. A lane that was not reached
            because of the limit has no refusal.
        held_for: UID of the job for which nodes are held, if there is one.
        capacity: what is left.
    """

    writes: tuple[WriteStatus, ...]
    refused: Mapping[GangRequest, Refusal]
    held_for: str | None
    capacity: Capacity = field(default_factory=lambda: Capacity(()), compare=False)

    @property
    def uids(self) -> frozenset[str]:
        """The jobs that were admitted."""
        return frozenset(write.job.metadata.uid for write in self.writes)

    @property
    def held(self) -> frozenset[str]:
        """The names of the nodes that are held for somebody."""
        return self.capacity.held

    @property
    def promised(self) -> frozenset[str]:
        """The names of the nodes that were given to gangs, or are held for one."""
        return self.held.union(place.node for write in self.writes for place in write.status.placement)


def admit(snapshot: Snapshot, limit: int) -> Admissions:
    """Admit every waiting job that fits, in the order of the queue, at most `limit` of them."""
    capacity, outlook = Capacity(snapshot.nodes), Outlook.of(snapshot)
    by_name = {node.name: node for node in snapshot.nodes}
    writes: list[WriteStatus] = []
    refused = {lane.gang: snapshot.refused[lane.gang] for lane in snapshot.lanes if lane.gang in snapshot.refused}
    alike = {_needs(gang, snapshot): refusal for gang, refusal in refused.items()}
    held_for: str | None = None
    for claim in snapshot.claims:
        writes += _admit_claimant(claim, capacity, outlook) if len(writes) < limit else ()
    claimants = {claim.job.uid for claim in snapshot.claims}
    turns = Turns(snapshot.lanes, snapshot.shares)
    while turns and len(writes) < limit:
        lane, job = turns.first
        if job.uid in claimants:
            turns.skip()
            continue
        gang = _as_of(lane.gang, job, snapshot.now)
        needs = _needs(gang, snapshot)
        outcome = refused.get(lane.gang) or alike.get(needs) or place(gang, capacity, outlook)
        if isinstance(outcome, Refusal):
            refused[lane.gang] = alike[needs] = outcome
            if outcome.waits_for is not None:
                outlook.wait_for(outcome.waits_for, lane.gang.gpus * turns.left)
            turns.pass_over()
            if held_for is None and outcome.reason is Reason.WAITING_FOR_CAPACITY:
                held_for = _hold(job, lane.gang, outcome, capacity, outlook)
            continue
        for name in outcome.nodes:
            capacity.reserve(by_name[name], lane.gang.resources)
        writes.append(_admission(job, outcome, snapshot.now))
        turns.admit()
    return Admissions(tuple(writes), refused, held_for, capacity)


def _as_of(gang: GangRequest, job: Job, now: float) -> GangRequest:
    """Return what a job's gang asks for by now: once a deadline has passed, it hurries nobody any more."""
    deadline = job.job.spec.energy.deadline
    if gang.has_deadline and deadline is not None and deadline.timestamp() <= now:
        return replace(gang, has_deadline=False)
    return gang


def _needs(gang: GangRequest, snapshot: Snapshot) -> Hashable:
    """Return all that a gang's placement depends on: those of which it is equal fit, or don't, alike."""
    is_known = gang.workload in snapshot.profiles or (gang.workload is not None and gang.workload[1] in snapshot.priors)
    return gang.needs, gang.workload if is_known else None


def _admit_claimant(claim: Claim, capacity: Capacity, outlook: Outlook) -> list[WriteStatus]:
    """Admit a job for which others are stopped, before everybody else; until it fits, the room is held for it."""
    job, preemption = claim.job, claim.job.job.status.preemption
    # Nothing is expected here: it takes what others gave up for it, and waits for nothing better.
    outcome = place(job.gang, capacity) if claim.is_settled and job.gang is not None else None
    if job.gang is not None and isinstance(outcome, Placement):
        by_name = {node.name: node for node in capacity.nodes}
        for name in outcome.nodes:
            capacity.reserve(by_name[name], job.gang.resources)
        return [_admission(job, outcome, outlook.now)]
    nodes = preemption.nodes if preemption is not None else ()
    capacity.hold(nodes, f"{_nodes(nodes)} held for a job of higher priority")
    return []


def _nodes(names: Sequence[str]) -> str:
    return f"{len(names)} node{'s' * (len(names) != 1)}"


def _hold(job: Job, gang: GangRequest, refusal: Refusal, capacity: Capacity, outlook: Outlook) -> str | None:
    """Hold nodes for a job that has waited too long; return its UID if that was done.

    Too long is the admin's patience, or some times as long as it will take to clear the nodes, which idle meanwhile: so
    the wait of whoever needs them is bounded by running jobs, and what they cost others by a share of that wait.
    """
    waited = outlook.now - job.queued_at
    if waited < outlook.policy.patience_seconds:
        return None
    hold = nodes_to_hold(gang, capacity, outlook, refusal.waits_for)
    if not hold.nodes or (math.isfinite(hold.clear_at) and waited < PATIENCE_DRAINS * (hold.clear_at - outlook.now)):
        return None
    # Not its name: it may be of another namespace.
    because = f"{_nodes(hold.nodes)} held for a job that has waited {waited / 60:.0f} min"
    capacity.hold(hold.nodes, because, hold.clear_at)
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
        preemption=None,
        gpus=job.job.gpus,
        nodes=nodes_in_short(placement.nodes),
        decision=decision(placement.weighed, DecisionKind.PLACED, now),
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
