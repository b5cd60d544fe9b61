"""What the demo puts on the cluster: simulated GPU nodes of three models, and the jobs of workloads/examples/.

The jobs are the files that users learn from, applied as a user would. Invariant: the demo's jobs live in a namespace of
their own, and only that namespace is ever emptied.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.gpu_nodes import GpuNode
from tests.demo import objects
from tests.demo.kubectl import Kubectl
from tests.demo.objects import Asked

NAMESPACE = "ballast-demo"
EXAMPLES = Path(__file__).resolve().parents[2] / "workloads" / "examples"
TRAINER_IMAGE = "localhost/ballast-trainer:dev"

#: Put on the nodes that the demo adds, so that they can be found and removed.
DEMO_LABEL = "ballast.dev/demo"

_GPU_PRODUCTS = {
    "v100": "Tesla-V100-SXM2-32GB",
    "a100": "NVIDIA-A100-SXM4-80GB",
    "h100": "NVIDIA-H100-80GB-HBM3",
}

_NAMESPACE_OBJECT = {
    "apiVersion": "v1",
    "kind": "Namespace",
    "metadata": {"name": NAMESPACE, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
}


def gpu_nodes() -> list[GpuNode]:
    """Two nodes with eight GPUs of each of three GPU models."""
    return [
        GpuNode(f"{name}-{number}", gpu_product=product, gpus=8, labels={DEMO_LABEL: "true"})
        for name, product in _GPU_PRODUCTS.items()
        for number in (1, 2)
    ]


class Workload:
    """The jobs of some manifest files.

    Args:
        real: Whether to run the jobs that train for real on CPUs.
        gpus: Whether to run those that train for real on nodes with GPUs.
        simulated: Whether to run the jobs for simulated nodes.
        trainer_image: Runs in place of the manifests' own image.
        folder: Where the manifests are.
    """

    def __init__(
        self,
        *,
        real: bool,
        simulated: bool,
        gpus: bool = False,
        trainer_image: str = "",
        folder: Path = EXAMPLES,
    ) -> None:
        self._image = trainer_image
        self._manifests = {
            file: [each for each in manifests(file) if wanted(each, real=real, simulated=simulated, gpus=gpus)]
            for file in sorted(folder.glob("*.yaml"))
        }

    @property
    def asked(self) -> list[Asked]:
        """Every job, those that train for real first."""
        jobs = [objects.asked(manifest) for each in self._manifests.values() for manifest in each]
        return sorted(jobs, key=lambda job: job.simulated)

    def clear(self, kubectl: Kubectl) -> int:
        """Makes the namespace, and removes the jobs that an earlier demo left in it; returns how many those were."""
        kubectl.apply([_NAMESPACE_OBJECT])
        left = kubectl.run("get", "trainingjobs", "-n", NAMESPACE, "-o", "name").split()
        if left:
            kubectl.run("delete", *left, "-n", NAMESPACE, "--cascade=foreground", "--timeout=120s", timeout_seconds=150)
        return len(left)

    def apply(self, kubectl: Kubectl) -> None:
        """Applies the manifests; file by file where nothing in them has to be changed."""
        if self._image:
            kubectl.apply(
                [with_image(each, self._image) for file in self._manifests.values() for each in file], "-n", NAMESPACE
            )
            return
        files = [f"--filename={file}" for file, wanted in self._manifests.items() if wanted]
        kubectl.run("apply", "-n", NAMESPACE, *files)


def manifests(file: Path) -> list[dict[str, Any]]:
    """The TrainingJobs of a file, out of lists too."""
    found: list[dict[str, Any]] = []
    for document in yaml.safe_load_all(file.read_text()):
        found += document["items"] if document["kind"] == "List" else [document]
    return found


def wanted(manifest: dict[str, Any], *, real: bool, simulated: bool, gpus: bool) -> bool:
    """Whether a job is one of those to run."""
    asked = objects.asked(manifest)
    if asked.simulated:
        return simulated
    return gpus if asked.on_real_gpus else real


def with_image(manifest: dict[str, Any], image: str) -> dict[str, Any]:
    """The manifest with another image for its trainer."""
    pod = manifest["spec"]["template"]["spec"]
    containers = [{**each, "image": image} if each["name"] == "trainer" else each for each in pod["containers"]]
    template = {**manifest["spec"]["template"], "spec": {**pod, "containers": containers}}
    return {**manifest, "spec": {**manifest["spec"], "template": template}}


def total_gpus(jobs: Sequence[Asked]) -> int:
    """GPUs that the jobs would hold if all ran at once."""
    return sum(job.replicas * job.gpus_per_pod for job in jobs)
