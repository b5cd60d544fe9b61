"""What the histories of objects prove: the steps that each job took, and what was promised of each node at any moment.

All objects' resource versions come from one counter, so that histories of several kinds merge into one order.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from typing import TypeAlias

from ballast.api.labels import COMPLETION_INDEX, JOB_LABEL
from tests.e2e.kube import JsonObject
from tests.e2e.namespace import ENDED, phase

History: TypeAlias = list[tuple[str, JsonObject]]

STEPS = ("Pending", "Queued", "Placing", "Running", "Succeeded", "Failed")


def steps(jobs: History) -> dict[str, list[str]]:
    """Return the phase in every version of each job that a step was written in: it stands twice if it was taken twice.

    Its owner's edits are no steps, nor is a new place in the queue.
    """
    seen: dict[str, list[str]] = defaultdict(list)
    last: dict[str, JsonObject] = {}
    for kind, job in jobs:
        name, before = job["metadata"]["name"], last.get(job["metadata"]["name"])
        last[name] = job
        if kind != "DELETED" and (before is None or not (_is_edit(before, job) or _only_moves(before, job))):
            seen[name].append(phase(job))
    return dict(seen)


def _is_edit(before: JsonObject, job: JsonObject) -> bool:
    is_newer = before["metadata"].get("generation") != job["metadata"].get("generation")
    return is_newer and before.get("status") == job.get("status")


def _only_moves(before: JsonObject, job: JsonObject) -> bool:
    told, tells = before.get("status", {}), job.get("status", {})
    return told.get("queue") != tells.get("queue") and {**told, "queue": None} == {**tells, "queue": None}


def pods_made(pods: History) -> dict[str, list[str]]:
    """Return the names of all pods that ever existed, by job."""
    made: dict[str, list[str]] = defaultdict(list)
    for kind, pod in pods:
        if kind == "ADDED":
            made[pod["metadata"]["labels"][JOB_LABEL]].append(pod["metadata"]["name"])
    return dict(made)


def most_gpus_promised(jobs: History, pods: History) -> Counter[str]:
    """Return the most GPUs of each node that were promised to jobs at the same moment.

    A promise begins with the status that admits the job, and ends, pod by pod, when the pod has ended.
    """
    admitted: dict[str, JsonObject] = {}
    ended: dict[str, set[int]] = defaultdict(set)
    most: Counter[str] = Counter()
    for kind, obj in _in_order(jobs, pods):
        name = obj["metadata"]["name"]
        if obj["kind"] == "Pod":
            if obj.get("status", {}).get("phase") in ENDED or kind == "DELETED":
                labels = obj["metadata"]["labels"]
                ended[labels[JOB_LABEL]].add(int(labels[COMPLETION_INDEX]))
        elif kind == "DELETED" or phase(obj) in ENDED:
            admitted.pop(name, None)
        elif phase(obj) in {"Placing", "Running"}:
            admitted[name] = obj
        promised: Counter[str] = Counter()
        for job, holder in admitted.items():
            for index, place in enumerate(holder["status"]["placement"]):
                if index not in ended[job]:
                    promised[place["node"]] += place["gpus"]
        most |= promised
    return most


def chosen_nodes(patches: Iterable[list[JsonObject]]) -> list[str]:
    """Return the node that each ungating patch requires."""
    nodes: list[str] = []
    for patch in patches:
        affinity = next(step["value"] for step in patch if step["path"] == "/spec/affinity")
        required = affinity["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        [name] = {
            field["values"][0]
            for term in required["nodeSelectorTerms"]
            for field in term["matchFields"]
            if field["key"] == "metadata.name"
        }
        nodes.append(name)
    return nodes


def first_version(history: History, name: str, holds: Callable[[str, JsonObject], bool]) -> int:
    """Return the resource version at which something first held of an object, given the change and the object."""
    for kind, obj in history:
        if obj["metadata"]["name"] == name and holds(kind, obj):
            return int(obj["metadata"]["resourceVersion"])
    raise AssertionError(f"it never held of {name}")


def ends_of_pods(pods: History, prefix: str) -> list[int]:
    """Return for each pod whose name begins so the resource version at which it had ended or was gone."""
    names = {pod["metadata"]["name"] for _, pod in pods if pod["metadata"]["name"].startswith(prefix)}
    return [
        first_version(pods, name, lambda kind, pod: kind == "DELETED" or pod["status"]["phase"] in ENDED)
        for name in sorted(names)
    ]


def _in_order(*histories: History) -> History:
    merged = [change for history in histories for change in history]
    return sorted(merged, key=lambda change: int(change[1]["metadata"]["resourceVersion"]))
