"""GPUs that were limited, metered and put back as they should be; tests change what they are about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tests.demo.checks import Outcome
from tests.demo.gpu_power import GpuPower, GpuUse
from tests.demo.node_powers import Gpu
from tests.demo.objects import Asked, Node
from tests.unit.demo.builders import gang_of, job_of

V100 = Node(name="real-v100", gpus=4, gpu_product="Tesla-V100-PCIE-32GB")
FREE = Asked(name="free", gpus_per_pod=1)
LIMITED = Asked(name="limited", gpus_per_pod=1, power_limit_watts=150.0)


def gpu(uuid: str = "GPU-1", **changes: Any) -> Gpu:
    """A GPU as it was found."""
    return replace(Gpu(uuid=uuid, node="real-v100", model="V100", found_watts=250.0), **changes)


def free_use(**changes: Any) -> GpuUse:
    """A training that drew 180 W for 20 s."""
    return replace(GpuUse(job="free", gpu=gpu("GPU-1"), joules=3600.0, seconds=20.0, samples=20_000), **changes)


def limited_use(**changes: Any) -> GpuUse:
    """The same under 150 W: it drew 126 W for 22 s."""
    limited = gpu("GPU-2", enforced_watts=150.0, delay_seconds=0.3)
    use = GpuUse(job="limited", gpu=limited, asked_watts=150.0, joules=2772.0, seconds=22.0, samples=20_000)
    return replace(use, **changes)


def power_of(uses: Sequence[GpuUse] | None = None, **changes: Any) -> GpuPower:
    """Both trainings, and two GPUs that are as they were."""
    limits = {"GPU-1": 250.0, "GPU-2": 250.0}
    power = GpuPower(
        uses=(free_use(), limited_use()) if uses is None else uses,
        before=limits,
        after=dict(limits),
        source="read from the boards themselves",
        simulated=True,
        note="simulated",
    )
    return replace(power, **changes)


def outcome_of_both() -> Outcome:
    """The demo with these two jobs."""
    asked = [FREE, LIMITED]
    return Outcome(
        asked=asked,
        jobs={each.name: job_of(each, V100) for each in asked},
        pods=[pod for each in asked for pod in gang_of(each, V100)],
        nodes={V100.name: V100},
    )


def node_power(*gpus: dict[str, Any], name: str = "real-v100", kind: str = "MODIFIED") -> dict[str, Any]:
    """A watch event about a NodePower."""
    return {"type": kind, "object": {"metadata": {"name": name}, "status": {"gpus": list(gpus)}}}


def gpu_status(uuid: str = "GPU-1", *, enforced: float | None = None, holders: Sequence[str] = ()) -> dict[str, Any]:
    """A GPU as its agent tells of it."""
    status: dict[str, Any] = {
        "uuid": uuid,
        "model": "V100",
        "powerLimit": {"minWatts": 100, "maxWatts": 250, "defaultWatts": 250, "foundWatts": 250},
        "holders": [{"uid": uid} for uid in holders],
    }
    if enforced is not None:
        status["enforced"] = {"operatingPoint": {"powerLimitWatts": enforced}, "delaySeconds": 0.25}
    return status
