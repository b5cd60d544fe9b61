"""TrainingJobs and other objects for live clusters, built by sentences.

`training_job("gang").pods(2).gpus(4).torchrun().runs(seconds=1)` is a manifest. A job tolerates the simulated nodes'
taint and asks for little, unless the test says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from tests.cluster.gpu_nodes import KWOK_TAINT
from tests.e2e.kube import JsonObject

HOLDING_GATE = "example.com/hold"
KWOK_TOLERATION = {"key": KWOK_TAINT["key"], "operator": "Exists", "effect": KWOK_TAINT["effect"]}


class TrainingJobManifest:
    """A TrainingJob manifest under construction; every method returns the builder."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._trainer: JsonObject = {"name": "trainer", "image": "example.com/trainer:1", "resources": {"requests": {}}}
        self._pod: JsonObject = {"tolerations": [KWOK_TOLERATION], "containers": [self._trainer]}
        self._annotations: dict[str, str] = {}
        self._spec: JsonObject = {}

    def pods(self, replicas: int) -> Self:
        """Set the size of the gang."""
        self._spec["replicas"] = replicas
        return self

    def gpus(self, count: int) -> Self:
        """Ask for GPUs in each pod."""
        self._trainer["resources"]["limits"] = {"nvidia.com/gpu": str(count)}
        return self

    def limits(self, **quantities: str) -> Self:
        """Bound other resources in each pod."""
        self._trainer["resources"].setdefault("limits", {}).update(quantities)
        return self

    def requests(self, **quantities: str) -> Self:
        """Ask for other resources in each pod."""
        self._trainer["resources"]["requests"].update(quantities)
        return self

    def torchrun(self) -> Self:
        """Choose the launcher torchrun."""
        self._spec["launcher"] = "torchrun"
        return self

    def annotated(self, annotations: Mapping[str, str]) -> Self:
        """Give the pods annotations."""
        self._annotations.update(annotations)
        return self

    def runs(self, *, seconds: int) -> Self:
        """Set how long a simulated pod runs."""
        self._annotations["ballast.dev/simulated-seconds"] = str(seconds)
        return self

    def exits(self, code: int) -> Self:
        """Set a simulated trainer's exit code."""
        self._annotations["ballast.dev/simulated-exit-code"] = str(code)
        return self

    def takes_to_end(self, *, seconds: int) -> Self:
        """Set how long a simulated pod goes on after SIGTERM."""
        self._annotations["ballast.dev/simulated-termination-seconds"] = str(seconds)
        return self

    def cannot_start(self, reason: str, message: str) -> Self:
        """Let the simulated trainer wait for ever, as it does for an image that cannot be pulled."""
        self._annotations["ballast.dev/simulated-waiting-reason"] = reason
        self._annotations["ballast.dev/simulated-waiting-message"] = message
        return self

    def held(self) -> Self:
        """Keep the pods from being scheduled when Ballast has let them go."""
        self._pod["schedulingGates"] = [{"name": HOLDING_GATE}]
        return self

    def priority(self, name: str) -> Self:
        """Set the priority class."""
        self._pod["priorityClassName"] = name
        return self

    def selects(self, labels: Mapping[str, str]) -> Self:
        """Set the nodeSelector."""
        self._pod["nodeSelector"] = {**self._pod.get("nodeSelector", {}), **labels}
        return self

    def on_node(self, node: str) -> Self:
        """Keep the job on one node."""
        return self.selects({"kubernetes.io/hostname": node})

    def requires(self, *terms: JsonObject) -> Self:
        """Require node affinity; the terms are alternatives."""
        required = {"nodeSelectorTerms": list(terms)}
        self._pod["affinity"] = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
        return self

    def tolerates(self, *tolerations: JsonObject) -> Self:
        """Set the tolerations, in place of the one of simulated nodes."""
        self._pod["tolerations"] = list(tolerations)
        return self

    def image(self, image: str, *args: str) -> Self:
        """Set the trainer's image and arguments."""
        self._trainer["image"] = image
        self._trainer["imagePullPolicy"] = "IfNotPresent"
        self._trainer["args"] = list(args)
        return self

    def spec(self, **fields: Any) -> Self:
        """Set fields of the spec by their names in the API."""
        self._spec.update(fields)
        return self

    def pod(self, **fields: Any) -> Self:
        """Set fields of the pod's spec by their names in the API."""
        self._pod.update(fields)
        return self

    def trainer(self, **fields: Any) -> Self:
        """Set fields of the trainer's container by their names in the API."""
        self._trainer.update(fields)
        return self

    def manifest(self) -> JsonObject:
        """Return the object."""
        template: JsonObject = {"spec": self._pod}
        if self._annotations:
            template["metadata"] = {"annotations": self._annotations}
        return {
            "apiVersion": "ballast.dev/v1alpha1",
            "kind": "TrainingJob",
            "metadata": {"name": self.name},
            "spec": {**self._spec, "template": template},
        }


def training_job(name: str) -> TrainingJobManifest:
    """Return a job of one pod that trains on a CPU and succeeds after a second on a simulated node."""
    return TrainingJobManifest(name).requests(cpu="100m").runs(seconds=1)


def term(key: str, *values: str) -> JsonObject:
    """Return a node selector term: the label has one of the values."""
    return {"matchExpressions": [{"key": key, "operator": "In", "values": list(values)}]}


def foreign_pod(name: str, *, gpus: int, node: str, bound: bool = False, **spec: Any) -> JsonObject:
    """Return a pod that Ballast does not know and that holds GPUs until it is deleted.

    Args:
        name: its name.
        gpus: how many it holds.
        node: where.
        bound: it comes with its node, past kube-scheduler.
        spec: further fields by their names in the API.
    """
    resources = {"limits": {"nvidia.com/gpu": str(gpus)}} if gpus else {}
    where: JsonObject = {"nodeName": node} if bound else {"nodeSelector": {"kubernetes.io/hostname": node}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "tolerations": [KWOK_TOLERATION],
            **where,
            **spec,
            "containers": [{"name": "notebook", "image": "example.com/notebook:1", "resources": resources}],
        },
    }
