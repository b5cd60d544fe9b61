"""Which running jobs give up their room for a waiting one of higher priority.

It takes two steps, so that a crash between them frees nothing for nobody: first the waiting job's status claims nodes
and names its victims; once that is written, they are stopped, and the nodes are held until it is placed (`queueing`).
What must hold: only the class's value counts, not how long a job has waited, and it must be strictly higher, so that no
job stops the one that stopped it; a job that keeps no checkpoint is never stopped; nobody is stopped whose room is not
needed; there is one such claim at a time; and a job whose last attempt did not come to run stops nobody, so that
nobody is stopped again and again for gangs that do not start.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from ballast.api.conditions import ConditionType, Reason
from ballast.api.jobstatus import (
    MAX_VICTIMS,
    Outcome,
    Phase,
    PreemptionStatus,
    Victim,
    nodes_in_short,
)
from ballast.api.quantities import ENERGY
from ballast.decide.actions import Note, Transition, WriteStatus
from ballast.decide.capacity import Capacity
from ballast.decide.gang_request import GangRequest
from ballast.decide.life import ends
from ballast.decide.life.trouble import Trouble
from ballast.decide.placement import Placement, place
from ballast.decide.queueing import Admissions
from ballast.decide.resources import Resources, add, subtract
from ballast.decide.snapshot import Claim, Job, Snapshot
from ballast.decide.telling import moment, status_of, with_condition

MOST_TRIED = 64
"""Waiting jobs for which a cycle looks for victims, in the order of the queue."""
TRIED_ONE_BY_ONE = 16
"""Up to so many victims each is tried to be spared wherever the gang could go; of more, where it is to go."""


@dataclass(frozen=True, slots=True)
class Preemptions:
    """What came of it.

    Attributes:
        writes: of waiting jobs that claim room or give a claim up, and of running ones that are stopped.
        told: by UID of a waiting job that outranks running ones, why nobody is stopped for it, in numbers.
    """

    writes: tuple[WriteStatus, ...] = ()
    told: Mapping[str, str] = field(default_factory=dict)


NOBODY = Preemptions()
"""Nobody is stopped."""


Room: TypeAlias = Mapping[str, Resources]
"""What a job's pods hold, by node."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Who is to be stopped for a gang, the cheapest first, and on which nodes it goes then."""

    victims: tuple[Job, ...]
    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stoppable:
    """Whom a job of some priority may have stopped, the first to be stopped first, and what that would free.

    Attributes:
        outranked: how many jobs of a lower priority run.
        victims: those of them that keep checkpoints.
        rooms: what each of these holds, by node.
        capacity: what is free while they run.
        emptied: what would be free without any of them.
    """

    outranked: int
    victims: tuple[Job, ...]
    rooms: Mapping[str, Room]
    capacity: Capacity
    emptied: Capacity


def preempt(snapshot: Snapshot, admissions: Admissions) -> Preemptions:
    """Go on with the claim that there is, or else make one for the first waiting job that needs and may have it."""
    if snapshot.claims:
        writes = (write for claim in snapshot.claims for write in _go_on(claim, snapshot, admissions))
        return Preemptions(tuple(writes))
    told: dict[str, str] = {}
    known: dict[tuple[int | None, bool], Stoppable] = {}
    for job in _contenders(snapshot, admissions):
        key = job.priority, admissions.held_for == job.uid
        if key not in known:
            known[key] = stoppable(job, snapshot.running, _capacity_for(job, admissions))
        plan = find(job, known[key])
        if isinstance(plan, Plan):
            return Preemptions((_claim(job, plan, snapshot),), told)
        told[job.uid] = plan
    return Preemptions(told=told)


def stoppable(job: Job, running: Iterable[Job], capacity: Capacity) -> Stoppable:
    """Return whom a job may have stopped: by the lowest priority, then by the fewest joules of lost work.

    Args:
        job: waits, or would.
        running: jobs that could be stopped at this moment.
        capacity: what is free, and whose held nodes are not for this job.
    """
    lower = [each for each in running if outranks(job, each)]
    victims = tuple(sorted((each for each in lower if each.keeps_checkpoints), key=_cost))
    rooms = {each.uid: _room(each) for each in victims}
    return Stoppable(len(lower), victims, rooms, capacity, _freed(capacity, rooms.values()))


def find(job: Job, among: Stoppable) -> Plan | str:
    """Return who is stopped for a waiting job, or why nobody is.

    As many as it takes until the gang fits; then those are spared whose room it does not need.
    """
    gang, victims = job.gang, among.victims
    if gang is None or not among.outranked:
        return "no job of a lower priority runs"
    if not isinstance(place(gang, among.emptied), Placement):
        return _too_little(among)
    few, enough = 0, len(victims)
    while few < enough:
        middle = (few + enough) // 2
        if isinstance(place(gang, _without(victims[:middle], among)), Placement):
            enough = middle
        else:
            few = middle + 1
    plan = _with_fewest(gang, victims[:enough], among)
    if plan is None or len(plan.victims) > MAX_VICTIMS:
        return f"more than {MAX_VICTIMS} jobs of lower priority would have to stop"
    return plan


