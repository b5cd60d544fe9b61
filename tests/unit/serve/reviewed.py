"""A TrainingJob as it comes to the webhook: `review(job(priorityClassName="urgent"))`."""

from __future__ import annotations

from typing import Any

from ballast.api.trainingjob import TrainingJob

JsonObject = dict[str, Any]


def manifest(
    *, gpus: int = 2, replicas: int = 1, trainer: JsonObject | None = None, name: str = "sweep", **spec: Any
) -> JsonObject:
    """A TrainingJob's manifest; further keywords are fields of the pod's spec."""
    container = {"name": "trainer", "image": "x", "resources": {"limits": {"nvidia.com/gpu": gpus}}, **(trainer or {})}
    return {
        "apiVersion": "ballast.dev/v1alpha1",
        "kind": "TrainingJob",
        "metadata": {"name": name, "namespace": "team", "uid": "u-1"},
        "spec": {"replicas": replicas, "template": {"spec": {"containers": [container], **spec}}},
    }


def job(**words: Any) -> TrainingJob:
    """The same, parsed."""
    return TrainingJob.parse(manifest(**words))


def review(new: JsonObject, old: JsonObject | None = None, operation: str = "") -> JsonObject:
    """An AdmissionReview of it."""
    return {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "review-1",
            "operation": operation or ("UPDATE" if old else "CREATE"),
            "namespace": "team",
            "name": new["metadata"]["name"],
            "object": new,
            "oldObject": old,
        },
    }
