"""A big cluster's inhabitants: nodes that are full, and thousands of jobs of many shapes that wait for them."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.cluster import GpuNode
from tests.e2e.kube import JsonObject, Kube
from tests.e2e.manifests import KWOK_TOLERATION, TrainingJobManifest, training_job

PARALLEL = 8
PRODUCTS = ("NVIDIA-H100-80GB-HBM3", "NVIDIA-A100-SXM4-80GB", "NVIDIA-A40", "Tesla-V100-SXM2-16GB")
CPU_NODES = 10
CHURN_NODES = 16
POOL = "tests.ballast.dev/pool"
CPU_POOL = {POOL: "cpu"}
CHURN_POOL = {POOL: "churn"}
JOBS_PATH = "/apis/ballast.dev/v1alpha1/namespaces/default/trainingjobs"
PODS_PATH = "/api/v1/namespaces/default/pods"


def nodes(count: int) -> list[JsonObject]:
    """Return nodes of four GPU models: most for everyone, some for the jobs that come and go, some without GPUs."""
    fleet = [GpuNode(f"gpu-{i:04}", PRODUCTS[i % len(PRODUCTS)], 8) for i in range(count - CHURN_NODES - CPU_NODES)]
    churn = [
        GpuNode(f"churn-{i:02}", PRODUCTS[i % len(PRODUCTS)], 8, labels=CHURN_POOL).manifest()
        for i in range(CHURN_NODES)
    ]
    for node in churn:
        node["spec"]["taints"].append({"key": POOL, "value": "churn", "effect": "NoSchedule"})
    cpu = [GpuNode(f"cpu-{i:02}", gpus=0, labels=CPU_POOL).manifest() for i in range(CPU_NODES)]
    return [*(node.manifest() for node in fleet), *churn, *cpu]


def ready_nodes(kube: Kube) -> int:
    """Return how many nodes kwok has made ready."""
    return sum(
        any(found["type"] == "Ready" and found["status"] == "True" for found in node["status"].get("conditions", []))
        for node in kube.list("/api/v1/nodes")
    )


def occupants(fleet: Iterable[JsonObject]) -> list[JsonObject]:
    """Return a pod of somebody else's for each node that is for everyone; it holds all the node's GPUs."""
    return [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": f"holds-{node['metadata']['name']}"},
            "spec": {
                "nodeName": node["metadata"]["name"],
                "tolerations": [KWOK_TOLERATION],
                "containers": [
                    {
                        "name": "other",
                        "image": "example.com/other:1",
                        "resources": {"limits": {"nvidia.com/gpu": node["status"]["allocatable"]["nvidia.com/gpu"]}},
                    }
                ],
            },
        }
        for node in fleet
        if POOL not in node["metadata"]["labels"]
    ]


def waiting_jobs(prefix: str, count: int, seed: int) -> list[TrainingJobManifest]:
    """Return GPU jobs of some 160 different shapes: pods, GPUs, objective, GPU model, launcher."""
    choose = random.Random(seed)  # noqa: S311 - a reproducible population, no secret
    jobs = []
    for number in range(count):
        job = training_job(f"{prefix}-{number:04}").pods(choose.choice((1, 1, 1, 2, 4))).runs(seconds=5)
        job.gpus(choose.choice((1, 2, 4, 8))).requests(cpu=choose.choice(("1", "4")))
        job.spec(energy={"objective": choose.choice(("MinimizeEnergy", "MinimizeTime")), "maxSlowdownPercent": 300})
        product = choose.choice((None, None, *PRODUCTS))
        if product is not None:
            job.selects({"nvidia.com/gpu.product": product})
        if choose.random() < 0.3:
            job.torchrun()
        jobs.append(job)
    return jobs


def churning_jobs(prefix: str, count: int, seed: int) -> list[TrainingJobManifest]:
    """Return jobs of the same shapes for the nodes where jobs come and go."""
    toleration = {"key": POOL, "operator": "Equal", "value": "churn", "effect": "NoSchedule"}
    jobs = waiting_jobs(prefix, count, seed)
    return [job.selects(CHURN_POOL).tolerates(KWOK_TOLERATION, toleration) for job in jobs]


def cpu_jobs(prefix: str, count: int) -> list[TrainingJobManifest]:
    """Return jobs of one pod that train on a CPU for longer than anyone looks."""
    return [training_job(f"{prefix}-{number:02}").selects(CPU_POOL).runs(seconds=3600) for number in range(count)]


def create_all(kubeconfig: Path, path: str, bodies: Sequence[JsonObject]) -> None:
    """Create objects in a collection, several at a time."""
    clients = threading.local()
    opened: list[Kube] = []

    def create(body: JsonObject) -> None:
        if not hasattr(clients, "kube"):
            clients.kube = Kube(kubeconfig)
            opened.append(clients.kube)
        clients.kube.create(path, body)

    try:
        with ThreadPoolExecutor(PARALLEL) as threads:
            for _ in threads.map(create, bodies):
                pass
    finally:
        for kube in opened:
            kube.close()


def batches(items: Sequence[JsonObject], count: int) -> list[Sequence[JsonObject]]:
    """Return the items in so many batches of about equal size."""
    return [items[len(items) * n // count : len(items) * (n + 1) // count] for n in range(count)]