def outranks(job: Job, other: Job) -> bool:
    """Return whether a job's priority class is strictly above another's; nobody tells of a class that is gone."""
    return job.priority is not None and other.priority is not None and job.priority > other.priority


def lost_joules(job: Job) -> float | None:
    """Return the most that is lost when a running job is stopped, in joules; None if nobody knows.

    That is all of the present attempt: no trainer tells when it saved last.
    """
    telemetry = job.telemetry
    if telemetry is None or telemetry.attempt != job.attempt or not telemetry.joules:
        return None
    return math.fsum(telemetry.joules.values())


def _cost(job: Job) -> tuple[int, float, float, str]:
    """Return the order of victims: where no joules are known, who began last loses the least."""
    lost = lost_joules(job)
    began = job.job.status.attempts[-1].started_at.timestamp()
    return job.priority or 0, math.inf if lost is None else lost, -began, job.uid


def _contenders(snapshot: Snapshot, admissions: Admissions) -> list[Job]:
    """Return the waiting jobs for which somebody may be stopped: of each lane one, in the order of the queue."""
    lowest = min((job.priority for job in snapshot.running if job.priority is not None), default=None)
    if lowest is None:
        return []
    admitted = admissions.uids
    found: list[Job] = []
    for lane in snapshot.lanes:
        refusal = admissions.refused.get(lane.gang)
        if refusal is None or refusal.reason is not Reason.WAITING_FOR_CAPACITY:
            continue
        members = (
            job
            for job in lane.jobs
            if job.priority is not None and job.priority > lowest and job.uid not in admitted and _starts(job)
        )
        first = min(members, key=lambda job: (-(job.priority or 0), job.order), default=None)
        if first is not None:
            found.append(first)
    return sorted(found, key=lambda job: job.order)[:MOST_TRIED]


def _starts(job: Job) -> bool:
    attempts = job.job.status.attempts
    return not attempts or attempts[-1].running_at is not None


# -- room -----------------------------------------------------------------------------------------------------------


def _capacity_for(job: Job, admissions: Admissions) -> Capacity:
    """Return what the queue left; nodes that are held for this very job are free for it."""
    left = admissions.capacity
    capacity = Capacity(replace(node, free=left.free(node)) for node in left.nodes)
    held = left.held if admissions.held_for != job.uid else frozenset()
    capacity.hold(held, left.held_because)
    return capacity


def _without(victims: Iterable[Job], among: Stoppable) -> Capacity:
    """Return what would be free if these were gone."""
    return _freed(among.capacity, (among.rooms[victim.uid] for victim in victims))


def _freed(capacity: Capacity, rooms: Iterable[Room]) -> Capacity:
    """Return what would be free if these rooms were."""
    freed: dict[str, dict[str, int]] = {}
    for room in rooms:
        for node, amounts in room.items():
            total = freed.setdefault(node, {})
            for resource, amount in amounts.items():
                total[resource] = total.get(resource, 0) + amount
    nodes = (
        replace(node, free=add(capacity.free(node), freed[node.name])) if node.name in freed else node
        for node in capacity.nodes
    )
    after = Capacity(nodes)
    after.hold(capacity.held, capacity.held_because)
    return after


def _room(job: Job) -> Room:
    """Return what a job's pods hold, by node."""
    if job.gang is None:
        return {}
    pods = Counter(pod.node for pod in job.own_pods if pod.node is not None and not pod.has_ended)
    return {node: {name: amount * count for name, amount in job.gang.per_pod} for node, count in pods.items()}


def _with_fewest(gang: GangRequest, victims: Sequence[Job], among: Stoppable) -> Plan | None:
    """Return a plan that spares everybody who is not needed, the dearest first."""
    plan = _on_chosen_nodes(gang, victims, among)
    if plan is None or len(plan.victims) > TRIED_ONE_BY_ONE:
        return plan
    for victim in reversed(plan.victims):
        if victim in plan.victims:
            fewer = _on_chosen_nodes(gang, [each for each in plan.victims if each is not victim], among)
            plan = fewer or plan
    return plan


