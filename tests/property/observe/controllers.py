"""What Kubernetes' own parts do on their own account: Job controller, scheduler, kubelets, garbage collector.

Each possible step is offered to the test, which chooses the order. They are as careless about each other as the real
ones: a controller acts on what it sees, whatever Ballast is about to do.
"""

from __future__ import annotations

import copy
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

from ballast.api.exporter import CONTAINER
from ballast.api.labels import ATTEMPT_LABEL, COMPLETION_INDEX
from ballast.observe.cluster_state import Kind
from ballast.observe.parsing import node_is_ready, pod_request, resources
from tests.builders import NOW
from tests.property.observe.ledgers import reading_of
from tests.property.observe.store import (
    JsonObject,
    Store,
    conditions_of,
    has_ended,
    index_of,
    is_leaving,
    owner_of,
    waits_for_finalizers,
)

KILLED = 143


class Controllers(Store):
    """See the module's docstring."""

    def __init__(self) -> None:
        super().__init__()
        self.quota: str | None = None
        """Why the API server refuses pods at the moment."""
        self.broken: set[str] = set()
        """UIDs of TrainingJobs whose image cannot be pulled."""
        self.events: dict[str, str] = {}
        """By UID of a Job: why its pods were refused."""
        self.strays: set[str] = set()
        """UIDs of pods for which Ballast need not keep any room."""
        self.own_failures: set[tuple[str | None, str]] = set()
        """(TrainingJob, attempt) in which a trainer failed by itself."""
        self.over: set[tuple[str | None, str, int]] = set()
        """(TrainingJob, attempt, index) of which a pod has ended."""
        self.failed: set[str] = set()
        """UIDs of Jobs of which a pod has failed."""
        self._succeeded: dict[str, set[int]] = defaultdict(set)
        self.silent: set[str] = set()
        """UIDs of pods whose exporter says nothing at its end."""
        self.agents_speak = True
        """Whether agents tell what pods used."""
        self.began: dict[str, str | None] = {}
        """Pods of which a container ran, with their TrainingJobs."""
        self.entered: dict[str, JsonObject] = {}
        """By UID: the pods that are in a ledger."""
        self.created: dict[str, set[int]] = defaultdict(set)
        """By UID of a Job: the indexes for which there was a pod."""

    def steps(self) -> list[tuple[str, str]]:
        """Return what could happen next, as (verb, UID)."""
        possible: list[tuple[str, str]] = []
        for uid, obj in self.objects[Kind.TRAINING_JOB].items():
            if is_leaving(obj) and not self.children(Kind.JOB, uid):
                possible.append(("collect", uid))
        for uid, job in self.objects[Kind.JOB].items():
            if self._is_garbage(job):
                possible.append(("collect", uid))
            elif self._wants(job) is not None:
                possible.append(("control", uid))
        for uid, pod in self.objects[Kind.POD].items():
            verb = self._pods_next(pod) if owner_of(pod) is not None else None
            if verb is not None:
                possible.append((verb, uid))
            if self._agent_may_tell(pod):
                possible.append(("tell", uid))
        return possible

    def step(self, verb: str, uid: str, *, well: bool = True) -> None:
        """Do one of `steps`; `well` is whether a trainer that ends, or is ended, exits with 0."""
        if verb == "control":
            self._control(self.objects[Kind.JOB][uid])
        elif verb == "collect":
            self._collect(uid)
        else:
            self._pod_step(verb, self.objects[Kind.POD][uid], well=well)

    # -- garbage collector ----------------------------------------------------------------------------------------

    def _is_garbage(self, job: JsonObject) -> bool:
        owner = self.objects[Kind.TRAINING_JOB].get(owner_of(job) or "")
        if not is_leaving(job):
            return owner is None or is_leaving(owner)
        pods = self.pods_of(job["metadata"]["uid"])
        return not pods or any(not is_leaving(pod) for pod in pods)

    def _collect(self, uid: str) -> None:
        if uid in self.objects[Kind.TRAINING_JOB]:
            self.remove(Kind.TRAINING_JOB, uid)
        elif uid in self.objects[Kind.POD]:
            self.delete_pod(self.objects[Kind.POD][uid])
        else:
            job = self.objects[Kind.JOB][uid]
            pods = self.pods_of(uid)
            if not is_leaving(job) and owner_of(job) in self.objects[Kind.TRAINING_JOB]:
                self.leaves(Kind.JOB, job)
            elif not is_leaving(job) or not pods:
                self.remove(Kind.JOB, uid)
            else:
                for pod in pods:
                    if not is_leaving(pod):
                        self.delete_pod(pod)

    # -- Job controller -------------------------------------------------------------------------------------------

    def _wants(self, job: JsonObject) -> str | None:
        uid, conditions = job["metadata"]["uid"], conditions_of(job)
        if is_leaving(job) or conditions & {"Failed", "Complete"}:
            return None
        pods = self.pods_of(uid)
        alive = [pod for pod in pods if not has_ended(pod)]
        if "FailureTarget" in conditions:
            if any(not is_leaving(pod) for pod in alive):
                return "end"
            return None if alive else "fail"
        if uid in self.failed:
            return "give up"
        if len(self._succeeded[uid]) == job["spec"]["completions"]:
            return "complete"
        present = {index_of(pod) for pod in alive} | self._succeeded[uid]
        if len(present) < job["spec"]["completions"]:
            return "create" if self.quota is None else None if uid in self.events else "refuse"
        return None

    def _control(self, job: JsonObject) -> None:
        uid = job["metadata"]["uid"]
        match self._wants(job):
            case "end":
                for pod in self.pods_of(uid):
                    if not has_ended(pod) and not is_leaving(pod):
                        self.delete_pod(pod)
            case "give up":
                self._condition(job, "FailureTarget")
            case "fail":
                self._condition(job, "Failed")
            case "complete":
                self._condition(job, "Complete")
            case "refuse":
                self.events[uid] = self.quota or ""
            case "create":
                self._create_pod(job)
            case _:
                pass

    def _condition(self, job: JsonObject, type_: str) -> None:
        conditions = [*((job.get("status") or {}).get("conditions") or ()), {"type": type_, "status": "True"}]
        self.update(Kind.JOB, {**job, "status": {"conditions": conditions}})

    def _create_pod(self, job: JsonObject) -> None:
        uid = job["metadata"]["uid"]
        present = {index_of(pod) for pod in self.pods_of(uid) if not has_ended(pod)} | self._succeeded[uid]
        index = next(index for index in range(job["spec"]["completions"]) if index not in present)
        self.created[uid].add(index)
        template = copy.deepcopy(job["spec"]["template"])
        metadata = {
            "name": f"{job['metadata']['name']}-{index}",
            "namespace": job["metadata"]["namespace"],
            "labels": {**template["metadata"]["labels"], COMPLETION_INDEX: str(index)},
            "ownerReferences": [{"kind": "Job", "uid": uid}],
            "finalizers": template["metadata"].get("finalizers", []),
            "creationTimestamp": self.moment(),
        }
        self.create(Kind.POD, {"metadata": metadata, "spec": template["spec"], "status": {"phase": "Pending"}})

    # -- scheduler and kubelets -----------------------------------------------------------------------------------

    def _pods_next(self, pod: JsonObject) -> str | None:
        name, phase = pod["spec"].get("nodeName"), pod["status"]["phase"]
        if waits_for_finalizers(pod) and (has_ended(pod) or name is None):
            return None
        orphan = not any(o["uid"] in self.objects[Kind.JOB] for o in pod["metadata"]["ownerReferences"])
        if orphan and not is_leaving(pod):
            return "collect"
        if name is None:
            free = not pod["spec"].get("schedulingGates") and not is_leaving(pod)
            return "bind" if free and (self.takes(pod) or "conditions" not in pod["status"]) else None
        node = self.find(Kind.NODE, name)
        if node is None:
            return "force"
        if not node_is_ready(node):
            return None if is_leaving(pod) or has_ended(pod) else "evict"
        if is_leaving(pod):
            return "remove" if has_ended(pod) else "kill"
        if phase == "Pending":
            return "start" if "containerStatuses" not in pod["status"] or not self._is_broken(pod) else None
        return "end" if phase == "Running" else None

    def _pod_step(self, verb: str, pod: JsonObject, *, well: bool) -> None:
        match verb:
            case "bind":
                self._bind(pod)
            case "start" if self._is_broken(pod):
                waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}
                self.own_failures.add((owner_of(pod), attempt_of(pod)))
                self.pod_status(pod, phase="Pending", containerStatuses=[{"name": "trainer", "state": waiting}])
            case "start":
                self.began[pod["metadata"]["uid"]] = owner_of(pod)
                self.pod_status(pod, phase="Running", containerStatuses=[{"name": "trainer", "state": {"running": {}}}])
            case "tell":
                self._agent_tells(pod)
            case "end":
                if not well:
                    self.own_failures.add((owner_of(pod), attempt_of(pod)))
                self._ends(pod, 0 if well else 1)
            case "kill":
                self._ends(pod, 0 if well else KILLED)
            case "evict":
                self.disrupt(pod, "DeletionByTaintManager")
                self.delete_pod(self.objects[Kind.POD][pod["metadata"]["uid"]])
            case "force":
                if not has_ended(pod):
                    self._is_over(pod, failed=True)
                    self.disrupt(pod, "DeletionByPodGC", phase="Failed")
                self.remove(Kind.POD, pod["metadata"]["uid"])
            case "remove":
                self.remove(Kind.POD, pod["metadata"]["uid"])
            case "collect":
                self.delete_pod(pod)
            case _:
                raise AssertionError(verb)

    def pod_status(self, pod: JsonObject, **status: Any) -> JsonObject:
        """Write fields of a pod's status."""
        return self.update(Kind.POD, {**pod, "status": {**pod["status"], **status}})

    def disrupt(self, pod: JsonObject, reason: str, **status: Any) -> None:
        """Mark a pod as ended by the cluster."""
        condition = {"type": "DisruptionTarget", "status": "True", "reason": reason}
        self.pod_status(pod, conditions=[condition], **status)

    def fail_pod(self, pod: JsonObject, **status: Any) -> None:
        """Let a pod fail that has no exit code to show."""
        self._is_over(pod, failed=True)
        self.pod_status(pod, phase="Failed", **status)

    def _ends(self, pod: JsonObject, code: int) -> None:
        self._is_over(pod, failed=code != 0)
        words = reading_of(pod, NOW + self.now).encode() if pod["metadata"]["uid"] in self.began else ""
        said = "" if pod["metadata"]["uid"] in self.silent else words
        exporter = {"terminated": {"exitCode": 0, "finishedAt": self.moment(), "message": said}}
        ended = {"terminated": {"exitCode": code, "finishedAt": self.moment()}}
        self.pod_status(
            pod,
            phase="Failed" if code else "Succeeded",
            containerStatuses=[{"name": "trainer", "state": ended}] if words else [],
            initContainerStatuses=[{"name": CONTAINER, "state": exporter}] if words else [],
        )

    def _agent_may_tell(self, pod: JsonObject) -> bool:
        """Return whether the agent of a pod's node has something new to say of it."""
        node, uid = pod["spec"].get("nodeName") or "", pod["metadata"]["uid"]
        power, machine = self.find(Kind.NODE_POWER, node), self.find(Kind.NODE, node)
        if (
            not self.agents_speak
            or power is None
            or machine is None
            or not node_is_ready(machine)
            or not has_ended(pod)
        ):
            return False
        return uid in self.began and all(each["uid"] != uid for each in power["status"]["endedPods"])

    def _agent_tells(self, pod: JsonObject) -> None:
        power = self.named(Kind.NODE_POWER, pod["spec"]["nodeName"])
        [(component, joules)] = reading_of(pod, 0).joules.items()
        used = {"component": component.value, "activeJoules": joules.active, "idleJoules": joules.idle}
        told = {
            "uid": pod["metadata"]["uid"],
            "at": self.moment(),
            "used": [{**used, "source": joules.source.value}],
        }
        status = {**power["status"], "endedPods": [*power["status"]["endedPods"], told]}
        self.update(Kind.NODE_POWER, {**power, "status": status})

    def _is_over(self, pod: JsonObject, *, failed: bool) -> None:
        [owner] = pod["metadata"]["ownerReferences"]
        self.over.add((owner_of(pod), attempt_of(pod), index_of(pod)))
        if failed:
            self.failed.add(owner["uid"])
        else:
            self._succeeded[owner["uid"]].add(index_of(pod))

    def _is_broken(self, pod: JsonObject) -> bool:
        return owner_of(pod) in self.broken

    def _bind(self, pod: JsonObject) -> None:
        if not self.takes(pod):
            condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no room"}
            self.pod_status(pod, conditions=[condition])
            return
        if owner_of(pod) not in self.objects[Kind.TRAINING_JOB]:
            self.strays.add(pod["metadata"]["uid"])
        self.update(Kind.POD, {**pod, "spec": {**pod["spec"], "nodeName": wanted_node(pod)}})

    def takes(self, pod: JsonObject) -> bool:
        """Return whether the node that a pod wants takes it now."""
        node = self.find(Kind.NODE, wanted_node(pod))
        if node is None or not node_is_ready(node) or node["spec"].get("unschedulable"):
            return False
        taken, has = self.bound_on(node["metadata"]["name"]), resources(node["status"]["allocatable"])
        return all(
            amount <= has.get(name, 0) - taken[name] for name, amount in pod_request(pod["spec"]).items() if amount
        )

    def bound_on(self, node: str, *, without_strays: bool = False) -> Counter[str]:
        """Return what the pods on a node ask for together."""
        total: Counter[str] = Counter()
        for uid, pod in self.objects[Kind.POD].items():
            counts = not (without_strays and uid in self.strays)
            if counts and pod["spec"].get("nodeName") == node and not has_ended(pod):
                total.update(pod_request(pod["spec"]))
        return total


def attempt_of(obj: Mapping[str, Any]) -> str:
    """Return the attempt to which a Job or pod belongs."""
    number: str = obj["metadata"]["labels"][ATTEMPT_LABEL]
    return number


def wanted_node(pod: Mapping[str, Any]) -> str:
    """Return the node to which Ballast bound a pod."""
    terms = pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    [term] = terms["nodeSelectorTerms"]
    [name] = term["matchFields"][-1]["values"]
    return str(name)
