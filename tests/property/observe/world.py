"""A small Kubernetes: what the API server keeps, and what scheduler, kubelet, Job controller and users do with it.

It answers the requests that `act` makes, each of which waits until the test says how it ends. Everything that happens
is an event in `log`, which the test delivers as it likes. What must always hold is asserted where it would break.
"""

from __future__ import annotations

import copy
from collections import Counter, defaultdict
from collections.abc import Generator, Iterator, Mapping
from enum import Enum
from typing import Any

from ballast.act.kube import ApiRefused, ApiUnavailable
from ballast.api.labels import ATTEMPT_LABEL, COMPLETION_INDEX, JOB_UID_LABEL
from ballast.observe.cluster_state import ENDED_POD_PHASES, Kind
from ballast.observe.parsing import pod_request, resources
from tests.builders import JobBuilder, NodeBuilder, PodBuilder

JsonObject = dict[str, Any]


class Outcome(Enum):
    """How a request ends."""

    DONE = "done"
    REFUSED = "refused"
    """Nothing happened, and the server said so."""
    UNREACHED = "unreached"
    """Nothing happened, and nobody said so."""
    ANSWER_LOST = "answer lost"
    """It happened, and nobody said so."""


class _Answer:
    """Waits for the test to say how a request ends."""

    def __await__(self) -> Generator[None, Outcome, Outcome]:
        return (yield)


