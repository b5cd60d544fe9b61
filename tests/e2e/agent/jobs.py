"""Jobs that compute on simulated GPUs: a program that keeps its share of a CPU busy, which is the boards' load."""

from __future__ import annotations

from tests.e2e.manifests import TrainingJobManifest, training_job

IMAGE = "localhost/ballast-operator:dev"  # any image with Python in it
GPU_TOLERATION = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
CPUS = "200m"
"""A little: some of these run side by side."""

COMPUTE = "import time; end = time.monotonic() + {seconds}\nwhile time.monotonic() < end: sum(range(1000))"
IDLE = "import time; time.sleep({seconds})"


def gpu_job(
    name: str,
    node: str,
    *,
    watts: int | None = None,
    clock: str | None = None,
    seconds: float = 600,
    program: str = COMPUTE,
    gpus: int = 1,
) -> TrainingJobManifest:
    """Return a job of one pod on a node, that holds GPUs and computes.

    Args:
        name: of the job.
        node: where it runs.
        watts: the power limit of its fixed operating point.
        clock: the highest clock of its fixed operating point.
        seconds: how long it computes.
        program: what it runs, with `seconds` in braces.
        gpus: how many it holds.
    """
    point = {"mode": "Fixed"} | ({"powerLimit": f"{watts}W"} if watts else {}) | ({"maxClock": clock} if clock else {})
    job = (
        training_job(name)
        .gpus(gpus)
        .requests(cpu=CPUS, memory="64Mi")
        .on_node(node)
        .tolerates(GPU_TOLERATION)
        .image(IMAGE)
        .trainer(
            command=["python", "-c", program.format(seconds=seconds)],
            securityContext={
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            },
        )
        .limits(cpu=CPUS)
        .pod(
            securityContext={"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            automountServiceAccountToken=False,
        )
        .spec(checkpointGraceSeconds=2)
    )
    return job.spec(energy={"operatingPoint": point}) if len(point) > 1 else job
