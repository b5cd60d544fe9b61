"""What must be true of every job that is stopped for another one, and of the one that it is stopped for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING

from ballast.api.jobstatus import Outcome, Phase, TrainingJobStatus
from ballast.api.trainingjob import TrainingJob
from ballast.observe.checkpoints import keeps_checkpoints
from ballast.observe.cluster_state import Kind
from tests.property.observe.store import JsonObject

if TYPE_CHECKING:
    from tests.property.observe.world import World


def check_stop(world: World, before: JsonObject, old: TrainingJobStatus, new: TrainingJobStatus) -> None:
    """Only for one of higher priority, which has said so, and only where a checkpoint is kept."""
    if not new.attempts or new.attempts[-1].outcome is not Outcome.PREEMPTED:
        return
    if old.attempts[-1].outcome is Outcome.PREEMPTED:
        return
    victim = TrainingJob.parse(before)
    assert keeps_checkpoints(victim)
    claimants = [job for job in _versions(world) if _names(job, victim)]
    assert claimants, f"nobody has said that {victim.metadata.name} is to be stopped"
    assert all(value(world, job) > value(world, victim) for job in claimants)


def value(world: World, job: TrainingJob) -> int:
    """Return the value of a job's priority class, which may be gone."""
    name = job.spec.priority_class
    values = [obj["value"] for kind, _, obj in world.log if kind is Kind.PRIORITY_CLASS and _is_called(obj, name)]
    return values[-1] if values else 0


def _is_called(obj: JsonObject, name: str | None) -> bool:
    return bool(obj["metadata"]["name"] == name)


def _versions(world: World) -> list[TrainingJob]:
    return [TrainingJob.parse(obj) for kind, _, obj in world.log if kind is Kind.TRAINING_JOB]


def _names(job: TrainingJob, victim: TrainingJob) -> bool:
    preemption = job.status.preemption
    named = preemption.victims if preemption is not None else ()
    attempt = victim.status.attempts[-1].number
    return any((each.uid, each.attempt) == (victim.metadata.uid, attempt) for each in named)


def check_end(world: World) -> None:
    """Every claim was followed by its job's placement or end, or given up before anybody was stopped for it.

    And there are no more claims of a job than attempts of it that ran, and one: nobody is stopped again and again for a
    gang that does not start.
    """
    versions: dict[str, list[tuple[int, TrainingJob]]] = defaultdict(list)
    gone: dict[str, int] = {}
    for position, (kind, type_, obj) in enumerate(world.log):
        if kind is Kind.TRAINING_JOB:
            versions[obj["metadata"]["uid"]].append((position, TrainingJob.parse(obj)))
            if type_ == "DELETED":
                gone[obj["metadata"]["uid"]] = position
    for uid, history in versions.items():
        claims = [
            (position, job)
            for (_, before), (position, job) in pairwise(history)
            if before.status.preemption is None and job.status.preemption is not None
        ]
        for position, job in claims:
            after = next((each for at, each in history if at > position and each.status.preemption is None), None)
            assert after is not None or uid in gone, f"{job.metadata.name} waits for ever"
            if after is not None and after.status.phase is Phase.QUEUED:
                assert not _stopped_for(job, versions), f"{job.metadata.name} was not placed"
        ran = sum(attempt.running_at is not None for attempt in history[-1][1].status.attempts)
        assert len(claims) <= ran + 1, f"{history[-1][1].metadata.name} stops others {len(claims)} times"


def count(world: World) -> int:
    """Return how many attempts were stopped for other jobs."""
    stopped = {
        (job.metadata.uid, attempt.number)
        for job in _versions(world)
        for attempt in job.status.attempts
        if attempt.outcome is Outcome.PREEMPTED
    }
    return len(stopped)


def _stopped_for(job: TrainingJob, versions: Mapping[str, list[tuple[int, TrainingJob]]]) -> bool:
    preemption = job.status.preemption
    return any(
        attempt.number == victim.attempt and attempt.outcome is Outcome.PREEMPTED
        for victim in (preemption.victims if preemption is not None else ())
        for _, version in versions[victim.uid]
        for attempt in version.status.attempts
    )
