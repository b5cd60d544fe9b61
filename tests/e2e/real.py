"""Jobs that really train: from the project's images, on the real node, with the examples' security settings."""

from __future__ import annotations

from tests.e2e.manifests import TrainingJobManifest, training_job
from tests.e2e.operator_process import REPOSITORY

EXAMPLES = REPOSITORY / "workloads" / "examples"
TRAINER_IMAGE = "localhost/ballast-trainer:dev"
TRAINING_TIMEOUT_SECONDS = 240.0


def real_job(name: str, *command: str) -> TrainingJobManifest:
    """Return a job of one pod that runs a command in the trainer's image on a real node."""
    return (
        training_job(name)
        .requests(cpu="200m", memory="400Mi")
        .tolerates()
        .trainer(
            image=TRAINER_IMAGE,
            imagePullPolicy="IfNotPresent",
            command=list(command),
            env=[{"name": "BALLAST_CHECKPOINT_DIR", "value": "/checkpoints"}],
            securityContext={
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            },
            volumeMounts=[{"name": "checkpoints", "mountPath": "/checkpoints"}, {"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108 - in the container
        )
        .pod(
            securityContext={"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            automountServiceAccountToken=False,
            volumes=[{"name": "checkpoints", "emptyDir": {}}, {"name": "tmp", "emptyDir": {}}],
        )
        .spec(checkpointGraceSeconds=60)
    )
