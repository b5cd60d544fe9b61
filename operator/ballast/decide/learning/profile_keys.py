"""Under which key a job's workload is learned, and what the profile of a key on a GPU model is called.

Pure. What must hold: jobs that run the same image with the same command and arguments have the same key, wherever and
whenever they run; two keys, or two GPU models, never share a profile's name.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from ballast.api.podtemplate import TRAINER_CONTAINER
from ballast.api.trainingjob import TrainingJob

DIGITS = 40
"""Of a key that stands for a workload: 160 bits, which is a good value of a label, too."""

NAME_DIGITS = 10
MAX_READABLE = 40
_OTHER = re.compile(r"[^a-z0-9]+")


def profile_key(job: TrainingJob) -> str:
    """Return the job's `energy.profileKey`, or else the hash of its trainer's image, command and arguments."""
    given = job.spec.energy.profile_key
    if given is not None:
        return given
    containers = job.spec.template["spec"]["containers"]
    trainer: Mapping[str, Any] = next((each for each in containers if each.get("name") == TRAINER_CONTAINER), {})
    runs = [trainer.get("image", ""), list(trainer.get("command") or ()), list(trainer.get("args") or ())]
    return hashlib.sha256(json.dumps(runs, separators=(",", ":")).encode()).hexdigest()[:DIGITS]


def profile_name(key: str, gpu_model: str) -> str:
    """Return the name of the profile that the operator makes: readable, and told from all others by its hash.

    Keys know capitals and underscores, which names do not.
    """
    digest = hashlib.sha256(json.dumps([key, gpu_model]).encode()).hexdigest()[:NAME_DIGITS]
    parts = (_OTHER.sub("-", part.lower()).strip("-")[:MAX_READABLE].rstrip("-") for part in (key, gpu_model))
    return "-".join([*(part for part in parts if part), digest])
