"""A small Kubernetes as Ballast's operators, its users and everybody else meet it.

It answers the requests that `act` makes, each of which waits until the test says how it ends. Everything that happens
is an event in `log`, which the test delivers as it likes. What must hold when something is written is asserted there.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Generator, Mapping
from enum import Enum
from typing import Any, TypeVar

from ballast.kube import ApiRefused, ApiUnavailable
from ballast.observe.cluster_state import Kind
from tests.builders import JobBuilder, NodeBuilder, PodBuilder
from tests.property.observe import guarantees, ledgers
from tests.property.observe.controllers import Controllers
from tests.property.observe.store import JsonObject, conditions_of, has_ended, is_leaving, owner_of

T = TypeVar("T")


WITH_AGENTS = ("a", "b")
"""Nodes that have an agent."""
NODE_POWER = {"apiVersion": "ballast.dev/v1alpha1", "kind": "NodePower", "spec": {}}


class Outcome(Enum):
    """How a request ends."""

    DONE = "done"
    REFUSED = "refused"
    """Nothing happened, and the server said so."""
    UNREACHED = "unreached"
    """Nothing happened, and nobody said so."""
    ANSWER_LOST = "answer lost"
    """It happened, and nobody said so."""


class Answer:
    """Waits for the test to say how a request ends; the test is told what was asked."""

    def __init__(self, asked: str) -> None:
        self._asked = asked

    def __await__(self) -> Generator[str, Outcome, Outcome]:
        return (yield self._asked)


class World(Controllers):
    """See the module's docstring."""

    def __init__(self, nodes: list[NodeBuilder], foreign: list[PodBuilder]) -> None:
        super().__init__()
        self.ungated: Counter[str] = Counter()
        self.allocatable = {builder.name: builder.manifest() for builder in nodes}
        self.is_late = False
        """Whether the request that is being answered comes from an operator that has been replaced."""
        for node in nodes:
            self.create(Kind.NODE, node.manifest())
        for pod in foreign:
            self.create(Kind.POD, pod.manifest())
        for name in WITH_AGENTS:
            if name in self.allocatable:
                status = {"agent": "1", "endedPods": []}
                self.create(Kind.NODE_POWER, {**NODE_POWER, "metadata": {"name": name}, "status": status})

    # -- what act asks --------------------------------------------------------------------------------------------

    async def apply(self, path: str, body: Mapping[str, Any], *, force: bool = True) -> JsonObject:
        """Server-side apply a status, a Service or a Job."""
        asked = "status" if path.endswith("/status") else "service" if "/services/" in path else "job"
        outcome = await self._reached(asked)
        if asked == "status":
            answer = self._apply_status(path, body)
        elif asked == "service":
            answer = dict(body)
        else:
            answer = self._apply_job(body)
        return self._answered(outcome, answer)

    async def json_patch(self, path: str, operations: list[JsonObject]) -> JsonObject:
        """Take a pod's gate off, or its finalizer."""
        releases = any(operation["path"].startswith("/metadata/finalizers/") for operation in operations)
        outcome = await self._reached("release" if releases else "ungate")
        pod = self.named(Kind.POD, path.split("/")[-1])
        changed = copy.deepcopy(pod)
        for operation in operations:
            _patch(changed, operation)
        if releases:
            return self._answered(outcome, self._release(pod, changed))
        uid = changed["metadata"]["uid"]
        self.ungated[uid] += 1
        if self.is_late:
            self.strays.add(uid)
        else:
            guarantees.check_ungating(self, changed)
        return self._answered(outcome, self.update(Kind.POD, changed))

    async def delete(self, path: str, uid: str, version: str | None, propagation: str) -> JsonObject | None:
        """Delete a Job with its pods, or a TrainingJob that has expired."""
        outcome = await self._reached("delete")
        kind = Kind.JOB if "/jobs/" in path else Kind.TRAINING_JOB
        found = self.find(kind, path.split("/")[-1])
        if found is None:
            return self._answered(outcome, None)
        if found["metadata"]["uid"] != uid or version not in {None, found["metadata"]["resourceVersion"]}:
            raise ApiRefused(409, "Conflict", "precondition failed")
        if kind is Kind.TRAINING_JOB:
            guarantees.check_expiry(self, found)
        if propagation == "Foreground":
            self.leaves(kind, found)
            return self._answered(outcome, self.objects[kind][uid])
        self.remove(kind, uid)
        return self._answered(outcome, {"kind": "Status"})

    async def list_events(self, namespace: str, involved_uid: str, reason: str) -> list[str]:
        """Return why pods of a Job were refused."""
        outcome = await self._reached("events")
        told = [self.events[involved_uid]] if involved_uid in self.events and reason == "FailedCreate" else []
        return self._answered(outcome, told)

    async def get(self, path: str) -> JsonObject:
        """Read an object; succeeds whatever the test says."""
        await Answer("get")
        kind = Kind.JOB if "/jobs/" in path else Kind.POD if "/pods/" in path else Kind.TRAINING_JOB
        return self.named(kind, path.split("/")[-1])

    def _release(self, pod: JsonObject, changed: JsonObject) -> JsonObject:
        ledgers.check_release(self, pod)
        answer = self.update(Kind.POD, changed)
        if not changed["metadata"]["finalizers"] and changed["metadata"].get("deletionGracePeriodSeconds") == 0:
            self.remove(Kind.POD, changed["metadata"]["uid"])
        return answer

    async def _reached(self, asked: str) -> Outcome:
        outcome = await Answer(asked)
        if outcome is Outcome.REFUSED:
            raise ApiRefused(403, "Forbidden", "exceeded quota")
        if outcome is Outcome.UNREACHED:
            raise ApiUnavailable("no answer")
        return outcome

    def _answered(self, outcome: Outcome, answer: T) -> T:
        if outcome is Outcome.ANSWER_LOST:
            raise ApiUnavailable("no answer")
        return answer

    def _apply_status(self, path: str, body: Mapping[str, Any]) -> JsonObject:
        job = self.named(Kind.TRAINING_JOB, path.split("/")[-2])
        # The status subresource ignores a UID that differs.
        if body["metadata"]["resourceVersion"] != job["metadata"]["resourceVersion"]:
            raise ApiRefused(409, "Conflict", "the job was changed meanwhile")
        written = {**job, "status": copy.deepcopy(body["status"])}
        guarantees.check_status(self, job, written)
        return self.update(Kind.TRAINING_JOB, written)

    def _apply_job(self, body: Mapping[str, Any]) -> JsonObject:
        found = self.find(Kind.JOB, body["metadata"]["name"])
        if found is not None and owner_of(found) == owner_of(body):
            return found
        if found is not None:
            raise ApiRefused(422, "Invalid", "spec.template: field is immutable")
        if not self.is_late:
            guarantees.check_new_attempt(self, body)
        return self.create(Kind.JOB, copy.deepcopy(dict(body)))

    # -- users ----------------------------------------------------------------------------------------------------

    def user_creates(self, job: JobBuilder) -> str:
        """Apply a TrainingJob; return its UID."""
        uid: str = self.create(Kind.TRAINING_JOB, job.manifest())["metadata"]["uid"]
        return uid

    def user_edits(self, uid: str, job: JobBuilder) -> bool:
        """Replace the spec of a TrainingJob; return whether the API server takes it."""
        before = self.objects[Kind.TRAINING_JOB][uid]
        spec, status = job.manifest()["spec"], before.get("status") or {}
        is_free = "Admitted" not in conditions_of(before) and status.get("phase") not in {"Succeeded", "Failed"}
        held = ("replicas", "template", "launcher")
        if not is_free and any(spec.get(field) != before["spec"].get(field) for field in held):
            return False
        generation = before["metadata"]["generation"] + (spec != before["spec"])
        self.update(
            Kind.TRAINING_JOB, {**before, "spec": spec, "metadata": {**before["metadata"], "generation": generation}}
        )
        return True

    def user_deletes(self, uid: str, *, foreground: bool = False) -> None:
        """Delete a TrainingJob; what hangs on it goes before it, or afterwards."""
        if foreground:
            self.leaves(Kind.TRAINING_JOB, self.objects[Kind.TRAINING_JOB][uid])
        else:
            self.remove(Kind.TRAINING_JOB, uid)

    # -- everybody else -------------------------------------------------------------------------------------------

    def ballast_pods(self) -> list[str]:
        """Return the UIDs of the pods of gangs."""
        return [uid for uid, pod in self.objects[Kind.POD].items() if owner_of(pod) is not None]

    def somebody_ends(self, how: str, uid: str) -> None:
        """Let a pod of a gang be ended by somebody who is not its trainer."""
        pod = self.objects[Kind.POD][uid]
        if has_ended(pod) or is_leaving(pod):
            return
        match how:
            case "delete":
                self.delete_pod(pod)
            case "force":
                self.remove(Kind.POD, uid)
            case "drain" | "preempt":
                self.disrupt(pod, "EvictionByEvictionAPI" if how == "drain" else "PreemptionByScheduler")
                self.delete_pod(self.objects[Kind.POD][uid])
            case "evict" if "nodeName" in pod["spec"]:
                self.fail_pod(pod, reason="Evicted", message="The node was low on resource: memory")
            case _:
                pass

    def somebody_deletes_a_job(self, uid: str, *, foreground: bool) -> None:
        """Delete the `batch/v1` Job of an attempt by hand."""
        if foreground:
            self.leaves(Kind.JOB, self.objects[Kind.JOB][uid])
        else:
            self.remove(Kind.JOB, uid)

    def foreign_pod_comes(self, pod: PodBuilder) -> None:
        """Let another scheduler bind a pod, wherever it likes."""
        uid = self.create(Kind.POD, pod.manifest())["metadata"]["uid"]
        self.strays.add(uid)

    def foreign_pod_ends(self, name: str) -> None:
        """Let a pod that is not Ballast's give back what it holds."""
        for uid, pod in list(self.objects[Kind.POD].items()):
            if pod["metadata"]["name"] == name:
                self.remove(Kind.POD, uid)

    def node_becomes(self, name: str, what: str) -> None:
        """Let a node be lost, cordoned, deleted, or healthy again."""
        node = self.find(Kind.NODE, name)
        healthy = self.allocatable[name]
        if what == "deleted" and node is not None:
            self.remove(Kind.NODE, node["metadata"]["uid"])
        elif what == "healthy" and node is None:
            self.create(Kind.NODE, copy.deepcopy(healthy))
        elif node is not None:
            spec = {**node["spec"], "unschedulable": True} if what == "cordoned" else node["spec"]
            lost = {**node["status"], "conditions": [{"type": "Ready", "status": "Unknown"}]}
            status = lost if what == "lost" else node["status"]
            if what == "healthy":
                spec, status = copy.deepcopy(healthy["spec"]), copy.deepcopy(healthy["status"])
            self.update(Kind.NODE, {**node, "spec": spec, "status": status})

    def check(self) -> None:
        """Assert what must hold at every moment."""
        guarantees.check_world(self)


def _patch(target: JsonObject, operation: JsonObject) -> None:
    """Apply one operation of a JSON patch (RFC 6902): test, add or remove."""
    *parents, last = operation["path"].strip("/").split("/")
    at: Any = target
    for name in parents:
        at = _child(at, name)
    match operation["op"]:
        case "test":
            if _child(at, last) != operation["value"]:
                raise ApiRefused(422, "Invalid", f"test of {operation['path']} failed")
        case "add":
            at[last] = operation["value"]
        case "remove":
            del at[int(last) if isinstance(at, list) else last]


def _child(parent: Any, name: str) -> Any:
    try:
        return parent[int(name)] if isinstance(parent, list) else parent[name]
    except (KeyError, IndexError) as error:
        raise ApiRefused(422, "Invalid", f"no {name}") from error
