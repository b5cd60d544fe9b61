"""What tests of learning are made of: boards that tell all of themselves, profiles, and answers of Prometheus."""

from __future__ import annotations

from typing import Any

from ballast.api.finalreading import Training
from ballast.api.nodestatus import Capability, GpuStatus
from ballast.api.source import Component
from ballast.decide.telemetry import Poll, Telemetry
from ballast.observe.held_points import HeldPoint
from tests.builders import NOW, JsonObject
from tests.power_builders import gpu

MODEL = "NVIDIA-A40"
POINT = HeldPoint(attempt=1, pods=("uid-of-pod",), gpus=2, limit_watts=300.0, max_clock_hertz=1_740_000_000)


def board(uuid: str = "GPU-0", *, idle: float | None = 30.0, **more: Any) -> GpuStatus:
    """Return a GPU as `gpu` makes it, whose power limit can be set and whose idle power is known."""
    return gpu(uuid, **more).model_copy(update={"capabilities": (Capability.POWER_LIMIT,), "idle_watts": idle})


def answer(
    seconds: float,
    *,
    step: int | None = None,
    joules: float | None = None,
    reported: float | None = None,
    read: float | None = None,
    attempt: int = 1,
    pods: int = 1,
) -> Telemetry:
    """Return what Prometheus says so many seconds after `NOW` of a training with 10 steps and 400 J a second.

    Args:
        seconds: when it is asked.
        step: that the trainer reported.
        joules: of its GPUs.
        reported: when the trainer reported, after `NOW`.
        read: when the meter looked.
        attempt: of the job.
        pods: of how many there are figures.
    """
    reported, read = seconds if reported is None else reported, seconds if read is None else read
    return Telemetry(
        attempt=attempt,
        asked_at=NOW + seconds,
        pods=pods,
        oldest_at=NOW + read,
        read_at=NOW + read,
        joules={Component.GPU: 400 * read if joules is None else joules},
        training=Training(step=int(10 * reported) if step is None else step, reported_at=NOW + reported),
    )


def poll(told: Telemetry, job: str = "uid-of-train") -> Poll:
    """Return an answer about one job."""
    return Poll(told.asked_at, {job: told})


def profile(
    *limits: float,
    namespace: str = "team",
    key: str = "resnet",
    name: str = "resnet",
    version: int = 1,
    samples: int = 1,
) -> JsonObject:
    """Return an EnergyProfile with a point at each limit, as the API server has it."""
    points = [
        {
            "gpus": 1,
            "powerLimitWatts": limit,
            "maxClockHertz": 1_740_000_000,
            "stepsPerSecond": limit / 30,
            "wattsPerGpu": limit / 2,
            "samples": samples,
            "measuredSeconds": 30,
        }
        for limit in limits
    ]
    return {
        "apiVersion": "ballast.dev/v1alpha1",
        "kind": "EnergyProfile",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"uid-of-{namespace}-{name}",
            "resourceVersion": str(version),
        },
        "spec": {"profileKey": key, "gpuModel": MODEL, "points": points},
    }
