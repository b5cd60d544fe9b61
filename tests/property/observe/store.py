"""What a small Kubernetes keeps: objects by kind and UID, the time, and every event in the order in which it happened.

Nobody changes what is stored: it is replaced, so that an old list shows what was there when it was taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ballast.api.labels import COMPLETION_INDEX, JOB_UID_LABEL
from ballast.kube import ApiRefused
from ballast.observe.cluster_state import Kind
from ballast.observe.pod_ends import ENDED_POD_PHASES
from tests.builders import at, rfc3339

JsonObject = dict[str, Any]


class Store:
    """Objects, events and a clock that goes on when the test says so."""

    def __init__(self) -> None:
        self.objects: dict[Kind, dict[str, JsonObject]] = {kind: {} for kind in Kind}
        self.log: list[tuple[Kind, str, JsonObject]] = []
        self.version = 0
        self.now = 0.0
        self._serial = 0

    def create(self, kind: Kind, obj: JsonObject) -> JsonObject:
        """Store a new object under a new UID."""
        self._serial += 1
        uid = f"{kind}-{self._serial}"
        return self._store(kind, "ADDED", {**obj, "metadata": {**obj["metadata"], "uid": uid}})

    def update(self, kind: Kind, obj: JsonObject) -> JsonObject:
        """Replace an object; without an event if nothing changes."""
        before = self.objects[kind][obj["metadata"]["uid"]]
        return before if before == obj else self._store(kind, "MODIFIED", obj)

    def remove(self, kind: Kind, uid: str) -> None:
        """Let an object vanish, or stay without any grace for as long as it has finalizers."""
        found = self.objects[kind][uid]
        if found["metadata"].get("finalizers"):
            if found["metadata"].get("deletionGracePeriodSeconds") != 0:
                times = {"deletionTimestamp": self.moment(), "deletionGracePeriodSeconds": 0}
                self.update(kind, {**found, "metadata": {**found["metadata"], **times}})
            return
        self._store(kind, "DELETED", self.objects[kind][uid])
        del self.objects[kind][uid]

    def _store(self, kind: Kind, type_: str, obj: JsonObject) -> JsonObject:
        self.version += 1
        obj = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self.version)}}
        self.objects[kind][obj["metadata"]["uid"]] = obj
        self.log.append((kind, type_, obj))
        return obj

    def find(self, kind: Kind, name: str) -> JsonObject | None:
        """Return the object of a name, or None."""
        return next((obj for obj in self.objects[kind].values() if obj["metadata"]["name"] == name), None)

    def named(self, kind: Kind, name: str) -> JsonObject:
        """Return the object of a name.

        Raises:
            ApiRefused: there is none.
        """
        found = self.find(kind, name)
        if found is None:
            raise ApiRefused(404, "NotFound", f"{kind} {name} not found")
        return found

    def children(self, kind: Kind, owner: str) -> list[JsonObject]:
        """Return a TrainingJob's objects of a kind."""
        return [obj for obj in self.objects[kind].values() if owner_of(obj) == owner]

    def pods_of(self, job_uid: str) -> list[JsonObject]:
        """Return the pods of a `batch/v1` Job."""
        pods = self.objects[Kind.POD].values()
        return [pod for pod in pods if any(o["uid"] == job_uid for o in pod["metadata"].get("ownerReferences") or ())]

    def moment(self, after: float = 0.0) -> str:
        """Return the time, or one that many seconds later, as the API server writes it."""
        return rfc3339(at(self.now + after))

    def leaves(self, kind: Kind, obj: JsonObject, grace: float = 0.0) -> None:
        """Begin an object's deletion: it stays until whoever holds it is done."""
        if not is_leaving(obj):
            times = {"deletionTimestamp": self.moment(grace), "deletionGracePeriodSeconds": grace}
            metadata = {**obj["metadata"], **times}
            self.update(kind, {**obj, "metadata": metadata})

    def delete_pod(self, pod: JsonObject) -> None:
        """Delete a pod as the API server does: gracefully where a kubelet has to end it, else at once."""
        if "nodeName" in pod["spec"] and not has_ended(pod):
            self.leaves(Kind.POD, pod, pod["spec"].get("terminationGracePeriodSeconds", 30))
        else:
            self.remove(Kind.POD, pod["metadata"]["uid"])


def owner_of(obj: Mapping[str, Any]) -> str | None:
    """Return the UID of the TrainingJob that an object belongs to."""
    return (obj["metadata"].get("labels") or {}).get(JOB_UID_LABEL)


def index_of(pod: Mapping[str, Any]) -> int:
    """Return a pod's place in its gang."""
    return int(pod["metadata"]["labels"][COMPLETION_INDEX])


def is_leaving(obj: Mapping[str, Any]) -> bool:
    """Return whether an object is being deleted."""
    return "deletionTimestamp" in obj["metadata"]


def has_ended(pod: Mapping[str, Any]) -> bool:
    """Return whether a pod's containers are done."""
    return pod["status"]["phase"] in ENDED_POD_PHASES


def waits_for_finalizers(obj: Mapping[str, Any]) -> bool:
    """Return whether nothing but its finalizers keeps an object."""
    metadata = obj["metadata"]
    return bool(metadata.get("finalizers")) and metadata.get("deletionGracePeriodSeconds") == 0


def conditions_of(obj: Mapping[str, Any]) -> set[str]:
    """Return the types of the conditions that hold."""
    conditions = (obj.get("status") or {}).get("conditions") or ()
    return {condition["type"] for condition in conditions if condition["status"] == "True"}
