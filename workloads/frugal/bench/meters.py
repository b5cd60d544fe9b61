"""What tells the energy of a stretch of time: counters where the machine has them, and an estimate beside them.

What must hold: `Energy.joules` is what counters counted and nothing else. A run on a GPU counts as measured only if
that GPU's counter is among them, a run on the CPU only if all CPU packages are; what is missing is said, with the
reason, before anything runs. Counters tell the whole package or GPU: other programs on it are in the figure.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Protocol

from frugal.bench.counters import Counter, CounterError, NvmlGpus, RaplPackages
from frugal.bench.power_model import PowerModel
from frugal.bench.records import Energy

if TYPE_CHECKING:
    import torch

POLL_SECONDS = 60.0
"""Counters that wrap around are read at least this often; the smallest RAPL range (65 kJ) lasts minutes at 200 W."""


class Measurement(Protocol):
    """A stretch of time that has begun."""

    def energy(self) -> Energy:
        """What it cost up to now; may be asked again later.

        Raises:
            CounterError: A counter failed.
        """
        ...

    def keep_up(self) -> None:
        """Call now and then in long stretches, so that no wrap-around of a counter is missed; nearly free.

        Any thread may.
        """
        ...


class Meter(Protocol):
    """Tells energy.

    Attributes:
        source: Counters behind measured joules, such as ``nvml+rapl``; None where nothing is measured.
        statement: One line for people: what is measured, what is not and why, what estimates are made of.
    """

    @property
    def source(self) -> str | None:
        """See the class."""
        ...

    @property
    def statement(self) -> str:
        """See the class."""
        ...

    @property
    def model(self) -> str | None:
        """The name of the model that estimates; None without one."""
        ...

    def start(self) -> Measurement:
        """Begin a stretch; several may overlap."""
        ...


class MachineMeter:
    """Counters and a power model.

    Args:
        counters: All are summed; without any nothing is measured.
        model: Estimates beside them; None for none.
        reasons: Why counters that one might expect are not among them.
        synchronize: Waits until the device has done what it was given; called before each reading.
        clock: Monotonic seconds.
        cpu_clock: Processor seconds of this process.
    """

    def __init__(
        self,
        counters: Sequence[Counter],
        model: PowerModel | None,
        reasons: Sequence[str] = (),
        *,
        synchronize: Callable[[], object] = lambda: None,
        clock: Callable[[], float] = time.perf_counter,
        cpu_clock: Callable[[], float] | None = None,
    ) -> None:
        self._counters = tuple(counters)
        self._model = model
        self._reasons = tuple(reasons)
        self._synchronize = synchronize
        self._clock = clock
        self._cpu_clock = cpu_clock or cpu_seconds
        self._reading = Lock()  # a counter that wraps around remembers its last value

    @property
    def source(self) -> str | None:
        """See `Meter`."""
        return "+".join(sorted(counter.source for counter in self._counters)) or None

    @property
    def model(self) -> str | None:
        """See `Meter`."""
        return None if self._model is None else self._model.name

    @property
    def statement(self) -> str:
        """See `Meter`."""
        measured = f"measured by {self.source}" if self.source else "NOT MEASURED, no counter"
        reasons = f" ({'; '.join(self._reasons)})" if self._reasons else ""
        estimated = f"estimated by {self.model}" if self.model else "no estimate"
        return f"energy: {measured}{reasons}; {estimated}"

    def start(self) -> Measurement:
        """See `Meter`."""
        return _Stretch(self)

    def read(self) -> _Reading:
        """All clocks and counters now; the processor clock last, so that reading files is not left out."""
        self._synchronize()
        joules = self.poll()
        return _Reading(seconds=self._clock(), cpu_seconds=self._cpu_clock(), joules=joules)

    def poll(self) -> float | None:
        """The counters alone, from any thread: a device is not waited for."""
        with self._reading:
            return sum(counter.joules() for counter in self._counters) if self._counters else None

    def between(self, first: _Reading, last: _Reading) -> Energy:
        """The energy from one reading to another."""
        seconds, used = last.seconds - first.seconds, last.cpu_seconds - first.cpu_seconds
        counted = None if last.joules is None or first.joules is None else last.joules - first.joules
        return Energy(
            seconds=seconds,
            cpu_seconds=used,
            joules=counted,
            source=None if counted is None else self.source,
            estimated_joules=None if self._model is None else self._model.joules(seconds, used),
            estimated_by=self.model,
        )


@dataclass(frozen=True, kw_only=True)
class _Reading:
    seconds: float
    cpu_seconds: float
    joules: float | None


class _Stretch:
    def __init__(self, meter: MachineMeter) -> None:
        self._meter = meter
        self._first = meter.read()
        self._polled = time.monotonic()

    def energy(self) -> Energy:
        return self._meter.between(self._first, self._meter.read())

    def keep_up(self) -> None:
        if time.monotonic() - self._polled >= POLL_SECONDS:
            self._meter.poll()
            self._polled = time.monotonic()


@contextmanager
def kept_up(measurement: Measurement) -> Iterator[None]:
    """Keep ``measurement`` up from a thread of its own, while what is measured may not come back for long.

    Raises:
        CounterError: At the end, if a counter failed meanwhile.
    """
    ended = Event()
    failures: list[CounterError] = []

    def watch() -> None:
        while not ended.wait(POLL_SECONDS):
            try:
                measurement.keep_up()
            except CounterError as error:
                failures.append(error)
                return

    watcher = Thread(target=watch, name="energy-counters", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
    if failures:
        raise failures[0]


def cpu_seconds() -> float:
    """Processor time of this process, all threads, and of its children that ended (compilers, say)."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


def open_meter(device: torch.device, model: PowerModel) -> MachineMeter:
    """The meter for work on ``device``: all counters that this machine has for it.

    On a GPU its own counter decides whether anything is measured; the CPU packages are added where they can be read.
    The model estimates a run on a GPU only if it was told the GPU's watts.
    """
    reasons: list[str] = []
    packages = _opened(RaplPackages, reasons)
    if device.type == "cpu":
        return MachineMeter(packages, model, reasons)
    import torch

    uuid = f"GPU-{str(torch.cuda.get_device_properties(device).uuid).removeprefix('GPU-')}"
    gpus = _opened(lambda: NvmlGpus([uuid]), reasons)
    if packages and not gpus:
        reasons.append("the CPU's counter is left alone, without the GPU's it would miss most")
    return MachineMeter(
        [*gpus, *packages] if gpus else [],
        None if model.gpu_watts is None else model,
        reasons,
        synchronize=lambda: torch.cuda.synchronize(device),
    )


def _opened(make: Callable[[], Counter], reasons: list[str]) -> list[Counter]:
    try:
        return [make()]
    except CounterError as error:
        reasons.append(str(error))
        return []