class World:
    """See the module's docstring."""

    def __init__(self, nodes: list[NodeBuilder], foreign: list[PodBuilder]) -> None:
        self.objects: dict[Kind, dict[str, JsonObject]] = {kind: {} for kind in Kind}
        self.log: list[tuple[Kind, str, JsonObject]] = []
        self.version = 0
        self.ungated: Counter[str] = Counter()
        self.jobs_created: Counter[str] = Counter()
        self._serial = 0
        for node in nodes:
            self._create(Kind.NODE, node.manifest())
        for pod in foreign:
            self._create(Kind.POD, pod.manifest())

    # -- the API server -------------------------------------------------------------------------------------------

    async def apply(self, path: str, body: Mapping[str, Any]) -> JsonObject:
        """Server-side apply a status, a Service or a Job."""
        outcome = await self._reached()
        if path.endswith("/status"):
            answer = self._apply_status(path, body)
        elif "/services/" in path:
            answer = dict(body)
        else:
            answer = self._apply_job(body)
        return self._answered(outcome, answer)

    async def json_patch(self, path: str, operations: list[JsonObject]) -> JsonObject:
        """Take a pod's gate off."""
        outcome = await self._reached()
        pod = self._named(Kind.POD, path.split("/")[-1])
        changed = copy.deepcopy(pod)
        for operation in operations:
            _patch(changed, operation)
        self._check_ungating(changed)
        self.ungated[changed["metadata"]["uid"]] += 1
        return self._answered(outcome, self._update(Kind.POD, changed))

    async def get(self, path: str) -> JsonObject:
        """Read a TrainingJob; succeeds whatever the test says."""
        await _Answer()
        return self._named(Kind.TRAINING_JOB, path.split("/")[-1])

    async def _reached(self) -> Outcome:
        outcome = await _Answer()
        if outcome is Outcome.REFUSED:
            raise ApiRefused(403, "Forbidden", "exceeded quota")
        if outcome is Outcome.UNREACHED:
            raise ApiUnavailable("no answer")
        return outcome

    def _answered(self, outcome: Outcome, answer: JsonObject) -> JsonObject:
        if outcome is Outcome.ANSWER_LOST:
            raise ApiUnavailable("no answer")
        return answer

    def _apply_status(self, path: str, body: Mapping[str, Any]) -> JsonObject:
        job = self._named(Kind.TRAINING_JOB, path.split("/")[-2])
        # The status subresource ignores a UID that differs.
        if body["metadata"]["resourceVersion"] != job["metadata"]["resourceVersion"]:
            raise ApiRefused(409, "Conflict", "the job was changed meanwhile")
        return self._update(Kind.TRAINING_JOB, {**job, "status": copy.deepcopy(body["status"])})

    def _apply_job(self, body: Mapping[str, Any]) -> JsonObject:
        for job in self.objects[Kind.JOB].values():
            if job["metadata"]["name"] == body["metadata"]["name"]:
                return job
        owner = body["metadata"]["ownerReferences"][0]["uid"]
        self.jobs_created[owner] += 1
        created = self._create(Kind.JOB, copy.deepcopy(dict(body)))
        if owner not in self.objects[Kind.TRAINING_JOB]:
            self._delete(Kind.JOB, created["metadata"]["uid"])
        return created

    def _named(self, kind: Kind, name: str) -> JsonObject:
        for obj in self.objects[kind].values():
            if obj["metadata"]["name"] == name:
                return obj
        raise ApiRefused(404, "NotFound", f"{kind} {name} not found")

    def _create(self, kind: Kind, obj: JsonObject) -> JsonObject:
        self._serial += 1
        obj["metadata"]["uid"] = f"{kind}-{self._serial}"
        return self._store(kind, "ADDED", obj)

    def _update(self, kind: Kind, obj: JsonObject) -> JsonObject:
        before = self.objects[kind][obj["metadata"]["uid"]]
        return before if before == obj else self._store(kind, "MODIFIED", obj)

    def _store(self, kind: Kind, type_: str, obj: JsonObject) -> JsonObject:
        self.version += 1
        # Nobody changes what is stored: it is replaced.
        obj = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self.version)}}
        self.objects[kind][obj["metadata"]["uid"]] = obj
        self.log.append((kind, type_, obj))
        return obj

    def _delete(self, kind: Kind, uid: str) -> None:
        obj = self.objects[kind].pop(uid)
        self.version += 1
        obj = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self.version)}}
        self.log.append((kind, "DELETED", obj))

    # -- users ----------------------------------------------------------------------------------------------------

    def user_creates(self, job: JobBuilder) -> None:
        """Apply a TrainingJob."""
        self._create(Kind.TRAINING_JOB, job.manifest())

    def user_deletes(self, uid: str) -> None:
        """Delete a TrainingJob; what hangs on it goes too, running pods in their own time."""
        self._delete(Kind.TRAINING_JOB, uid)
        for job in self._children(Kind.JOB, uid):
            self._delete(Kind.JOB, job["metadata"]["uid"])
        for pod in self._children(Kind.POD, uid):
            if "nodeName" in pod["spec"]:
                metadata = {**pod["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}
                self._store(Kind.POD, "MODIFIED", {**pod, "metadata": metadata})
            else:
                self._delete(Kind.POD, pod["metadata"]["uid"])

    def foreign_pod_ends(self, name: str) -> None:
        """Let a pod that is not Ballast's give back what it holds."""
        for uid, pod in list(self.objects[Kind.POD].items()):
            if pod["metadata"]["name"] == name:
                self._delete(Kind.POD, uid)

    # -- Job controller, scheduler, kubelet -----------------------------------------------------------------------

    def steps(self) -> list[tuple[str, str]]:
        """Return what the cluster's own parts could do next, as (verb, UID)."""
        possible: list[tuple[str, str]] = []
        for uid, job in self.objects[Kind.JOB].items():
            if len(self._pods_of(job)) < job["spec"]["completions"] or self._end_of(job) is not None:
                possible.append(("control", uid))
        for uid, pod in self.objects[Kind.POD].items():
            phase, bound = pod["status"]["phase"], "nodeName" in pod["spec"]
            if JOB_UID_LABEL not in pod["metadata"]["labels"]:
                continue
            if "deletionTimestamp" in pod["metadata"]:
                possible.append(("remove", uid))
            elif not bound and not pod["spec"].get("schedulingGates"):
                possible.append(("bind", uid))
            elif bound and phase == "Pending":
                possible.append(("start", uid))
            elif phase == "Running":
                possible.append(("end", uid))
        return possible

    def step(self, verb: str, uid: str, *, well: bool = True) -> None:
        """Do one of `steps`; `well` is whether an ending trainer exits with 0."""
        if verb == "control":
            self._control(self.objects[Kind.JOB][uid])
            return
        pod = copy.deepcopy(self.objects[Kind.POD][uid])
        match verb:
            case "remove":
                self._delete(Kind.POD, uid)
                return
            case "bind":
                self._bind(pod)
            case "start":
                pod["status"]["phase"] = "Running"
            case "end":
                pod["status"]["phase"] = "Succeeded" if well else "Failed"
        self._store(Kind.POD, "MODIFIED", pod)

    def _control(self, job: JsonObject) -> None:
        end = self._end_of(job)
        if end == "fail":
            for pod in self._pods_of(job):
                if "nodeName" not in pod["spec"]:
                    self._delete(Kind.POD, pod["metadata"]["uid"])
                elif pod["status"]["phase"] not in ENDED_POD_PHASES:
                    self._store(Kind.POD, "MODIFIED", {**pod, "status": {"phase": "Failed"}})
        if end is not None:
            type_ = "Failed" if end == "fail" else "Complete"
            self._store(Kind.JOB, "MODIFIED", {**job, "status": {"conditions": [{"type": type_, "status": "True"}]}})
            return
        present = {pod["metadata"]["labels"][COMPLETION_INDEX] for pod in self._pods_of(job)}
        index = next(str(i) for i in range(job["spec"]["completions"]) if str(i) not in present)
        template = copy.deepcopy(job["spec"]["template"])
        labels = {**template["metadata"]["labels"], COMPLETION_INDEX: index}
        metadata = {"name": f"{job['metadata']['name']}-{index}", "labels": labels}
        self._create(Kind.POD, {"metadata": metadata, "spec": template["spec"], "status": {"phase": "Pending"}})

    def _end_of(self, job: JsonObject) -> str | None:
        phases = [pod["status"]["phase"] for pod in self._pods_of(job)]
        if job.get("status"):
            return None
        if "Failed" in phases:
            return "fail"
        whole = len(phases) == job["spec"]["completions"]
        return "complete" if whole and set(phases) == {"Succeeded"} else None

    def _bind(self, pod: JsonObject) -> None:
        terms = pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        [term] = terms["nodeSelectorTerms"]
        [name] = term["matchFields"][-1]["values"]
        taken = self._bound(name)
        for resource, amount in pod_request(pod["spec"]).items():
            free = self._allocatable(name)[resource] - taken[resource]
            assert amount <= free, f"{pod['metadata']['name']} does not fit on {name}: {resource}"
        pod["spec"]["nodeName"] = name

    # -- what must hold -------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Assert that no node is promised beyond what it has, and that every job was started once at most."""
        for node in self.objects[Kind.NODE].values():
            name = node["metadata"]["name"]
            promised = self._bound(name)
            for job in self.objects[Kind.TRAINING_JOB].values():
                promised.update(self._reserved(job, name))
            for resource, amount in promised.items():
                assert amount <= self._allocatable(name)[resource], f"{name} is promised {amount} {resource}"
        assert all(count == 1 for count in self.ungated.values())
        assert all(count == 1 for count in self.jobs_created.values())

    def _check_ungating(self, pod: JsonObject) -> None:
        labels = pod["metadata"]["labels"]
        job = self.objects[Kind.TRAINING_JOB][labels[JOB_UID_LABEL]]
        gang = self._children(Kind.POD, job["metadata"]["uid"])
        assert len(gang) == job["spec"].get("replicas", 1), "a part of a gang is ungated"
        place = job["status"]["placement"][int(labels[COMPLETION_INDEX])]
        terms = pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        fields = terms["nodeSelectorTerms"][0]["matchFields"]
        assert fields == [{"key": "metadata.name", "operator": "In", "values": [place["node"]]}]

    def _reserved(self, job: JsonObject, node: str) -> Counter[str]:
        total: Counter[str] = Counter()
        status = job.get("status") or {}
        if status.get("phase") != "Placing":
            return total
        attempt = str(status["attempts"][-1]["number"])
        bound = {
            int(pod["metadata"]["labels"][COMPLETION_INDEX])
            for pod in self._children(Kind.POD, job["metadata"]["uid"])
            if "nodeName" in pod["spec"] and pod["metadata"]["labels"][ATTEMPT_LABEL] == attempt
        }
        for index, place in enumerate(status["placement"]):
            if place["node"] == node and index not in bound:
                total.update(pod_request(job["spec"]["template"]["spec"]))
        return total

    def _bound(self, node: str) -> Counter[str]:
        total: Counter[str] = Counter()
        for pod in self.objects[Kind.POD].values():
            if pod["spec"].get("nodeName") == node and pod["status"]["phase"] not in ENDED_POD_PHASES:
                total.update(pod_request(pod["spec"]))
        return total

    def _allocatable(self, name: str) -> Mapping[str, int]:
        return defaultdict(int, resources(self._named(Kind.NODE, name)["status"]["allocatable"]))

    def _children(self, kind: Kind, owner: str) -> list[JsonObject]:
        return list(self._labelled(kind, owner))

    def _labelled(self, kind: Kind, owner: str) -> Iterator[JsonObject]:
        for obj in self.objects[kind].values():
            if (obj["metadata"].get("labels") or {}).get(JOB_UID_LABEL) == owner:
                yield obj

    def _pods_of(self, job: JsonObject) -> list[JsonObject]:
        return self._children(Kind.POD, job["metadata"]["labels"][JOB_UID_LABEL])


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
