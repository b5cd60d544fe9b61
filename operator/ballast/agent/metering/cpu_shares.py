"""What the CPU packages and the memory used, and whose it was: readings and CPU time together, about once a second.

What must hold: the joules that pods are charged for and those that stay unattributed are what the packages counted. A
pod is charged from the moment at which its CPU time is first seen; what it used before stays unattributed, and what was
used while no agent ran is not counted at all.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Mapping
from typing import Final

from ballast.agent.metering.accounts import Accounts
from ballast.agent.metering.attribution import split_cpu
from ballast.agent.metering.cgroups import NodeCpuTime, PodCpuTime
from ballast.agent.metering.cpu import CpuMeter, CpuReading
from ballast.agent.metering.gpu_meter import IdleWatts
from ballast.api.nodestatus import CpuPackage
from ballast.api.readings import Source

logger = logging.getLogger(__name__)

IDLE_BUSY_SHARE: Final = 0.03
"""A node of which less is busy counts as idle: it is never wholly so."""
IDLE_STEP_WATTS: Final = 2.0


class CpuShares:
    """Meters CPUs and memory and charges pods.

    Args:
        meter: tells the joules.
        pod_time: of pods.
        node_time: of everything.
        accounts: are charged.
        idle_watts: of each package by its number, where that is known and not to be measured, as a model knows it.

    Attributes:
        reading: the newest; None before the first.
        unattributed_joules: of the packages.
        unattributed_dram_joules: of the memory.
    """

    def __init__(
        self,
        meter: CpuMeter,
        pod_time: PodCpuTime,
        node_time: NodeCpuTime,
        accounts: Accounts,
        idle_watts: Mapping[int, float] | None = None,
    ) -> None:
        self._meter = meter
        self._pod_time = pod_time
        self._node_time = node_time
        self._accounts = accounts
        self._stated = dict(idle_watts or {})
        self._idle: dict[int, IdleWatts] = {}
        self._told: dict[int, float] = {}
        self._dram_idle = IdleWatts()
        self._cpus = os.cpu_count() or 1
        self._seconds: dict[str, float] = {}
        self._busy = 0.0
        self.reading: CpuReading | None = None
        self.unattributed_joules = 0.0
        self.unattributed_dram_joules = 0.0

    def packages(self) -> tuple[CpuPackage, ...]:
        """Return the packages as a node's status tells of them."""
        reading = self.reading
        if reading is None:
            return ()
        return tuple(
            CpuPackage(
                index=package.index,
                metered=reading.source is Source.COUNTER,
                dram=package.dram_joules is not None,
                idle_watts=self._measured(package.index),
            )
            for package in reading.packages
        )

    def close(self) -> None:
        """Let go of what is open."""
        self._pod_time.close()
        self._node_time.close()

    def tick(self, uids: Collection[str], now: float) -> None:
        """Read everything and charge pods for what they used since the last time.

        Args:
            uids: of the node's pods.
            now: seconds on the steady clock.
        """
        self._pod_time.follow(uids, now)
        reading = self._meter.read()
        busy = self._node_time.busy_seconds()
        seconds: dict[str, float] = {}
        for uid in uids:
            used = self._pod_time.seconds(uid)
            if used is not None:
                seconds[uid] = used
        last, self.reading = self.reading, reading
        before, self._seconds = self._seconds, seconds
        busy_before, self._busy = self._busy, busy
        if last is None or reading.at <= last.at:
            return
        passed = reading.at - last.at
        node_seconds = max(busy - busy_before, 0.0)
        ran = {uid: max(used - before.get(uid, used), 0.0) for uid, used in seconds.items()}
        self._charge(last, reading, passed, ran, node_seconds)

    def _charge(
        self, last: CpuReading, reading: CpuReading, passed: float, ran: Mapping[str, float], node_seconds: float
    ) -> None:
        is_idle = node_seconds < IDLE_BUSY_SHARE * self._cpus * passed
        joules = max(reading.joules - last.joules, 0.0)
        for old, new in zip(last.packages, reading.packages, strict=False):
            idle = self._idle.setdefault(new.index, IdleWatts(self._stated.get(new.index)))
            if new.index not in self._stated:
                idle.add(reading.at, (new.joules - old.joules) / passed, is_idle=is_idle)
        idle_watts = sum(idle.watts for idle in self._idle.values())
        shares = split_cpu(joules, passed, idle_watts, list(ran.values()), node_seconds)
        for uid, active in zip(ran, shares.active, strict=True):
            self._accounts.charge_cpu(uid, active, active / passed, reading.source)
        self.unattributed_joules += shares.unattributed
        if last.dram_joules is None or reading.dram_joules is None:
            return
        joules = max(reading.dram_joules - last.dram_joules, 0.0)
        self._dram_idle.add(reading.at, joules / passed, is_idle=is_idle)
        shares = split_cpu(joules, passed, self._dram_idle.watts, list(ran.values()), node_seconds)
        for uid, active in zip(ran, shares.active, strict=True):
            self._accounts.charge_dram(uid, active, active / passed, reading.source)
        self.unattributed_dram_joules += shares.unattributed

    def _measured(self, index: int) -> float | None:
        """Return a package's idle power, as told before unless it is quite another: a status must not flicker."""
        idle, told = self._idle.get(index), self._told.get(index)
        measured = None if idle is None else idle.measured
        if measured is not None and (told is None or abs(measured - told) >= IDLE_STEP_WATTS):
            self._told[index] = round(measured, 1)
        return self._told.get(index)
