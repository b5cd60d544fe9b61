"""What must hold of the small Kubernetes, whatever happens: asserted where it would break.

Ballast answers for what it promised. What others do to nodes and pods may overdraw a promise; then it is enough that
no further promise is made of it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ballast.api.labels import COMPLETION_INDEX
from ballast.api.trainingjob import TrainingJob
from ballast.decide.policy import Policy
from ballast.observe.cluster_state import Kind
from ballast.observe.parsing import pod_request, resources, training_pod
from tests.builders import NOW
from tests.property.observe import ledgers, preempted
from tests.property.observe.controllers import attempt_of
from tests.property.observe.store import JsonObject, has_ended, index_of, is_leaving, owner_of

if TYPE_CHECKING:
    from tests.property.observe.world import World

FINAL = frozenset({"Succeeded", "EarlyStopped", "Failed"})
HOLDING = frozenset({"Placing", "Running", "Suspending"})
FOLLOWS = {
    "Pending": {"Queued", "Placing", "Suspended"},
    "Queued": {"Queued", "Placing", "Suspended"},
    "Placing": {"Placing", "Running", "Suspending", "Suspended", "Queued", "Succeeded", "Failed"},
    "Running": {"Running", "Suspending", "Suspended", "Queued", "Succeeded", "Failed"},
    "Suspending": {"Suspending", "Suspended", "Queued", "Succeeded", "Failed"},
    "Suspended": {"Suspended", "Queued"},
    "Succeeded": {"Succeeded"},
    "Failed": {"Failed"},
}
"""Where the phase stays, something is told, or entered into the ledger."""


def check_world(world: World) -> None:
    """No node is promised beyond what it has, no pod is ungated twice, no two attempts of a job run at a time."""
    for node in world.objects[Kind.NODE].values():
        name, has = node["metadata"]["name"], resources(node["status"]["allocatable"])
        promised = world.bound_on(name, without_strays=True)
        for job in world.objects[Kind.TRAINING_JOB].values():
            promised.update(_reserved(world, job, name))
        for resource, amount in promised.items():
            assert amount <= has.get(resource, 0), f"{name} is promised {amount} {resource}"
    assert all(count == 1 for count in world.ungated.values())
    running: dict[str, set[str]] = defaultdict(set)
    for pod in world.objects[Kind.POD].values():
        owner = owner_of(pod)
        if owner in world.objects[Kind.TRAINING_JOB] and _may_run(world, pod):
            running[owner].add(attempt_of(pod))
    for owner, attempts in running.items():
        assert len(attempts) == 1, f"attempts {attempts} of {owner} at a time"


def _may_run(world: World, pod: JsonObject) -> bool:
    """Return whether a pod runs or may begin to, as far as anybody can know."""
    if has_ended(pod) or pod["spec"].get("schedulingGates") or pod["metadata"]["uid"] in world.strays:
        return False
    if "nodeName" not in pod["spec"]:
        return not is_leaving(pod)
    over = training_pod(pod).grace_over_at
    is_lost = over is not None and over + Policy().lost_pod_seconds <= NOW + world.now
    return not is_lost


def _reserved(world: World, job: JsonObject, node: str) -> Counter[str]:
    total: Counter[str] = Counter()
    status = job.get("status") or {}
    phase = status.get("phase")
    if phase not in {"Placing", "Suspending"}:
        return total
    uid, attempt = job["metadata"]["uid"], str(status["attempts"][-1]["number"])
    own = [pod for pod in world.children(Kind.POD, uid) if attempt_of(pod) == attempt]
    winds_up = any(o["uid"] in world.failed for pod in own for o in pod["metadata"]["ownerReferences"])
    bound = {index_of(pod) for pod in own if "nodeName" in pod["spec"]}
    if phase == "Placing" and not winds_up:
        over = {index for owner, number, index in world.over if (owner, number) == (uid, attempt)}
        indexes = set(range(len(status["placement"]))) - bound - over
    else:
        indexes = {
            index_of(pod)
            for pod in own
            if not pod["spec"].get("schedulingGates")
            and "nodeName" not in pod["spec"]
            and pod["metadata"]["uid"] not in world.strays
        }
    for index in indexes:
        if status["placement"][index]["node"] == node:
            total.update(pod_request(job["spec"]["template"]["spec"]))
    return total


def check_ungating(world: World, pod: JsonObject) -> None:
    """A pod is ungated only when its gang was whole, for the present attempt, and to its own reserved node."""
    job = world.objects[Kind.TRAINING_JOB].get(owner_of(pod) or "")
    if job is None:
        return  # Deleted meanwhile.
    status = job["status"]
    [owner] = pod["metadata"]["ownerReferences"]
    assert len(world.created[owner["uid"]]) == job["spec"].get("replicas", 1), "a part of a gang is ungated"
    assert status["phase"] in HOLDING
    assert attempt_of(pod) == str(status["attempts"][-1]["number"])
    place = status["placement"][int(pod["metadata"]["labels"][COMPLETION_INDEX])]
    terms = pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    fields = terms["nodeSelectorTerms"][0]["matchFields"]
    assert fields == [{"key": "metadata.name", "operator": "In", "values": [place["node"]]}]


def check_new_attempt(world: World, body: Mapping[str, Any]) -> None:
    """Nothing is created for an attempt while a pod of an earlier one may run."""
    job = world.objects[Kind.TRAINING_JOB].get(owner_of(body) or "")
    if job is None:
        return
    for pod in world.children(Kind.POD, job["metadata"]["uid"]):
        if int(attempt_of(pod)) < int(attempt_of(body)):
            assert not _may_run(world, pod), f"{pod['metadata']['name']} may still run"


def check_status(world: World, before: JsonObject, after: JsonObject) -> None:
    """A status is one that the API takes, follows from the one before, and forgets nothing that counts."""
    old, new = TrainingJob.parse(before).status, TrainingJob.parse(after).status
    assert new.phase.value in FOLLOWS[old.phase.value], f"{old.phase} -> {new.phase}"
    numbers = [attempt.number for attempt in new.attempts]
    assert numbers == sorted(set(numbers))
    was = old.attempts[-1].number if old.attempts else 0
    admitted = new.phase == "Placing" and old.phase != "Placing"
    assert (numbers[-1] if numbers else 0) == was + admitted
    assert (new.failures - old.failures) in {0, 1}
    assert new.active_seconds >= old.active_seconds
    ledgers.check_entries(world, before, old, new)
    preempted.check_stop(world, before, old, new)
    own = {attempt for uid, attempt in world.own_failures if uid == before["metadata"]["uid"]}
    assert new.failures <= len(own), f"{new.failures} failures are counted, {sorted(own)} were the trainer's own"
    holds = new.phase.value in HOLDING
    admitted_now = any(c.type == "Admitted" and c.is_true for c in new.conditions)
    assert holds == admitted_now
    assert bool(new.placement) >= holds
    if new.phase == "Failed":
        limit = before["spec"].get("retryLimit", 3)
        assert new.failures > limit or new.reason == "DeadlineExceeded", new.reason
    if new.phase == "Succeeded":
        jobs = world.children(Kind.JOB, before["metadata"]["uid"])
        assert new.attempts[-1].outcome == "Succeeded", jobs
    if not holds:
        for pod in world.children(Kind.POD, before["metadata"]["uid"]):
            assert not _may_run(world, pod), f"{new.phase} while a pod may run"


def check_expiry(world: World, job: JsonObject) -> None:
    """Only a job that ended is deleted, and not before its time."""
    parsed = TrainingJob.parse(job)
    ttl, ended = parsed.spec.ttl_seconds_after_finished, parsed.status.finished_at
    assert parsed.status.phase.is_final
    assert ttl is not None
    assert ended is not None
    assert ended.timestamp() + ttl <= NOW + world.now
    for pod in world.children(Kind.POD, job["metadata"]["uid"]):
        ledgers.check_release(world, pod)
