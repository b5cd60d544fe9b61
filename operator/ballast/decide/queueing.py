"""Which waiting jobs are admitted now, and what the others are told.

Order: the oldest first. A job that does not fit does not block a smaller one behind it. Waiting jobs stand in
lanes of equal requests, and capacity only shrinks within a cycle, so when the first job of a lane does not fit,
none behind it can: the work of a cycle grows with lanes and admissions, not with waiting jobs.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable

from ballast.api.conditions import ConditionType, Reason, find_condition
from ballast.api.trainingjob import MAX_ATTEMPTS, Attempt, EnergyStatus, Phase, PodPlacement, nodes_in_short
from ballast.decide.actions import Note, Transition, WriteStatus
from ballast.decide.capacity import Capacity
from ballast.decide.placement import Placement, place
from ballast.decide.snapshot import GangRequest, Job, Refusal, Snapshot
from ballast.decide.telling import moment, with_condition


def admit(snapshot: Snapshot, limit: int) -> tuple[list[WriteStatus], dict[GangRequest, Refusal]]:
    """Admit every waiting job that fits, oldest first, at most `limit` of them.

    Returns:
        The admissions, and for each lane that is left with jobs why its first one has to wait. A lane that
        was not reached because of `limit` has no refusal.
    """
    capacity = Capacity(snapshot.nodes)
    by_name = {node.name: node for node in snapshot.nodes}
    admissions: list[WriteStatus] = []
    refusals = {lane.gang: snapshot.refused[lane.gang] for lane in snapshot.lanes if lane.gang in snapshot.refused}
    heads = [
        (lane.jobs[0].order, index, 0)
        for index, lane in enumerate(snapshot.lanes)
        if lane.jobs and lane.gang not in refusals
    ]
    heapq.heapify(heads)
    while heads and len(admissions) < limit:
        _, index, position = heapq.heappop(heads)
        lane = snapshot.lanes[index]
        decision = place(lane.gang, capacity)
        if isinstance(decision, Refusal):
            refusals[lane.gang] = decision
            continue
        for name in decision.nodes:
            capacity.reserve(by_name[name], lane.gang.resources)
        admissions.append(_admission(lane.jobs[position], decision, snapshot.now))
        position += 1
        if position < len(lane.jobs):
            heapq.heappush(heads, (lane.jobs[position].order, index, position))
    return admissions, refusals


def explain(
    jobs: Iterable[Job], refusals: dict[GangRequest, Refusal], admitted: frozenset[str], now: float
) -> list[WriteStatus]:
    """Tell waiting jobs why they wait, where that is not what their status says already.

    A status is written when the reason changes, not whenever a number in the message does: the numbers are
    those of the moment in which the reason came up.
    """
    writes: list[WriteStatus] = []
    for job in jobs:
        if job.uid in admitted:
            continue
        if job.gang is None:
            refusal = Refusal(Reason.INVALID_SPEC, job.problem or "the spec cannot be used")
        elif job.gang in refusals:
            refusal = refusals[job.gang]
        else:
            continue
        if not _is_told(job, refusal):
            writes.append(_waiting(job, refusal, now))
    return writes


def _is_told(job: Job, refusal: Refusal) -> bool:
    condition = find_condition(job.job.status.conditions, ConditionType.ADMITTED)
    return (
        job.job.status.phase is Phase.QUEUED
        and condition is not None
        and not condition.is_true
        and condition.reason == refusal.reason
        and condition.observed_generation == job.job.metadata.generation
    )


def _waiting(job: Job, refusal: Refusal, now: float) -> WriteStatus:
    status = job.job.status.model_copy(
        update={
            "phase": Phase.QUEUED,
            "reason": refusal.reason.value,
            "observed_generation": job.job.metadata.generation,
            "queued_at": moment(job.queued_at),
            "gpus": job.job.gpus,
            "conditions": with_condition(
                job, job.job.status.conditions, ConditionType.ADMITTED, False, refusal.reason, refusal.message, now
            ),
        }
    )
    warning = refusal.reason is not Reason.WAITING_FOR_CAPACITY
    note = Note(refusal.reason.value, refusal.message, warning=warning)
    return WriteStatus(job.job, Transition.QUEUE, status, note)


def _admission(job: Job, placement: Placement, now: float) -> WriteStatus:
    number = job.job.status.attempts[-1].number + 1 if job.job.status.attempts else 1
    model = placement.gpu_model
    status = job.job.status.model_copy(
        update={
            "phase": Phase.PLACING,
            "reason": Reason.RESERVED.value,
            "observed_generation": job.job.metadata.generation,
            "queued_at": moment(job.queued_at),
            "gpus": job.job.gpus,
            "nodes": nodes_in_short(placement.nodes),
            "placement": tuple(
                PodPlacement(
                    pod=f"{job.name}-{number}-{index}",
                    node=node,
                    gpu_model=model.name if model is not None else None,
                    gpus=job.job.spec.gpus_per_replica,
                )
                for index, node in enumerate(placement.nodes)
            ),
            "energy": EnergyStatus(predicted_watts=placement.predicted_watts),
            "attempts": (*job.job.status.attempts, Attempt(number=number, started_at=moment(now)))[-MAX_ATTEMPTS:],
            "conditions": with_condition(
                job, job.job.status.conditions, ConditionType.ADMITTED, True, Reason.RESERVED, placement.message, now
            ),
        }
    )
    return WriteStatus(job.job, Transition.ADMIT, status, Note("Admitted", placement.message))
