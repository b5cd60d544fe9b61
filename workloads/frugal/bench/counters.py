"""Energy counters: the only places that measured joules come from.

RAPL counts the CPU packages (all that runs on them, idle power included), as Linux shows it in ``/sys/class/powercap``;
AMD's packages have the same names there. NVML counts one GPU (again all that runs on it). What must hold: joules start
at 0 when a counter is opened and never go down, and a counter that cannot be trusted any more is an error, no number.

A RAPL zone begins again at 0 after its ``max_energy_range_uj``, minutes to hours under load: read it more often than
that, and no wrap-around is missed. A GPU's sensor does not look all the time, on A100 and H100 for a quarter of it
("Accurate and Convenient Energy Measurements for GPUs: A Detailed Study of NVIDIA GPU's Built-In Power Sensor", SC
2024): stretches of some seconds and repeated seeds are needed there, milliseconds tell nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from frugal.errors import FrugalError

POWERCAP = Path("/sys/class/powercap")
MAX_ZONE_WATTS = 5_000.0
"""More than any package draws: a step that would take more is a reset, not a wrap-around."""


class CounterError(FrugalError):
    """A counter that is not there, may not be read, or jumped; the message says what would help."""


class Counter(Protocol):
    """Counts joules.

    Attributes:
        source: What a record calls it.
    """

    @property
    def source(self) -> str:
        """See the class."""
        ...

    def joules(self) -> float:
        """Since it was opened.

        Raises:
            CounterError: It cannot be read any more, or was reset.
        """
        ...


@dataclass
class _Zone:
    folder: Path
    range_microjoules: int
    last: int
    at: float
    total: int = 0


class RaplPackages:
    """All CPU packages of the machine together.

    Args:
        root: `POWERCAP`, or a copy of its tree.
        clock: Seconds that only pass.

    Raises:
        CounterError: There are none, or one of them may not be read: a part would be taken for the whole.
    """

    source = "rapl"

    def __init__(self, root: Path = POWERCAP, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        zones = sorted(root.glob("intel-rapl:*"))  # not intel-rapl-mmio: the same counters by another way
        packages = [folder for folder in zones if _text(folder / "name").startswith("package")]
        if not packages:
            raise CounterError(f"{root} shows no CPU package (virtual machines and containers often have none)")
        self._zones = [
            _Zone(
                folder=folder,
                range_microjoules=_number(folder / "max_energy_range_uj"),
                last=_number(folder / "energy_uj"),
                at=clock(),
            )
            for folder in packages
        ]

    def joules(self) -> float:
        """See `Counter.joules`; call it more often than a zone wraps around."""
        for zone in self._zones:
            count, now = _number(zone.folder / "energy_uj"), self._clock()
            step = count - zone.last
            if step < 0:
                step += zone.range_microjoules
                if not 0 <= step <= MAX_ZONE_WATTS * 1e6 * (now - zone.at):
                    raise CounterError(
                        f"{zone.folder}/energy_uj fell from {zone.last} to {count}, which is no wrap-around: "
                        "the counter was reset; run this again"
                    )
            zone.total += step
            zone.last, zone.at = count, now
        return sum(zone.total for zone in self._zones) / 1e6


class NvmlGpus:
    """The total energy counters of the given GPUs, summed; Volta and later have them.

    Args:
        uuids: As NVML writes them: ``GPU-…``.

    Raises:
        CounterError: NVML, a GPU or its counter is not there, or MIG split the GPU.
    """

    source = "nvml"

    def __init__(self, uuids: Sequence[str]) -> None:
        try:
            import pynvml  # type: ignore[import-untyped]  # ships no types; optional
        except ImportError as error:
            raise CounterError("the package nvidia-ml-py is not installed") from error
        self._nvml: Any = pynvml
        try:
            pynvml.nvmlInit()
            self._gpus = [(uuid, pynvml.nvmlDeviceGetHandleByUUID(uuid)) for uuid in uuids]
        except pynvml.NVMLError as error:
            raise CounterError(f"NVML: {error}") from error
        for uuid, handle in self._gpus:
            if self._is_split(handle):
                raise CounterError(f"NVML: {uuid} is split by MIG, and its counter adds up what all its parts take")
        self._first = [self._millijoules(uuid, handle) for uuid, handle in self._gpus]
        self._last = list(self._first)

    def joules(self) -> float:
        """See `Counter.joules`."""
        now = [self._millijoules(uuid, handle) for uuid, handle in self._gpus]
        for (uuid, _), before, after in zip(self._gpus, self._last, now, strict=True):
            if after < before:
                raise CounterError(f"NVML: the energy counter of {uuid} fell: its driver was reset; run this again")
        self._last = now
        return sum(after - first for after, first in zip(now, self._first, strict=True)) / 1e3

    def _is_split(self, handle: Any) -> bool:
        try:
            current, _ = self._nvml.nvmlDeviceGetMigMode(handle)
        except self._nvml.NVMLError:  # knows no such thing
            return False
        return bool(current)

    def _millijoules(self, uuid: str, handle: Any) -> int:
        try:
            return int(self._nvml.nvmlDeviceGetTotalEnergyConsumption(handle))
        except self._nvml.NVMLError as error:
            raise CounterError(f"NVML: {uuid} tells no total energy ({error})") from error


def _number(path: Path) -> int:
    try:
        return int(_text(path))
    except ValueError as error:
        raise CounterError(f"{path} holds no number") from error


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except PermissionError as error:
        raise CounterError(f"{path} may not be read (only root may since 2020: run as root, or allow it)") from error
    except OSError as error:
        raise CounterError(f"{path} cannot be read ({error.strerror})") from error
