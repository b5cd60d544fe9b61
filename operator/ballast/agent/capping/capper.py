"""Sets operating points, and always restores: brings the GPUs of the node to what `assignments` wants.

What must hold:

- Before a GPU is changed, what it had is on the disk (`originals`); it goes from there only when it is back, read from
  the board. So whatever ends the process, and wherever, the next one knows what to restore.
- In each round, first all that lets GPUs draw less, read back, then all that lets them draw more (G1): at no moment is
  the sum of the limits above the larger of what it was and what it becomes.
- A GPU that nobody wants changed, and that is not to be restored, gets no call, not even one that reads.
- What goes wrong with one GPU stops no other. A lowering that fails holds up no raising either: the operator reserves
  the larger of both limits until it sees the lower one confirmed, and a GPU whose job is gone is not kept from what was
  found (G2) by a broken neighbour.
- What somebody else sets meanwhile does not last, and is no new original: restored is what was found first. An admin
  who wants another limit sets it while no pod has an operating point there.

At the start nothing is changed: `changed` tells which GPUs an agent before this one left behind, and the first round
takes them over without a change if they are still wanted so, or restores them. Blocking; for one thread.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Final

from ballast.agent.capping.assignments import AS_FOUND, Wanted
from ballast.agent.capping.capped_gpu import NOTHING, CappedGpu, Failpoints
from ballast.agent.capping.originals import Originals, StateNotKept
from ballast.agent.device import DeviceError, DeviceLost, Driver, DriverGone, PowerDevice, Sample
from ballast.api.operatingpoint import OperatingPoint

MAX_PROBLEM: Final = 256
"""Characters that a NodePower's status takes."""


@dataclass(frozen=True, slots=True)
class GpuState:
    """One GPU after a round.

    Attributes:
        enforced: what it has by the agent's doing, the limit as read back; None if it is as it was found.
        since: when that was set, in steady seconds.
        reapplied: how often somebody else had changed it and it was set again, since the agent knows this GPU.
        found_power_limit_watts: the limit before the agent changed it first; None while it is not changed.
        problem: what is wrong, and the remedy.
    """

    enforced: OperatingPoint | None = None
    since: float | None = None
    reapplied: int = 0
    found_power_limit_watts: float | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Restored:
    """How restoring everything went.

    Attributes:
        restored: UUIDs of GPUs that have what was found.
        problems: by UUID, why a GPU does not; what it had is still kept.
    """

    restored: tuple[str, ...]
    problems: Mapping[str, str]


