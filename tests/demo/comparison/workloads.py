"""The ten jobs: two workloads, one better on A40s, the other on V100s, as Zeus measured them.

A job is a fixed number of steps, each a fixed amount of CPU time, which depends on the GPU model that the trainer finds
by NVML. The simulator slows the trainer to what its board's power limit allows and lets the board draw what was
measured for this workload (`tests/nvmlsim/load.py`). What must hold: a plain Job and a TrainingJob of the same name
have the same pods but for what Ballast adds by itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from tests.demo.comparison.trainer import PROGRAM
from tests.demo.kubectl import JsonObject

IMAGE = "localhost/ballast-operator:dev"
"""Any image with Python in it that is on the nodes."""
CPUS = 0.1
"""Of each trainer: a board's whole speed, so that eight of them leave the machine its CPUs."""
MAX_SLOWDOWN_PERCENT = 25
SUBMITTED_EVERY_SECONDS = 2.5


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What some of the jobs compute.

    Attributes:
        name: also the key of its profile.
        measured_as: the configuration that the simulated boards replay, as `tests/nvmlsim/curves.py` names it.
        step_seconds: of one step on a board without a limit, by GPU model; one model's over the other's is what Zeus
            measured for an epoch.
        steps: of one job.
    """

    name: str
    measured_as: str
    step_seconds: Mapping[str, float]
    steps: int


#: An epoch took 909 s on an A40 and 1,733 s on a V100.
BERT = Workload(
    name="bert-squad",
    measured_as="squad/bert_base_uncased/32/adamw",
    step_seconds={"V100": 0.1733, "A40": 0.0909},
    steps=104,
)
#: An epoch took 9,730 s on an A40 and 6,182 s on a V100.
SPEECH = Workload(
    name="deepspeech2-librispeech",
    measured_as="librispeech/deepspeech2/192/adamw",
    step_seconds={"V100": 0.0618, "A40": 0.0973},
    steps=160,
)
WORKLOADS = (BERT, SPEECH)


@dataclass(frozen=True)
class ComparedJob:
    """One of the ten."""

    name: str
    workload: Workload


def ten_jobs() -> list[ComparedJob]:
    """The jobs in the order in which they come.

    In pairs, so that a scheduler which only spreads pods over the nodes gives neither workload the better boards.
    """
    order = (BERT, BERT, SPEECH, SPEECH, BERT, BERT, SPEECH, SPEECH, BERT, SPEECH)
    return [ComparedJob(f"{each.name.split('-')[0]}-{number}", each) for number, each in enumerate(order)]


def plain_job(job: ComparedJob, namespace: str) -> JsonObject:
    """A batch/v1 Job, which kube-scheduler places as it likes."""
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": job.name, "namespace": namespace},
        "spec": {"backoffLimit": 0, "template": {"spec": {"restartPolicy": "Never", **_pod(job)}}},
    }


def training_job(job: ComparedJob, namespace: str) -> JsonObject:
    """The same as a TrainingJob, whose energy is Ballast's to save within a slowdown."""
    return {
        "apiVersion": "ballast.dev/v1alpha1",
        "kind": "TrainingJob",
        "metadata": {"name": job.name, "namespace": namespace},
        "spec": {
            "checkpointGraceSeconds": 2,
            "energy": {"profileKey": job.workload.name, "maxSlowdownPercent": MAX_SLOWDOWN_PERCENT},
            "template": {"spec": _pod(job)},
        },
    }


def _pod(job: ComparedJob) -> JsonObject:
    workload = job.workload
    cpus = f"{round(CPUS * 1000)}m"
    step_cpu_seconds = {model: CPUS * seconds for model, seconds in workload.step_seconds.items()}
    return {
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 1000,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": "trainer",
                "image": IMAGE,
                "imagePullPolicy": "IfNotPresent",
                "command": ["python", "-S", "-c", PROGRAM],
                "env": [
                    {"name": "STEPS", "value": str(workload.steps)},
                    {"name": "STEP_CPU_SECONDS", "value": json.dumps(step_cpu_seconds)},
                    {"name": "NVMLSIM_WORKLOAD", "value": workload.measured_as},
                ],
                "resources": {
                    "requests": {"cpu": cpus, "memory": "64Mi"},
                    "limits": {"cpu": cpus, "nvidia.com/gpu": "1"},
                },
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
            }
        ],
    }
