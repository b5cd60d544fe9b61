"""A volume that outlives a test's pods, and jobs whose trainers save there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.e2e.kube import Kube
from tests.e2e.manifests import TrainingJobManifest
from tests.e2e.namespace import Namespace

CLAIM = "checkpoints"
VOLUMES_PATH = "/api/v1/persistentvolumes"
SIZE = "1Mi"


@contextmanager
def checkpoint_volume(namespace: Namespace, kube: Kube) -> Iterator[None]:
    """Make a claim, and the volume that it is bound to, for as long as the test needs them."""
    claims_path = f"/api/v1/namespaces/{namespace.name}/persistentvolumeclaims"
    volume = f"{namespace.name}-{CLAIM}"
    common = {"accessModes": ["ReadWriteMany"], "storageClassName": ""}
    kube.create(
        VOLUMES_PATH,
        {
            "metadata": {"name": volume},
            "spec": {
                **common,
                "capacity": {"storage": SIZE},
                "hostPath": {"path": f"/var/lib/{volume}"},
                "claimRef": {"namespace": namespace.name, "name": CLAIM},
                "persistentVolumeReclaimPolicy": "Retain",
            },
        },
    )
    claim = {**common, "volumeName": volume, "resources": {"requests": {"storage": SIZE}}}
    kube.create(claims_path, {"metadata": {"name": CLAIM}, "spec": claim})
    try:
        yield
    finally:
        kube.delete(f"{claims_path}/{CLAIM}")
        kube.delete(f"{VOLUMES_PATH}/{volume}")


def saving(job: TrainingJobManifest) -> TrainingJobManifest:
    """Let a job's trainer save to that volume."""
    return job.pod(volumes=[{"name": CLAIM, "persistentVolumeClaim": {"claimName": CLAIM}}]).trainer(
        env=[{"name": "BALLAST_CHECKPOINT_DIR", "value": "/checkpoints"}],
        volumeMounts=[{"name": CLAIM, "mountPath": "/checkpoints"}],
    )
