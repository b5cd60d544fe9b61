"""What a sweep changes on a GPU, and that it is put back.

What must hold: nothing is changed before the driver was asked whether it may be; whatever ends the sweep, the GPU is as
it was found, or the error says how to put it back by hand. A lower limit that somebody else sets meanwhile is left:
it may be there for the sake of the mains or the cooling. NVML reads back no locked clocks: a lock that was there
before cannot be seen, so it is lost if the sweep sets clocks, and only then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from frugal.sweep.errors import SweepError
from frugal.sweep.points import Board, OperatingPoint

POD_VARIABLE = "KUBERNETES_SERVICE_HOST"
_WATTS = 0.01  # limits that differ by less are the same


class Adjustable(Protocol):
    """The part of `frugal.sweep.gpu.Gpu` that is used here."""

    uuid: str
    limits_watts: tuple[float, float]
    clocks_mhz: tuple[int, ...]

    def power_limit_watts(self) -> float:
        """See `frugal.sweep.gpu.Gpu`."""
        ...

    def set_power_limit(self, watts: float) -> None:
        """See `frugal.sweep.gpu.Gpu`."""
        ...

    def lock_clocks(self, highest_mhz: int) -> None:
        """See `frugal.sweep.gpu.Gpu`."""
        ...

    def unlock_clocks(self) -> None:
        """See `frugal.sweep.gpu.Gpu`."""
        ...


class Settings:
    """The settings of one GPU as they were found, and as they are.

    Args:
        gpu: The GPU.

    Attributes:
        board: What was found.
    """

    def __init__(self, gpu: Adjustable) -> None:
        self._gpu = gpu
        self.board = Board(
            found_watts=gpu.power_limit_watts(), limits_watts=gpu.limits_watts, clocks_mhz=gpu.clocks_mhz
        )
        self._limited = self._locked = False
        # The limit that was set last, and what the driver made of it.
        self._ours: tuple[float, ...] = (self.board.found_watts,)

    def by_hand(self, *, clocks: bool) -> str:
        """The command that puts the GPU back without us.

        Args:
            clocks: Whether clocks are locked, or will be.
        """
        command = f"nvidia-smi -i {self._gpu.uuid} -pl {self.board.found_watts:g}"
        return f"{command} && nvidia-smi -i {self._gpu.uuid} -rgc" if clocks else command

    def ask_permission(self) -> None:
        """Set the power limit to what it is: changes nothing, and is refused where changing it would be.

        Raises:
            SweepError: It was refused; says what to do.
        """
        self._gpu.set_power_limit(self.board.found_watts)

    def apply(self, point: OperatingPoint) -> None:
        """Set both parts of ``point``; what it does not name is as it was found.

        Raises:
            SweepError: The GPU took it not, or another limit.
        """
        if self._limited or point.power_limit_watts != self.board.found_watts:
            self._limited, self._ours = True, (*self._ours[-1:], point.power_limit_watts)
            self._gpu.set_power_limit(point.power_limit_watts)
            self._ours = point.power_limit_watts, self._gpu.power_limit_watts()
        if point.max_clock_mhz is not None:
            self._locked = True
            self._gpu.lock_clocks(point.max_clock_mhz)
        elif self._locked:
            self._gpu.unlock_clocks()
        self.check(point)

    def check(self, point: OperatingPoint) -> None:
        """Whether the power limit is still that of ``point``.

        Raises:
            SweepError: Somebody else changed it, so what was measured is of no known point.
        """
        now = self._gpu.power_limit_watts()
        if abs(now - point.power_limit_watts) > _WATTS:
            raise SweepError(
                f"the power limit is {now:g} W and was set to {point.power_limit_watts:g} W: something else sets it,"
                " such as Ballast's agent or a boot script (stop that first), or the driver does not take this limit"
            )

    def put_back(self) -> None:
        """Put back what was found; may be called again.

        Raises:
            SweepError: That failed, or somebody else lowered the limit; says how to do it by hand.
        """
        problems: list[str] = []
        lowered = self._lowered_watts() if self._limited else None
        if self._limited and lowered is None:
            _tried(lambda: self._gpu.set_power_limit(self.board.found_watts), problems)
            _tried(lambda: self.check(self.board.baseline), problems)
        if self._locked:
            _tried(self._gpu.unlock_clocks, problems)
        by_hand = self.by_hand(clocks=self._locked)
        if problems:
            raise SweepError(f"THE GPU IS NOT AS IT WAS FOUND ({'; '.join(problems)}). Put it back: {by_hand}")
        self._limited = self._locked = False
        if lowered is not None:
            raise SweepError(
                f"the power limit is {lowered:g} W: something else sets it, so it is left. What was found: {by_hand}"
            )

    def _lowered_watts(self) -> float | None:
        """The limit, if somebody else set it and to less than what was found."""
        try:
            now = self._gpu.power_limit_watts()
        except SweepError:
            return None  # setting it is tried all the same
        ours = any(abs(now - watts) <= _WATTS for watts in self._ours)
        return None if ours or now > self.board.found_watts - _WATTS else now


def refuse_pod(environ: Mapping[str, str], *, anyway: bool) -> None:
    """Leave a cluster's GPUs to its agent.

    Raises:
        SweepError: This is a pod.
    """
    if environ.get(POD_VARIABLE) and not anyway:
        raise SweepError(
            "this is a pod: in a Ballast cluster the agent owns power limits and clocks, and would put back what a"
            " sweep sets. Ask for operating points by spec.energy.operatingPoint of a TrainingJob, one job a point"
            " (docs/guide/operating-points.md); --anyway sweeps nevertheless"
        )


def refuse_company(others: frozenset[int], *, shared: bool) -> None:
    """Leave a GPU alone on which something else computes: it would be slowed down, and its joules be counted.

    Raises:
        SweepError: Something else does.
    """
    if others and not shared:
        pids = ", ".join(map(str, sorted(others)))
        raise SweepError(
            f"other processes compute on this GPU ({pids}): a sweep would slow them down and count their joules. Wait"
            " for them, choose another --gpu, or sweep with --shared"
        )


def _tried(action: Callable[[], None], problems: list[str]) -> None:
    try:
        action()
    except SweepError as error:
        problems.append(str(error))
