"""A cluster as far as `ballast uninstall` asks of it: an operator, nodes, NodePowers, and agents that obey or not."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator
from typing import Any

from ballast.api.labels import JOB_UID_LABEL
from ballast.errors import BallastError
from ballast.kube import ApiRefused

JsonObject = dict[str, Any]

NAMESPACE = "ballast-system"
SCALE = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/ballast-operator/scale"
ALL_PODS = "/api/v1/pods"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
NODES = "/api/v1/nodes"
NODE_POWERS = "/apis/ballast.dev/v1alpha1/nodepowers"
SECRET = f"/api/v1/namespaces/{NAMESPACE}/secrets/ballast-webhook"


class Cluster:
    """Keeps objects by path.

    Attributes:
        objects: By path.
        writes: Verb and path of what was written, in order.
        deaf: Nodes whose agents do nothing any more.
        failures: Raised by the next requests, one each.
    """

    def __init__(self) -> None:
        self.objects: dict[str, JsonObject] = {SCALE: {"metadata": {}, "spec": {"replicas": 2}}}
        self.writes: list[str] = []
        self.deaf: set[str] = set()
        self.failures: list[BallastError] = []

    def add_node(self, name: str, ready: str = "True") -> None:
        """A node, and what the control plane hears of it."""
        status = {"conditions": [{"type": "Ready", "status": ready}]}
        self.objects[f"{NODES}/{name}"] = {"metadata": {"name": name}, "status": status}

    def add_node_power(self, name: str, *, capped: int = 0, spec: JsonObject | None = None) -> None:
        """A NodePower with an agent that has seen all of it."""
        self.objects[f"{NODE_POWERS}/{name}"] = {
            "metadata": {"name": name, "uid": f"uid-{name}", "generation": 1},
            "spec": spec if spec is not None else {"pods": [{"uid": "a"}] if capped else []},
            "status": {"observedGeneration": 1, "cappedGpus": capped, "gpuCount": 4},
        }

    def add_operator(self, name: str, node: str, phase: str = "Running") -> None:
        """A pod of the operator."""
        self.objects[f"{PODS}/{name}"] = {
            "metadata": {"name": name},
            "spec": {"nodeName": node},
            "status": {"phase": phase},
        }

    def add_training_pod(self, name: str, *finalizers: str) -> JsonObject:
        """A pod of a TrainingJob."""
        metadata = {"name": name, "namespace": "team", "uid": f"uid-{name}", "labels": {JOB_UID_LABEL: "job"}}
        pod: JsonObject = {"metadata": {**metadata, "finalizers": list(finalizers)}}
        self.objects[f"/api/v1/namespaces/team/pods/{name}"] = pod
        return pod

    def node_powers(self) -> list[str]:
        """The names of the NodePowers that are left."""
        return [path.rpartition("/")[2] for path in self.objects if path.startswith(NODE_POWERS)]

    async def list_pages(
        self, path: str, label_selector: str | None = None, field_selector: str | None = None
    ) -> AsyncIterator[JsonObject]:
        self._fail()
        self._agents_work()
        items = [each for name, each in self.objects.items() if name.rpartition("/")[0] == path]
        if path == ALL_PODS:
            items = [each for each in self.objects.values() if label_selector in (each["metadata"].get("labels") or {})]
        yield {"items": copy.deepcopy(items), "metadata": {}}

    async def get(self, path: str) -> JsonObject:
        self._fail()
        return copy.deepcopy(self._found(path))

    async def json_patch(self, path: str, operations: list[JsonObject]) -> JsonObject:
        self._fail()
        found = self._found(path)
        self.writes.append(f"patch {path}")
        before = copy.deepcopy(found.get("spec"))
        for operation in operations:
            *parents, last = operation["path"].strip("/").split("/")
            target: Any = found
            for part in parents:
                target = target[part]
            at = int(last) if isinstance(target, list) else last
            match operation["op"]:
                case "test" if target[at] != operation["value"]:
                    raise ApiRefused(422, "Invalid", f"test of {operation['path']}")
                case "add":
                    target[at] = operation["value"]
                case "remove":
                    del target[at]
        if found.get("spec") != before and "generation" in found["metadata"]:
            found["metadata"]["generation"] += 1
        return copy.deepcopy(found)

    async def merge(self, path: str, body: JsonObject) -> JsonObject:
        """Strategic merge patch of a node's status: labels, and a condition that goes."""
        self._fail()
        found = self._found(path.removesuffix("/status"))
        self.writes.append(f"merge {path}")
        labels = found["metadata"].get("labels") or {}
        labels.update(body["metadata"]["labels"])
        found["metadata"]["labels"] = {name: value for name, value in labels.items() if value is not None}
        gone = {each["type"] for each in body["status"]["conditions"] if each.get("$patch") == "delete"}
        conditions = found["status"]["conditions"]
        found["status"]["conditions"] = [each for each in conditions if each["type"] not in gone]
        return copy.deepcopy(found)

    async def delete(
        self, path: str, uid: str, resource_version: str | None = None, propagation: str = "Foreground"
    ) -> JsonObject | None:
        self._fail()
        assert self._found(path)["metadata"]["uid"] == uid
        self.writes.append(f"delete {path}")
        return self.objects.pop(path)

    def _found(self, path: str) -> JsonObject:
        if path not in self.objects:
            raise ApiRefused(404, "NotFound", path)
        return self.objects[path]

    def _fail(self) -> None:
        if self.failures:
            raise self.failures.pop(0)

    def _agents_work(self) -> None:
        """What was written before a list has been obeyed when it is read."""
        for path, found in self.objects.items():
            if path.startswith(NODE_POWERS) and found["metadata"]["name"] not in self.deaf and found["status"]:
                found["status"]["observedGeneration"] = found["metadata"]["generation"]
                if not found["spec"].get("pods"):
                    found["status"]["cappedGpus"] = 0
