"""Whether a job's trainer saves where its next attempt finds it: only then may Ballast stop it on its own account.

What must hold: a directory counts only if its volume outlives the pods, and the trainer may write there.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from ballast.api.podtemplate import TRAINER_CONTAINER
from ballast.api.trainingjob import TrainingJob
from ballast.observe.parsing import JsonObject

DIRECTORY = "BALLAST_CHECKPOINT_DIR"


def keeps_checkpoints(job: TrainingJob) -> bool:
    """Return whether `$BALLAST_CHECKPOINT_DIR` of the trainer lies on a PersistentVolumeClaim that it mounts to write.

    The API server keeps whatever stands in a template: one of another shape keeps none.
    """
    try:
        return _keeps_checkpoints(job.spec.template["spec"])
    except (AttributeError, KeyError, TypeError, ValueError):
        return False


def _keeps_checkpoints(spec: JsonObject) -> bool:
    trainer = next(each for each in spec["containers"] if each["name"] == TRAINER_CONTAINER)
    # Of two variables of a name the last one counts.
    values = [each.get("value") for each in trainer.get("env") or () if each["name"] == DIRECTORY]
    if not values or not values[-1]:
        return False
    directory = PurePosixPath(values[-1])
    claims = {each["name"]: each.get("persistentVolumeClaim") for each in spec.get("volumes") or ()}
    mounts = [
        each for each in trainer.get("volumeMounts") or () if directory.is_relative_to(PurePosixPath(each["mountPath"]))
    ]
    if not mounts:
        return False
    # Where mounts lie within each other, the innermost has it.
    mount = max(mounts, key=lambda each: len(PurePosixPath(each["mountPath"]).parts))
    claim = claims.get(mount["name"])
    return claim is not None and not claim.get("readOnly") and not mount.get("readOnly")
