"""Puts the parts' present state together into the NodePower's status, and judges how the agent fares.

What must hold: each condition says in one sentence, with numbers, why it is as it is, and what to do if it is not well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from ballast.agent.capping.capper import GpuState
from ballast.agent.capping.enforcement import Confirmed, Enforcement
from ballast.agent.device import Sample
from ballast.agent.gpus import Gpus
from ballast.agent.metering.meter_loop import Metering
from ballast.agent.node.holders import Holder
from ballast.agent.node.pods import PodOnNode
from ballast.agent.telling.inventory import Confirmation, GpuFacts, Health, status
from ballast.api.conditions import Condition
from ballast.api.nodestatus import EndedPod, NodePowerStatus
from ballast.api.readings import Source

IDLE_STEP_WATTS = 2.0
"""A new figure of idle power is told only if it differs so much: it is measured again and again."""
SHOWN = 3

Told = tuple[bool, str, str]


class Reporter:
    """Makes statuses; remembers what must not flicker.

    Args:
        version: the agent's.
        wall: seconds since the epoch.
        steady: steady seconds, by which parts tell their times.
    """

    def __init__(self, version: str, wall: Callable[[], float], steady: Callable[[], float]) -> None:
        self._version = version
        self._wall = wall
        self._steady = steady
        self._conditions: tuple[Condition, ...] = ()
        self._idle: dict[str, float] = {}
        self._confirmations: dict[str, tuple[Confirmed, Confirmation]] = {}
        self._found: dict[str, float] = {}
        self._restored: dict[str, tuple[float, float]] = {}

    def status(
        self,
        gpus: Gpus,
        enforcement: Enforcement,
        metering: Metering,
        holders: Mapping[str, tuple[Holder, ...]] | None,
        pods: Mapping[str, PodOnNode],
        generation: int | None,
        *,
        operator_fresh: bool,
        ended: Sequence[EndedPod] = (),
        ending: bool = False,
    ) -> NodePowerStatus:
        """Return the status as it is now.

        Args:
            gpus: what answers.
            enforcement: what is enforced.
            metering: what is metered.
            holders: who holds which GPU; None while that is not known.
            pods: the node's pods.
            generation: of the spec that it goes by.
            operator_fresh: whether the operator's Lease is renewed.
            ended: what training pods used that have ended.
            ending: whether the agent is about to end.
        """
        facts = [
            self._facts(uuid, gpus, enforcement, metering, (holders or {}).get(uuid, ())) for uuid in gpus.descriptions
        ]
        health = Health(
            ready=_ready(gpus, holders, ending),
            enforced=_enforced(facts),
            metered=_metered(metering),
            operator_fresh=_operator(operator_fresh),
        )
        new = status(
            facts,
            metering.cpus.packages() if metering.cpus is not None else (),
            pods,
            health,
            version=self._version,
            driver=gpus.driver.version,
            generation=generation,
            ended=ended,
            before=self._conditions,
            now=datetime.fromtimestamp(int(self._wall()), UTC),
        )
        self._conditions = new.conditions
        return new

    def _facts(
        self, uuid: str, gpus: Gpus, enforcement: Enforcement, metering: Metering, holders: tuple[Holder, ...]
    ) -> GpuFacts:
        state, confirmed = enforcement.states.get(uuid), enforcement.confirmed.get(uuid)
        metered = metering.gpus.get(uuid)
        sample = metered.sample if metered is not None else None
        confirmation = self._confirmation(uuid, confirmed) if confirmed is not None else None
        return GpuFacts(
            description=gpus.descriptions[uuid],
            state=state,
            confirmation=confirmation,
            present_watts=self._present_watts(uuid, state, sample),
            idle_watts=self._idle_watts(uuid, metered.idle.measured if metered is not None else None),
            is_changed=uuid in enforcement.changed,
            holders=[(holder.pod_uid, holder.mig_device) for holder in holders],
        )

    def _present_watts(self, uuid: str, state: GpuState | None, sample: Sample | None) -> float | None:
        """Return its present power limit: a round reads back what it set, which the newest sample may not show yet."""
        found = state.found_power_limit_watts if state is not None else None
        if found is not None:
            self._found[uuid] = found
            self._restored.pop(uuid, None)
        elif uuid in self._found:
            self._restored[uuid] = self._found.pop(uuid), self._steady()
        watts, at = self._restored.get(uuid, (None, 0.0))
        if state is not None and state.since is not None and state.enforced is not None:
            watts, at = state.enforced.power_limit_watts or watts, max(state.since, at)
        if sample is not None and (watts is None or sample.at > at):
            self._restored.pop(uuid, None)
            return sample.power_limit_watts
        return watts

    def _confirmation(self, uuid: str, confirmed: Confirmed) -> Confirmation:
        """Return it by the wall clock, once and for all: the same moment must not be told in two ways."""
        known = self._confirmations.get(uuid)
        if known is None or known[0] != confirmed:
            since = datetime.fromtimestamp(int(self._wall() - (self._steady() - confirmed.at) + 0.5), UTC)
            delay = None if confirmed.asked_at is None else confirmed.at - confirmed.asked_at
            known = self._confirmations[uuid] = confirmed, Confirmation(since, delay)
        return known[1]

    def _idle_watts(self, uuid: str, measured: float | None) -> float | None:
        told = self._idle.get(uuid)
        if measured is not None and (told is None or abs(measured - told) >= IDLE_STEP_WATTS):
            self._idle[uuid] = measured
        return self._idle.get(uuid)


def _ready(gpus: Gpus, holders: Mapping[str, tuple[Holder, ...]] | None, ending: bool) -> Told:
    if ending:
        return False, "Ended", "the agent has ended; every GPU has what was found, where no problem is told"
    if gpus.problem is not None:
        return False, "GpuMissing", gpus.problem
    if holders is None:
        return False, "HoldersUnknown", "the kubelet has not told yet which pod holds which GPU"
    if gpus.driver.version is None:
        return True, "NoGpus", "no GPU driver here: CPUs are metered, and there is nothing to set"
    return True, "AgentReady", f"{len(gpus.devices)} GPUs answer; driver {gpus.driver.version}"


def _enforced(facts: list[GpuFacts]) -> Told:
    problems = [f"{fact.description.uuid}: {fact.state.problem}" for fact in facts if fact.state and fact.state.problem]
    if problems:
        more = f"; and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        return False, "PointRefused", "; ".join(problems[:SHOWN]) + more
    changed = sum(fact.state is not None and fact.state.enforced is not None for fact in facts)
    left = sum(fact.is_changed for fact in facts) - changed
    if left > 0:
        return False, "LeftChanged", f"{left} GPUs are as an earlier agent left them, until spec and holders are known"
    if not changed:
        return True, "NothingAsked", "every GPU is as it was found"
    return True, "PointsConfirmed", f"{changed} of {len(facts)} GPUs have what was asked for, read back"


def _metered(metering: Metering) -> Told:
    problems = [f"{gpu.uuid}: {gpu.problem}" for gpu in metering.gpus.values() if gpu.problem]
    if problems:
        return False, "CounterDisagrees", "; ".join(problems[:SHOWN])
    integral = sorted(gpu.uuid for gpu in metering.gpus.values() if gpu.source is Source.INTEGRAL)
    if integral:
        return True, "PowerSummedUp", f"no energy counter, watts are added up: {', '.join(integral[:SHOWN])}"
    reading = metering.cpus.reading if metering.cpus is not None else None
    if reading is not None and reading.source is Source.ESTIMATED:
        return False, "CpuEstimated", "GPUs count joules; CPUs tell nothing (no RAPL), and a model estimates them"
    return True, "Counted", "GPUs and CPUs count joules"


def _operator(fresh: bool) -> Told:
    if fresh:
        return True, "LeaseRenewed", "the operator renews its Lease"
    return False, "LeaseStale", "the operator's Lease is not renewed: spec.withoutOperator holds"
