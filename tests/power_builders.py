"""Builders of NodePowers and what belongs to them, for tests of `decide`, `observe` and the agent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ballast.api.nodepower import NodePower, NodePowerSpec, PodOperatingPoint
from ballast.api.nodestatus import (
    ClockRange,
    Enforced,
    GpuHolder,
    GpuStatus,
    NodePowerStatus,
    PowerLimitRange,
)
from ballast.api.operatingpoint import OperatingPoint
from ballast.decide.gpu_asks import Ask, HeldGpu, NodeView
from tests.builders import JobBuilder, at, job

MHZ = 1_000_000


def point(watts: float | None = None, mhz: int | None = None, lowest_mhz: int | None = None) -> OperatingPoint:
    """Return an operating point."""
    highest = None if mhz is None else mhz * MHZ
    lowest = None if mhz is None else (lowest_mhz or mhz) * MHZ
    return OperatingPoint(power_limit_watts=watts, min_clock_hertz=lowest, max_clock_hertz=highest)


def gpu(
    uuid: str = "GPU-0",
    model: str = "NVIDIA-A40",
    *,
    found: float | None = 300,
    enforced: OperatingPoint | None = None,
    holders: Iterable[str] = (),
    problem: str | None = None,
    lowest_mhz: int | None = 210,
) -> GpuStatus:
    """Return a GPU as its agent tells of it; by default an A40 that is as it was found."""
    return GpuStatus(
        uuid=uuid,
        model=model,
        power_limit=PowerLimitRange(min_watts=100, max_watts=300, default_watts=300, found_watts=found)
        if found is not None
        else None,
        clock=ClockRange(min_hertz=lowest_mhz * MHZ, max_hertz=1740 * MHZ) if lowest_mhz is not None else None,
        enforced=Enforced(operating_point=enforced, since=at(0)) if enforced is not None else None,
        holders=tuple(GpuHolder(uid=uid) for uid in holders),
        problem=problem,
    )


def node_power(
    name: str, *gpus: GpuStatus, version: int = 1, uid: str = "", pods: Iterable[PodOperatingPoint] = ()
) -> NodePower:
    """Return a NodePower."""
    return NodePower.parse(manifest(name, *gpus, version=version, uid=uid, pods=pods))


def manifest(
    name: str, *gpus: GpuStatus, version: int = 1, uid: str = "", pods: Iterable[PodOperatingPoint] = ()
) -> dict[str, Any]:
    """Return a NodePower as the API server has it."""
    metadata = {"name": name, "uid": uid or f"uid-of-power-of-{name}", "resourceVersion": str(version)}
    return {
        "apiVersion": "ballast.dev/v1alpha1",
        "kind": "NodePower",
        "metadata": metadata,
        "spec": NodePowerSpec(pods=tuple(pods)).to_manifest(),
        "status": NodePowerStatus(gpus=gpus, gpu_count=len(gpus)).to_manifest(),
    }


def view(name: str, power: NodePower | None, *asks: Ask, labels: tuple[tuple[str, str], ...] = ()) -> NodeView:
    """Return a node as `decide` sees it."""
    return NodeView(name, f"uid-of-{name}", labels, power, asks)


def ask(
    pod_uid: str, node: str = "a", watts: float | None = 150, mhz: int | None = None, namespace: str = "team"
) -> Ask:
    """Return what a pod asks of its GPUs."""
    return Ask(node, pod_uid, namespace, f"name-of-{pod_uid}", watts, None if mhz is None else mhz * MHZ)


def capped_job(
    name: str = "train", *, gpus: int = 1, watts: str | None = "150W", clock: str | None = None
) -> JobBuilder:
    """Return a job that asks for a fixed operating point."""
    fixed = ({"powerLimit": watts} if watts else {}) | ({"maxClock": clock} if clock else {})
    return job(name).with_gpus(gpus).at_point(mode="Fixed", **fixed)


def on_gpus(builder: JobBuilder, gpus: int = 1) -> JobBuilder:
    """Return the job with places that have GPUs."""
    placement = tuple(place.model_copy(update={"gpus": gpus, "gpu_model": "A40"}) for place in builder.status.placement)
    return builder.with_status(placement=placement)


def held(uuid: str = "GPU-0", enforced: OperatingPoint | None = None, **more: Any) -> HeldGpu:
    """Return a GPU that a pod holds."""
    return HeldGpu(uuid, 300.0, enforced, **more)
