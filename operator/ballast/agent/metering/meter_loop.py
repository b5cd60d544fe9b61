"""Reads all GPUs and CPUs again and again, finds out whose the joules are, and charges the pods' accounts.

Blocking, and made for one thread: the agent calls `tick` at its sampling rate on the device thread. Counters and power
are read at each tick; everything else, and who used what, once a second, whatever the rate.

What must hold (G4): what pods are charged for a GPU and what stays unattributed are what its meter counted. An interval
belongs to those who held the GPU in it: when holders change, what was counted until then is charged first. A gap (the
GPU was lost, the agent was down) is charged only if the same pods hold the GPU before and after it, else to nobody.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from ballast.agent.device import Description, DeviceError, DriverGone, PowerDevice, Sample
from ballast.agent.metering.accounts import Accounts, Json
from ballast.agent.metering.accounts_file import AccountsFile
from ballast.agent.metering.attribution import split_gpu
from ballast.agent.metering.cpu_shares import CpuShares
from ballast.agent.metering.gpu_meter import LONGEST_INTERVAL_SECONDS, GpuMeter, IdleWatts, Interval
from ballast.agent.metering.usage import GpuUsage, PodsOfProcesses
from ballast.agent.node.holders import Holder
from ballast.agent.node.pods import PodOnNode
from ballast.api.readings import Source

logger = logging.getLogger(__name__)

FULL_SECONDS: Final = 1.0
"""How often everything is read, and charged."""
SAVE_SECONDS: Final = 10.0
IDLE_SHARE_OF_LIMIT: Final = 0.2
"""No board draws more of its highest power limit without load; holds until its idle power was measured."""

Holders = Mapping[str, Sequence[Holder]]
"""The pods that hold each GPU, by its UUID."""


class MeteredGpu:
    """One GPU: its meter, and its totals.

    Attributes:
        sample: its newest full reading; None while it cannot be read.
        joules: counted since the first agent of this boot began.
        unattributed_joules: of these, what no pod was charged for.
        failed_reads: how often it could not be read.
    """

    def __init__(self, device: PowerDevice, description: Description, meter: GpuMeter, idle: IdleWatts) -> None:
        self.device: PowerDevice | None = device
        self.description = description
        self.meter = meter
        self.idle = idle
        self.usage = GpuUsage(device)
        self.holders: tuple[Holder, ...] | None = None
        self.sample: Sample | None = None
        self.source = Source.COUNTER
        self.joules = 0.0
        self.unattributed_joules = 0.0
        self.failed_reads = 0
        self.pending_joules = 0.0
        self.pending_seconds = 0.0
        self.gap: Interval | None = None
        self.held_before_gap: tuple[Holder, ...] | None = None

    def miss(self) -> None:
        """Note that it could not be read: a gap begins, or goes on."""
        self.meter.missed()
        self.sample = None
        if self.held_before_gap is None:
            self.held_before_gap = self.holders

    @property
    def uuid(self) -> str:
        """Its UUID."""
        return self.description.uuid

    @property
    def problem(self) -> str | None:
        """What is wrong with its figures, and the remedy."""
        return self.meter.problem


class Metering:
    """Meters a node.

    Args:
        accounts: are charged.
        processes: whose process is whose.
        cpus: meters the CPUs; None to leave them out.
        file: keeps totals over a restart of the agent; None to keep nothing.
        sample_hertz: how often `tick` will be called.
    """

    def __init__(
        self,
        accounts: Accounts,
        processes: PodsOfProcesses,
        cpus: CpuShares | None = None,
        file: AccountsFile | None = None,
        sample_hertz: float = 1.0,
    ) -> None:
        self._accounts = accounts
        self._processes = processes
        self._cpus = cpus
        self._file = file
        period = 1.0 / sample_hertz
        self._longest_seconds = max(LONGEST_INTERVAL_SECONDS, 3 * period)
        self._full_seconds = FULL_SECONDS - period / 2  # lest a tick that is a little early waits for the next
        self._full_at = float("-inf")
        self._saved_at = float("-inf")
        self._all: dict[str, MeteredGpu] = {}
        self._saved: Json = {}
        if file is not None:
            self._restore(file.load())

    @property
    def gpus(self) -> Mapping[str, MeteredGpu]:
        """All GPUs that were ever seen, by UUID; may be read on any thread."""
        return self._all

    @property
    def cpus(self) -> CpuShares | None:
        """The CPUs."""
        return self._cpus

    def adopt(self, devices: Sequence[PowerDevice], descriptions: Mapping[str, Description]) -> None:
        """Meter these GPUs from now on: at the start, and whenever GPUs come or go, or the driver was reopened.

        Args:
            devices: that answer; any other that was adopted before is void.
            descriptions: of each, by UUID.
        """
        for gpu in self._all.values():
            if not any(gpu.device is device for device in devices):
                gpu.device = None
                gpu.miss()
        for device in devices:
            description = descriptions[device.uuid]
            known = self._all.get(device.uuid)
            if known is None:  # a new mapping, because others may be reading the old one
                self._all = {**self._all, device.uuid: self._new(device, description)}
            elif known.device is device:
                known.description = description
            else:
                known.device, known.description, known.usage = device, description, GpuUsage(device)

    def tick(
        self,
        now: float,
        holders: Holders | None,
        pods: Mapping[str, PodOnNode],
        ended: Collection[str] | None = (),
    ) -> None:
        """Read, and charge what was used.

        Args:
            now: seconds on the steady clock.
            holders: who holds which GPU; None while that is not known yet: what is used until then is charged to those
                who turn out to hold it.
            pods: the node's pods by UID that have not ended.
            ended: those that have, and whose objects are there; None while that is not known.

        Raises:
            DriverGone: the driver was unloaded: reopen it, and `adopt` its devices. CPUs are metered all the same.
        """
        full = now - self._full_at >= self._full_seconds
        if full:
            self._full_at = now
            self._accounts.follow(pods, ended)
            self._processes.follow(pods.keys())
        driver_gone: DriverGone | None = None
        for gpu in self._all.values():
            try:
                self._read(gpu, full)
            except DriverGone as error:
                driver_gone = error
            if holders is not None:
                self._settle(gpu, holders.get(gpu.uuid, ()), full)
        if full and self._cpus is not None:
            self._cpus.tick(pods.keys(), now)
        if full and holders is not None and self._conclude(pods):
            self._saved_at = now
            self.save()  # what was told once must not be less after a restart
        if now - self._saved_at >= SAVE_SECONDS:
            self._saved_at = now
            self.save()
        if driver_gone is not None:
            raise driver_gone

    def _conclude(self, pods: Mapping[str, PodOnNode]) -> bool:
        """Note who was looked at, and conclude the accounts of pods that have ended and hold nothing any more."""
        holding: set[str] = set()
        unread: set[str] = set()
        for gpu in self._all.values():
            uids = [holder.pod_uid for holder in gpu.holders or ()]
            holding.update(uids)
            if gpu.sample is None:
                unread.update(uids)
        return self._accounts.conclude(pods, unread, holding)

    def save(self) -> None:
        """Save all totals: at the end; `tick` does so from time to time."""
        if self._file is not None:
            gpus = {gpu.uuid: _gpu_to_json(gpu) for gpu in self._all.values()}
            self._file.save({"gpus": {**self._saved, **gpus}, "pods": self._accounts.to_json()})

    def close(self) -> None:
        """Save, and let go of what is open."""
        self.save()
        if self._cpus is not None:
            self._cpus.close()

    # -- one GPU

    def _read(self, gpu: MeteredGpu, full: bool) -> None:
        device = gpu.device
        if device is None:
            return
        try:
            sample = device.sample() if full else device.read_energy()
        except DeviceError as error:
            gpu.miss()
            gpu.failed_reads += 1
            if isinstance(error, DriverGone):
                raise
            return
        interval = gpu.meter.add(sample)
        if full:
            gpu.sample = sample
            self._accounts.note_limit(gpu.uuid, sample.power_limit_watts)
            self._note_idle(gpu, sample)
        if gpu.gap is None and (interval is None or not interval.gap):
            gpu.held_before_gap = None
        if interval is None:
            return
        gpu.joules += interval.joules
        gpu.source = interval.source
        if interval.gap:
            self._add_gap(gpu, interval)
        else:
            gpu.pending_joules += interval.joules
            gpu.pending_seconds += interval.seconds

    def _add_gap(self, gpu: MeteredGpu, gap: Interval) -> None:
        if gpu.gap is not None:  # holders are not known since before the last one
            gap = Interval(gap.seconds + gpu.gap.seconds, gap.joules + gpu.gap.joules, gap.source, gap=True)
        gpu.gap = gap

    def _settle(self, gpu: MeteredGpu, holders: Sequence[Holder], full: bool) -> None:
        """Charge what is due, to those who held the GPU until now, and note who holds it from now on."""
        before = gpu.holders
        same = before is None or before == holders or set(before) == set(holders)
        if same and not full:  # nothing is due
            return
        held_by = holders if before is None else before
        if full and len(held_by) > 1:
            gpu.usage.refresh(self._full_at, held_by, self._processes)
        gap, gpu.gap = gpu.gap, None
        if gap is not None:
            was, gpu.held_before_gap = gpu.held_before_gap or before or (), None
            self._charge(gpu, gap.joules, gap.seconds, holders if set(was) == set(holders) else ())
        joules, seconds = gpu.pending_joules, gpu.pending_seconds
        gpu.pending_joules = gpu.pending_seconds = 0.0
        if seconds > 0:
            self._charge(gpu, joules, seconds, held_by)
        if not same or before is None:
            gpu.holders = tuple(holders)

    def _charge(self, gpu: MeteredGpu, joules: float, seconds: float, holders: Sequence[Holder]) -> None:
        usage, others = gpu.usage.of(holders) if len(holders) > 1 else ((), 0.0)
        shares = split_gpu(joules, seconds, gpu.idle.watts, holders, usage, others)
        gpu.unattributed_joules += shares.unattributed
        # A counter that moves ten times a second says less of the present power than the sensor does.
        last = gpu.meter.last
        watts = last.power_watts if last is not None and last.power_watts is not None else joules / seconds
        for holder, share in zip(holders, shares.holders, strict=True):
            part = (share.active + share.idle) / joules if joules > 0 else 1 / len(holders)
            key = (gpu.uuid, holder.mig_device)
            self._accounts.charge_gpu(holder.pod_uid, key, share.active, share.idle, part * watts, gpu.source)

    def _note_idle(self, gpu: MeteredGpu, sample: Sample) -> None:
        if sample.power_watts is None:
            return
        is_idle = not sample.utilization  # 0, or the board does not tell
        if is_idle:
            is_idle = gpu.usage.is_free(otherwise=not gpu.holders)
        gpu.idle.add(sample.at, sample.power_watts, is_idle=is_idle)

    def _new(self, device: PowerDevice, description: Description) -> MeteredGpu:
        limits = description.power_limit_watts
        most = float("inf") if limits is None else IDLE_SHARE_OF_LIMIT * limits.highest
        gpu = MeteredGpu(device, description, GpuMeter(self._longest_seconds), IdleWatts(most=most))
        saved = self._saved.pop(device.uuid, None)
        if saved is not None:
            try:
                _resume(gpu, saved)
            except (ValueError, KeyError, TypeError) as error:
                _log_unreadable(error)
        return gpu

    def _restore(self, content: Json) -> None:
        try:
            self._accounts.restore(content.get("pods", {}))
            self._saved = dict(content.get("gpus", {}))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            _log_unreadable(error)


def _log_unreadable(error: Exception) -> None:
    logger.warning(
        "what was saved of earlier totals makes no sense: counting begins anew",
        extra={"error": f"{type(error).__name__}: {error}"},
    )


def _gpu_to_json(gpu: MeteredGpu) -> Json:
    last = gpu.meter.last
    holders = None
    if gpu.holders is not None:
        holders = [[held.pod_uid, held.mig_device, held.slices, held.slices_of_gpu] for held in gpu.holders]
    return {
        "joules": gpu.joules,
        # What is not charged yet would be lost with this process: it is nobody's.
        "unattributedJoules": gpu.unattributed_joules + gpu.pending_joules + (gpu.gap.joules if gpu.gap else 0.0),
        "idleWatts": gpu.idle.measured,
        "holders": holders,
        "last": None if last is None else [last.at, last.energy_joules, last.power_watts],
    }


def _resume(gpu: MeteredGpu, saved: dict[str, Any]) -> None:
    """Go on where an earlier process ended."""
    gpu.joules, gpu.unattributed_joules = float(saved["joules"]), float(saved["unattributedJoules"])
    gpu.idle.measured = None if saved["idleWatts"] is None else float(saved["idleWatts"])
    if saved["holders"] is not None:
        gpu.holders = gpu.held_before_gap = tuple(Holder(*values) for values in saved["holders"])
    if saved["last"] is not None:
        at, energy, power = saved["last"]
        gpu.meter.resume(Sample(at, energy, power))
