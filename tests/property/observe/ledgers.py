"""What must hold of the ledger in the small Kubernetes (G5): each pod enters once, before it goes, with what it used.

What a pod used is decided when its kubelet ends it: its exporter says it then, unless it is silent, and so may its
node's agent, later.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ballast.api.finalreading import FINALIZER, FinalReading, Joules
from ballast.api.jobstatus import TrainingJobStatus
from ballast.api.source import Component
from ballast.observe.cluster_state import Kind
from tests.property.observe.store import JsonObject, owner_of

if TYPE_CHECKING:
    from tests.property.observe.world import World


def joules_of(pod: Mapping[str, Any]) -> float:
    """Return what a pod uses: no two sets of pods use the same together."""
    serial = int(pod["metadata"]["uid"].rpartition("-")[2])
    return 1000 + serial * serial / 8


def reading_of(pod: Mapping[str, Any], at: float) -> FinalReading:
    """Return what a pod used, as the meter saw it at a moment after its end."""
    return FinalReading(at, {Component.GPU: Joules(joules_of(pod))}, is_last=True)


def is_held(pod: Mapping[str, Any]) -> bool:
    """Return whether a pod carries Ballast's finalizer."""
    return FINALIZER in (pod["metadata"].get("finalizers") or ())


def check_entries(world: World, before: JsonObject, old: TrainingJobStatus, new: TrainingJobStatus) -> None:
    """A status enters the pods that it names and did not name before, none that was entered ever, and forgets none."""
    names = {pod["metadata"]["uid"]: pod for pod in world.children(Kind.POD, before["metadata"]["uid"])}
    entered = set(new.settling) - set(old.settling)
    again = entered & world.entered.keys()
    assert not again, f"{again} are entered again"
    for uid in set(old.settling) - set(new.settling):
        assert uid not in names or not is_held(names[uid]), f"{uid} is forgotten while it is held"
    assert entered <= names.keys(), "who is entered is held, and so still there"
    world.entered |= {uid: names[uid] for uid in entered}
    attempts = {attempt.number: attempt.energy for attempt in old.attempts}
    pods = joules = without = 0.0
    for attempt in new.attempts:
        was, now = attempts.get(attempt.number), attempt.energy
        if now is not None:
            pods += now.pods - (was.pods if was is not None else 0)
            joules += now.joules - (was.joules if was is not None else 0)
            without += now.pods_without_last_reading - (was.pods_without_last_reading if was is not None else 0)
        else:
            assert was is None
    assert pods == len(entered)
    used = sum(joules_of(names[uid]) for uid in entered)
    assert 0 <= joules <= used
    assert without or joules == used, f"{joules} J are entered of {used} J"
    told = (new.energy.joules or 0) if new.energy is not None else 0
    assert told >= ((old.energy.joules or 0) if old.energy is not None else 0)
    assert told == sum(each.energy.joules for each in new.attempts if each.energy is not None)


def check_release(world: World, pod: Mapping[str, Any]) -> None:
    """A pod goes when it is entered, or used nothing, or nobody is there to account for it."""
    uid = pod["metadata"]["uid"]
    if uid in world.entered or owner_of(pod) not in world.objects[Kind.TRAINING_JOB]:
        return
    assert uid not in world.began, f"{uid} goes before it is entered"


def check_end(world: World) -> None:
    """Nobody is kept, nobody is left out."""
    for pod in world.objects[Kind.POD].values():
        assert not is_held(pod), f"{pod['metadata']['name']} is kept"
    for uid, job in world.objects[Kind.TRAINING_JOB].items():
        status = job.get("status") or {}
        assert not status.get("settling")
        energies = [attempt["energy"] for attempt in status.get("attempts", ()) if "energy" in attempt]
        entered = sum(owner_of(pod) == uid for pod in world.entered.values())
        assert sum(energy["pods"] for energy in energies) == entered
        began = {pod for pod, owner in world.began.items() if owner == uid}
        assert began <= world.entered.keys(), f"{began - world.entered.keys()} are left out"
