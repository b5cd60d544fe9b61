"""What the histories of objects prove: the steps that each job took, and what was promised of each node at any moment.

All objects' resource versions come from one counter, so that histories of several kinds merge into one order.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import TypeAlias

from ballast.api.labels import COMPLETION_INDEX, JOB_LABEL
from tests.e2e.kube import JsonObject
from tests.e2e.namespace import ENDED, phase

History: TypeAlias = list[tuple[str, JsonObject]]

STEPS = ("Pending", "Queued", "Placing", "Running", "Succeeded", "Failed")


def steps(jobs: History) -> dict[str, list[str]]:
    """Return the phase in every version of each job: a phase stands twice if it was written twice."""
    seen: dict[str, list[str]] = defaultdict(list)
    for kind, job in jobs:
        if kind != "DELETED":
            seen[job["metadata"]["name"]].append(phase(job))
    return dict(seen)


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


def _in_order(*histories: History) -> History:
    merged = [change for history in histories for change in history]
    return sorted(merged, key=lambda change: int(change[1]["metadata"]["resourceVersion"]))