class Capper:
    """Brings GPUs to what is wanted.

    Args:
        driver: the GPUs' driver.
        originals: what GPUs had; this is its only writer.
        clock: steady seconds, the same as in `Sample.at`.
        failpoints: passed before and after each change of a board and of the disk.
    """

    def __init__(
        self, driver: Driver, originals: Originals, clock: Callable[[], float], failpoints: Failpoints
    ) -> None:
        self._driver = driver
        self._originals = originals
        self._clock = clock
        self._failpoints = failpoints
        self._gpus: dict[str, CappedGpu] = {}

    @property
    def changed(self) -> frozenset[str]:
        """GPUs that are not, or perhaps not, as they were found."""
        return frozenset(self._originals.all)

    @property
    def enforced(self) -> Mapping[str, OperatingPoint]:
        """The points that GPUs have by the agent's doing, by UUID."""
        return {uuid: gpu.enforced for uuid, gpu in self._gpus.items() if gpu.enforced is not None}

    def found_power_limit_watts(self, uuid: str) -> float | None:
        """Return the limit before the agent changed it; None while it is not changed: then the present one is it."""
        original = self._originals.all.get(uuid)
        return original.power_limit_watts if original else None

    def forget(self) -> None:
        """Know no longer what is set, because the driver was reloaded; the next round sets everything again.

        What was found stays: the driver's defaults are not what the admin had set.
        """
        for gpu in self._gpus.values():
            gpu.forget()

    def reconcile(
        self, wanted: Mapping[str, Wanted], samples: Mapping[str, Sample] | None = None
    ) -> Mapping[str, GpuState]:
        """Bring every GPU to what is wanted; one that is not named is wanted as it was found.

        Args:
            wanted: by UUID.
            samples: the newest reading of each GPU, if there is one: a clock above a lock tells that it is gone.

        Returns:
            The state of each GPU that is named or changed, by UUID.

        Raises:
            DriverGone: the driver was reloaded: reopen it and call again. What was found is kept.
        """
        try:
            return self._round(wanted, samples or {})
        except DriverGone:
            self.forget()
            raise

    def restore_all(self) -> Restored:
        """Give every GPU what was found: the agent ends, or is uninstalled."""
        before = sorted(self.changed)
        self.forget()  # no waiting time after a refusal
        try:
            states = self._restore_reopening()
        except DeviceError as error:
            return Restored((), dict.fromkeys(before, f"what was found is not restored: {error}"))
        left = self.changed
        problems = {uuid: states[uuid].problem or "what was found may not be restored" for uuid in sorted(left)}
        return Restored(tuple(uuid for uuid in before if uuid not in left), problems)

    def _restore_reopening(self) -> Mapping[str, GpuState]:
        try:
            return self.reconcile({})
        except DriverGone:
            self._driver.reopen()
            return self.reconcile({})

    # -- a round

    def _round(self, wanted: Mapping[str, Wanted], samples: Mapping[str, Sample]) -> Mapping[str, GpuState]:
        points = {uuid: one.point for uuid, one in wanted.items() if one.point is not None}
        in_hand = points.keys() | self.changed
        gpus = self._begin(in_hand, points, samples)
        self._save(gpus)
        failed = self._take(gpus, CappedGpu.lower)
        self._take(failed, CappedGpu.fall_back)
        failed = self._take(gpus, CappedGpu.lift)
        for step in (CappedGpu.fall_back, CappedGpu.lift):
            self._take(failed, step)
        answering = [gpu for gpu in gpus if not gpu.lost]
        self._clear(answering)
        for gpu in answering:
            gpu.end()
        return {
            uuid: self._state(uuid, wanted.get(uuid, AS_FOUND), in_hand=uuid in in_hand)
            for uuid in sorted(wanted.keys() | in_hand)
        }

    def _begin(
        self, in_hand: Set[str], points: Mapping[str, OperatingPoint], samples: Mapping[str, Sample]
    ) -> list[CappedGpu]:
        """Look at the boards concerned; return those that can be worked on."""
        devices: Mapping[str, PowerDevice] = {}
        missing: DeviceError = DeviceLost("its driver does not list it")
        try:
            if in_hand:
                devices = {device.uuid: device for device in self._driver.devices()}
        except DriverGone:
            raise
        except DeviceError as error:
            missing = error
        begun = []
        for uuid in sorted(in_hand):
            gpu = self._gpus.setdefault(uuid, CappedGpu(uuid, self._clock, self._failpoints))
            if uuid not in devices:
                gpu.lose(missing)
                continue
            try:
                gpu.begin(devices[uuid], points.get(uuid), self._originals.all.get(uuid, NOTHING), samples.get(uuid))
            except DriverGone:
                raise
            except DeviceLost as error:
                gpu.lose(error)
            except DeviceError as error:
                gpu.trouble = f"its power limit cannot be read, so nothing is changed: {error}"
            else:
                begun.append(gpu)
        return begun

    def _save(self, gpus: Sequence[CappedGpu]) -> None:
        """Keep on the disk what is going to be changed."""
        kept = self._originals.all
        new = {gpu.uuid: gpu for gpu in gpus if gpu.original.parts - kept.get(gpu.uuid, NOTHING).parts}
        if not new:
            return
        self._failpoints.passing("before:originals.save")
        try:
            self._originals.save({uuid: gpu.original for uuid, gpu in new.items()})
        except StateNotKept as error:
            for uuid, gpu in new.items():
                gpu.give_up(str(error), kept.get(uuid, NOTHING))
        self._failpoints.passing("after:originals.save")

    def _take(self, gpus: Sequence[CappedGpu], step: Callable[[CappedGpu], None]) -> list[CappedGpu]:
        """Take a step with each GPU; return those that cannot have the point that they were to get."""
        failed = []
        for gpu in gpus:
            if gpu.lost:
                continue
            try:
                step(gpu)
            except DriverGone:
                raise
            except DeviceLost as error:
                gpu.lose(error)
            except DeviceError as error:
                if gpu.fail(error):
                    failed.append(gpu)
        return failed

    def _clear(self, gpus: Sequence[CappedGpu]) -> None:
        """Let go on the disk of what is back on the boards."""
        kept = self._originals.all
        done = [gpu for gpu in gpus if gpu.original != kept.get(gpu.uuid, NOTHING)]
        if not done:
            return
        self._failpoints.passing("before:originals.clear")
        try:
            self._originals.save({gpu.uuid: gpu.original for gpu in done if gpu.original.parts})
            self._originals.clear(frozenset(gpu.uuid for gpu in done if not gpu.original.parts))
        except StateNotKept as error:
            for gpu in done:
                gpu.trouble = str(error)
        self._failpoints.passing("after:originals.clear")

    def _state(self, uuid: str, wanted: Wanted, *, in_hand: bool) -> GpuState:
        gpu = self._gpus.get(uuid)
        if gpu is None:
            return GpuState(problem=_shortened(wanted.problem))
        original = self._originals.all.get(uuid, NOTHING)
        problems = [wanted.problem, gpu.trouble if in_hand else None]
        if original.lost is not None:
            problems.append(f"what it had is lost ({original.lost}): its board's default will be restored")
        return GpuState(
            enforced=gpu.enforced,
            since=gpu.since,
            reapplied=gpu.reapplied,
            found_power_limit_watts=original.power_limit_watts,
            problem=_shortened("; ".join(problem for problem in problems if problem)),
        )


def _shortened(problem: str | None) -> str | None:
    if problem is not None and len(problem) > MAX_PROBLEM:
        return f"{problem[: MAX_PROBLEM - 1]}…"
    return problem or None
