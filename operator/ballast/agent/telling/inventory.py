"""The NodePower's status: what the agent found, what it enforces and how it fares.

Pure. What must hold: a figure that was not measured is absent; conditions keep the time of their last change; figures
that flicker (watts, clocks) are left to metrics, so that the status changes only when something did.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ballast.agent.capping.capper import GpuState
from ballast.agent.device import Description
from ballast.agent.node.pods import PodOnNode
from ballast.api.conditions import Condition, set_condition
from ballast.api.nodestatus import (
    MAX_HOLDERS,
    ClockRange,
    CpuPackage,
    EndedPod,
    Enforced,
    GpuHolder,
    GpuStatus,
    NodeCondition,
    NodePowerStatus,
    PowerLimitRange,
)

PROBLEM_LENGTH = 256
IDLE_WATTS_DIGITS = 0


@dataclass(frozen=True, slots=True)
class Confirmation:
    """When a GPU's present operating point was confirmed, and how long that took from the change of the spec."""

    since: datetime
    delay_seconds: float | None


@dataclass(frozen=True, slots=True)
class GpuFacts:
    """Everything about one GPU that the status tells.

    Attributes:
        state: what the capper knows of it; None before its first round.
        confirmation: of the operating point that it has; None while it is as it was found.
        present_watts: the power limit that it has now.
        is_changed: whether it is not, or perhaps not, as it was found.
        holders: UIDs of the pods that hold it, each with its MIG device or None.
    """

    description: Description
    state: GpuState | None = None
    confirmation: Confirmation | None = None
    present_watts: float | None = None
    idle_watts: float | None = None
    is_changed: bool = False
    holders: Sequence[tuple[str, str | None]] = ()


@dataclass(frozen=True, slots=True)
class Health:
    """What the conditions tell: for each whether it holds, in one CamelCase word and one sentence why."""

    ready: tuple[bool, str, str]
    enforced: tuple[bool, str, str]
    metered: tuple[bool, str, str]
    operator_fresh: tuple[bool, str, str]


def status(
    gpus: Sequence[GpuFacts],
    cpus: Sequence[CpuPackage],
    pods: Mapping[str, PodOnNode],
    health: Health,
    *,
    version: str,
    driver: str | None,
    generation: int | None,
    ended: Sequence[EndedPod] = (),
    before: Sequence[Condition],
    now: datetime,
) -> NodePowerStatus:
    """Return the status as it is now.

    Args:
        gpus: the GPUs.
        cpus: the CPU packages.
        pods: the node's pods by UID, for their names.
        health: what the conditions tell.
        version: the agent's.
        driver: the driver's version; None without one.
        generation: of the spec that this is about.
        ended: what training pods used that have ended.
        before: the conditions as they were.
        now: becomes the time of a condition that changed.
    """
    told = tuple(_gpu(facts, pods) for facts in sorted(gpus, key=lambda facts: facts.description.uuid))
    models = {gpu.model for gpu in told}
    # Only those that have one; a sum without what one of them may draw would tell too little.
    limits = [facts.present_watts for facts in gpus if facts.present_watts or facts.description.power_limit_watts]
    known = [watts for watts in limits if watts]
    return NodePowerStatus(
        observed_generation=generation,
        agent=version,
        driver=driver,
        gpu_model=models.pop() if len(models) == 1 else None,
        gpu_count=len(told),
        capped_gpus=sum(facts.is_changed for facts in gpus),
        limit_watts=round(sum(known), 1) if known and len(known) == len(limits) else None,
        gpus=told,
        cpu_packages=tuple(cpus),
        ended_pods=tuple(ended),
        conditions=_conditions(health, before, generation, now),
    )


def _gpu(facts: GpuFacts, pods: Mapping[str, PodOnNode]) -> GpuStatus:
    it, state = facts.description, facts.state
    limits = it.power_limit_watts
    found = facts.present_watts
    if state is not None and state.found_power_limit_watts is not None:
        found = state.found_power_limit_watts
    memory = it.memory_clocks_hertz
    return GpuStatus(
        uuid=it.uuid,
        model=it.model[:63],
        memory_bytes=it.memory_bytes,
        capabilities=tuple(sorted(it.capabilities)),
        power_limit=PowerLimitRange(
            min_watts=limits.lowest,
            max_watts=limits.highest,
            default_watts=it.default_power_limit_watts or limits.highest,
            found_watts=found,
        )
        if limits is not None and found  # no board runs at 0 W: it does not tell
        else None,
        clock=ClockRange(min_hertz=int(it.clock_hertz.lowest), max_hertz=int(it.clock_hertz.highest))
        if it.clock_hertz is not None
        else None,
        memory_clock=ClockRange(min_hertz=memory[0], max_hertz=memory[-1]) if memory else None,
        idle_watts=round(facts.idle_watts, IDLE_WATTS_DIGITS) if facts.idle_watts is not None else None,
        mig=it.mig_enabled,
        enforced=Enforced(
            operating_point=state.enforced,
            since=facts.confirmation.since,
            delay_seconds=round(facts.confirmation.delay_seconds, 3)
            if facts.confirmation.delay_seconds is not None
            else None,
            reapplied=state.reapplied,
        )
        if state is not None and state.enforced is not None and facts.confirmation is not None
        else None,
        holders=tuple(_holder(uid, mig, pods.get(uid)) for uid, mig in facts.holders[:MAX_HOLDERS]),
        problem=_cut(state.problem) if state is not None and state.problem else None,
    )


def _holder(uid: str, mig_device: str | None, pod: PodOnNode | None) -> GpuHolder:
    return GpuHolder(
        uid=uid,
        namespace=pod.namespace if pod is not None else None,
        name=pod.name if pod is not None else None,
        mig_device=mig_device,
    )


def _conditions(
    health: Health, before: Sequence[Condition], generation: int | None, now: datetime
) -> tuple[Condition, ...]:
    conditions = tuple(before)
    for kind, (holds, reason, message) in (
        (NodeCondition.READY, health.ready),
        (NodeCondition.ENFORCED, health.enforced),
        (NodeCondition.METERED, health.metered),
        (NodeCondition.OPERATOR_FRESH, health.operator_fresh),
    ):
        conditions = set_condition(conditions, kind, holds, reason, message, generation=generation, now=now)
    return conditions


def _cut(text: str) -> str:
    return text if len(text) <= PROBLEM_LENGTH else text[: PROBLEM_LENGTH - 1] + "…"
