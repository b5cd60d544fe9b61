"""What must hold when a test's jobs are gone: nothing of them is left, and nothing was ever promised twice.

Asked of the world, not of the operator: the API server's objects, their history and its audit log, and jobs that ask
for every GPU of each node that was used and must get them at once.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable

from ballast.api.labels import ATTEMPT_LABEL, COMPLETION_INDEX, JOB_UID_LABEL
from tests.e2e.audit import AuditLog, Request, writes_of_operator
from tests.e2e.evidence import History
from tests.e2e.kube import JsonObject
from tests.e2e.manifests import training_job
from tests.e2e.namespace import ENDED, Namespace, phase

GPU = "nvidia.com/gpu"
MARKER = "the-last"
PROBE_TIMEOUT_SECONDS = 20.0


def assert_nothing_left(namespace: Namespace, audit: AuditLog) -> None:
    """Delete the namespace's jobs, and check that they leave nothing and were placed as they should be.

    The nodes on which they were must be ready again.
    """
    namespace.kube.delete(namespace.jobs_path)
    namespace.wait_until_gone()
    # An object that is seen last, so that the history is known to be complete up to it.
    namespace.submit(training_job(MARKER).spec(suspend=True))
    used = nodes_promised(namespace.history(namespace.jobs_path, namespace.since))
    assert_whole_nodes_are_free(namespace, used)
    assert_never_placed_twice(namespace, audit)


def assert_whole_nodes_are_free(namespace: Namespace, nodes: Collection[str]) -> None:
    """Check that jobs which ask for all GPUs of each node run at once."""
    probes = {f"probe-{node}": node for node in sorted(nodes)}
    for name, node in probes.items():
        gpus = gpus_of_node(namespace, node)
        namespace.submit(training_job(name).gpus(gpus).on_node(node).runs(seconds=600))
    for name in probes:
        namespace.wait_for_phase(name, "Running", timeout_seconds=PROBE_TIMEOUT_SECONDS)


def assert_never_placed_twice(namespace: Namespace, audit: AuditLog) -> None:
    """Check that each attempt was admitted and created once, and that no GPU was given to two pods at a time."""
    jobs = namespace.history(namespace.jobs_path, namespace.since)
    pods = namespace.history(namespace.pods_path, namespace.since)
    for node, gpus in most_gpus_held(jobs, pods).items():
        assert gpus <= gpus_of_node(namespace, node), f"{gpus} GPUs of {node} were given away at the same moment"
    writes = writes_of_operator(audit.about(namespace.name), namespace.name)
    for (uid, attempt), times in admissions(writes).items():
        assert times == 1, f"attempt {attempt} of the job {uid} was admitted {times} times"
    for (uid, name), times in creations(writes).items():
        assert times == 1, f"Job {name} of the job {uid} was created {times} times"


def admissions(writes: Iterable[Request]) -> Counter[tuple[str, int]]:
    """Return how many times each attempt of each job (by UID) was admitted."""
    found: Counter[tuple[str, int]] = Counter()
    for write in writes:
        if write.resource == "trainingjobs/status" and write.succeeded and write.body["status"]["phase"] == "Placing":
            found[write.body["metadata"]["uid"], write.body["status"]["attempts"][-1]["number"]] += 1
    return found


def creations(writes: Iterable[Request]) -> Counter[tuple[str, str]]:
    """Return how many times each Job was created, by its owner's UID and its name."""
    found: Counter[tuple[str, str]] = Counter()
    for write in writes:
        if write.resource == "jobs" and write.code == 201:
            found[write.body["metadata"]["ownerReferences"][0]["uid"], write.name] += 1
    return found


def nodes_promised(jobs: History) -> frozenset[str]:
    """Return every node on which something was ever reserved."""
    return frozenset(place["node"] for _, job in jobs for place in job.get("status", {}).get("placement", ()))


def most_gpus_held(jobs: History, pods: History) -> Counter[str]:
    """Return the most GPUs of each node that gangs held at the same moment.

    A pod holds its GPUs from its binding until it has ended; before that the reservation of its attempt does.
    """
    reserved: dict[str, tuple[int, list[JsonObject]]] = {}
    bound: dict[str, set[tuple[int, int]]] = defaultdict(set)
    holding: dict[str, tuple[str, int]] = {}
    most: Counter[str] = Counter()
    for kind, obj in sorted([*jobs, *pods], key=lambda change: int(change[1]["metadata"]["resourceVersion"])):
        uid, labels = obj["metadata"]["uid"], obj["metadata"].get("labels", {})
        if obj["kind"] == "TrainingJob":
            reserved.pop(uid, None)
            if kind != "DELETED" and phase(obj) == "Placing":
                reserved[uid] = obj["status"]["attempts"][-1]["number"], obj["status"]["placement"]
        elif JOB_UID_LABEL in labels:
            node, ended = obj["spec"].get("nodeName"), obj.get("status", {}).get("phase") in ENDED
            if node is not None:
                bound[labels[JOB_UID_LABEL]].add((int(labels[ATTEMPT_LABEL]), int(labels[COMPLETION_INDEX])))
            if node is not None and kind != "DELETED" and not ended:
                holding[uid] = node, gpus_of_pod(obj)
            else:
                holding.pop(uid, None)
        held: Counter[str] = Counter()
        for owner, (attempt, placement) in reserved.items():
            for index, place in enumerate(placement):
                if (attempt, index) not in bound[owner]:
                    held[place["node"]] += place["gpus"]
        for node, gpus in holding.values():
            held[node] += gpus
        most |= held
    return most


def gpus_of_pod(pod: JsonObject) -> int:
    """Return the GPUs that a pod asks for."""
    containers: list[JsonObject] = pod["spec"]["containers"]
    return sum(int(each.get("resources", {}).get("limits", {}).get(GPU, 0)) for each in containers)


def gpus_of_node(namespace: Namespace, node: str) -> int:
    """Return the GPUs that a node offers."""
    return int(namespace.kube.get(f"/api/v1/nodes/{node}")["status"]["allocatable"].get(GPU, 0))