def _on_chosen_nodes(gang: GangRequest, victims: Sequence[Job], among: Stoppable) -> Plan | None:
    """Return where the gang goes if these are gone, and who of them must be for that."""
    after = _without(victims, among)
    placement = place(gang, after)
    if not isinstance(placement, Placement):
        return None
    pods = Counter(placement.nodes)
    request = {resource: amount for resource, amount in gang.per_pod if amount}
    spare: dict[str, Resources] = {}
    for node in after.nodes:
        if node.name in pods:
            taken = {resource: amount * pods[node.name] for resource, amount in request.items()}
            spare[node.name] = subtract(after.free(node), taken)
    needed: list[Job] = []
    for victim in reversed(victims):
        room = {node: amounts for node, amounts in among.rooms[victim.uid].items() if node in pods}
        if any(
            spare[node].get(resource, 0) < amounts.get(resource, 0)
            for node, amounts in room.items()
            for resource in request
        ):
            needed.append(victim)
        else:
            spare |= {node: subtract(spare[node], amounts) for node, amounts in room.items()}
    return Plan(tuple(reversed(needed)), tuple(sorted(pods)))


# -- what is written ------------------------------------------------------------------------------------------------


def _claim(job: Job, plan: Plan, snapshot: Snapshot) -> WriteStatus:
    now, victims = snapshot.now, plan.victims
    grace = max((each.job.spec.checkpoint_grace_seconds for each in victims), default=0)
    message = (
        f"waits for {_jobs(victims)} of lower priority on {nodes_in_short(plan.nodes)} to save and end"
        f" within {grace} s; {_lost([lost_joules(each) for each in victims])}"
    )
    preemption = PreemptionStatus(
        until=moment(now + grace + snapshot.policy.placement_timeout_seconds),
        nodes=plan.nodes,
        victims=tuple(Victim(uid=each.uid, attempt=each.attempt) for each in victims),
    )
    return _waiting(job, Reason.PREEMPTING, message, preemption, now)


def _go_on(claim: Claim, snapshot: Snapshot, admissions: Admissions) -> list[WriteStatus]:
    """Stop the victims of a claim that stands, or give it up."""
    job, now = claim.job, snapshot.now
    preemption = job.job.status.preemption
    if preemption is None or not claim.is_settled or job.uid in admissions.uids:
        return []
    if preemption.until.timestamp() <= now:
        return [_give_up(job, f"the room of {_jobs(preemption.victims)} of lower priority did not come free", now)]
    running = [each for each in claim.victims if each.job.status.phase is Phase.RUNNING]
    if not running:
        return []
    free = {each.uid for each in snapshot.running if outranks(job, each) and each.keeps_checkpoints}
    left = admissions.capacity
    capacity = Capacity(replace(node, free=left.free(node)) for node in left.nodes)
    emptied = _freed(capacity, [_room(each) for each in claim.victims])
    if job.gang is None or not isinstance(place(job.gang, emptied), Placement):
        # Meanwhile something else happened to the nodes: nobody is stopped in vain.
        none_stopped = len(running) == len(preemption.victims)
        return [_give_up(job, "the room of jobs of lower priority would not do any more", now)] if none_stopped else []
    return [_stop(each, job, now) for each in running if each.uid in free]


def _stop(victim: Job, job: Job, now: float) -> WriteStatus:
    message = (
        f"a job of priority {job.priority} needs the room, its own priority is {victim.priority}; "
        f"{_lost([lost_joules(victim)])}"
    )
    return ends.stop(victim, now, Trouble(Outcome.PREEMPTED, Reason.PREEMPTED, message))


def _give_up(job: Job, message: str, now: float) -> WriteStatus:
    return _waiting(job, Reason.WAITING_FOR_CAPACITY, message, None, now)


def _waiting(job: Job, reason: Reason, message: str, preemption: PreemptionStatus | None, now: float) -> WriteStatus:
    conditions = job.job.status.conditions
    status = status_of(
        job,
        phase=Phase.QUEUED,
        reason=reason.value,
        queued_at=moment(job.queued_at),
        retry_at=None,
        gpus=job.job.gpus,
        preemption=preemption,
        conditions=with_condition(job, conditions, ConditionType.ADMITTED, False, reason, message, now),
    )
    return WriteStatus(job.job, Transition.PREEMPT, status, Note(reason.value, message))


def _jobs(jobs: Sequence[object]) -> str:
    return f"{len(jobs)} job{'s' * (len(jobs) != 1)}"


def _lost(joules: Sequence[float | None]) -> str:
    known = [each for each in joules if each is not None]
    if len(known) < len(joules):
        return "how much energy that costs is not known"
    return f"at most {ENERGY.human(math.fsum(known))} of work since the last checkpoint is lost"


def _too_little(among: Stoppable) -> str:
    gpus = sum(each.job.gpus for each in among.victims)
    without = among.outranked - len(among.victims)
    kept = f" ({without} keep no checkpoint)" if without else ""
    count = f"{among.outranked} run{kept}, {gpus} GPUs could be freed"
    return f"stopping jobs of lower priority would not make it fit: {count}"
