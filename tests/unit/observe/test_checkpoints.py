"""Only a directory on a claim that the trainer may write to outlives its pods."""

from __future__ import annotations

from typing import Any

import pytest

from ballast.observe.checkpoints import keeps_checkpoints
from tests.builders import JobBuilder, job

KEPT = job("train").keeping_checkpoints()


def keeping(value: str | None = "/data/checkpoints", **volume: Any) -> JobBuilder:
    mounts = [{"name": "data", "mountPath": "/data"}, {"name": "scratch", "mountPath": "/data/scratch"}]
    env = [{"name": "BALLAST_CHECKPOINT_DIR", **({"value": value} if value is not None else {})}]
    volumes = [{"name": "data", **volume}, {"name": "scratch", "emptyDir": {}}]
    made = job("train").with_pod_spec(volumes=volumes)
    return JobBuilder(**{**vars(made), "trainer": {"env": env, "volumeMounts": mounts}})


def test_on_a_claim() -> None:
    assert keeps_checkpoints(KEPT.training_job())
    assert keeps_checkpoints(keeping(persistentVolumeClaim={"claimName": "data"}).training_job())


@pytest.mark.parametrize(
    "careless",
    [
        job("train"),
        KEPT.with_env(OTHER="/checkpoints"),
        KEPT.with_env(BALLAST_CHECKPOINT_DIR="/elsewhere"),
        KEPT.with_env(BALLAST_CHECKPOINT_DIR=""),
        KEPT.with_pod_spec(volumes=[]),
        keeping(emptyDir={}),
        keeping(value=None, persistentVolumeClaim={"claimName": "data"}),
        keeping(value="/data/scratch/x", persistentVolumeClaim={"claimName": "data"}),
        keeping(persistentVolumeClaim={"claimName": "data", "readOnly": True}),
        KEPT.with_pod_spec(volumes="none"),
    ],
    ids=[
        "no variable",
        "another variable",
        "no mount",
        "empty",
        "no volume",
        "emptyDir",
        "value from elsewhere",
        "a mount within the claim's",
        "read-only",
        "another shape",
    ],
)
def test_nowhere_else(careless: JobBuilder) -> None:
    assert not keeps_checkpoints(careless.training_job())
