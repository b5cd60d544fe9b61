"""The fixed amount of work that is measured at every operating point: a training of ours, or a command of the user's.

What must hold: it is the same work each time. A training begins anew from the same seed, so that it takes the same
steps on the same examples; its loss is kept, and tells whether the arithmetic was the same. What a command does is the
user's to keep alike.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from frugal.sweep.errors import Interrupted, SweepError

if TYPE_CHECKING:
    from frugal.signals import StopSignals

_POLL_SECONDS = 0.05
_KILL_SECONDS = 10.0
_TAIL = 800  # characters of what a failing command said


StepProbe = Callable[[int], bool]
"""Called after each step with its number, once the GPU has done it; True ends the training."""


@dataclass
class Window:
    """The stretch that is measured; work opens and closes it once.

    Args:
        joules: The GPU's counter.
        clock: Seconds that only pass.
    """

    joules: Callable[[], float]
    clock: Callable[[], float] = time.monotonic
    _began: tuple[float, float] | None = None
    _ended: tuple[float, float] | None = None

    def begin(self) -> None:
        """The measured part begins."""
        self._began = self.clock(), self.joules()

    def end(self) -> None:
        """It ended."""
        self._ended = self.clock(), self.joules()

    @property
    def measured(self) -> tuple[float, float]:
        """Its seconds and joules.

        Raises:
            SweepError: The work did not get so far, or the counter fell.
        """
        if self._began is None or self._ended is None:
            raise SweepError("the work ended before it was measured")
        seconds, joules = (after - before for before, after in zip(self._began, self._ended, strict=True))
        if joules <= 0:
            raise SweepError(f"the energy counter moved by {joules:g} J in {seconds:.1f} s: was the driver reset?")
        return seconds, joules


@dataclass(frozen=True, kw_only=True)
class Done:
    """What was done in a window.

    Attributes:
        steps: How many.
        loss: Mean training loss of the work; None where nobody knows it.
    """

    steps: int
    loss: float | None = None


class Work(Protocol):
    """A fixed amount of work.

    Attributes:
        holds_gpu: Whether this process is still among the GPU's between two runs.
    """

    holds_gpu: bool

    def prepare(self) -> None:
        """Warm up, and find out how much work is enough; runs at what was found."""
        ...

    def run(self, window: Window) -> Done:
        """Do it once."""
        ...


@dataclass
class CommandWork:
    """A command, from its start to its end, in a process group of its own: what it started ends with it.

    Attributes:
        command: Program and arguments.
        environ: Its environment.
        steps: Training steps that it takes, for steps a second; 1 if it has none.
        signals: Where stop requests arrive.
    """

    command: Sequence[str]
    environ: dict[str, str]
    steps: int = 1
    signals: StopSignals | None = None
    holds_gpu: bool = field(default=False, init=False)
    _child: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def kill(self) -> None:
        """End it now, if it runs."""
        if self._child is not None and self._child.returncode is None:
            _signal_group(self._child, signal.SIGKILL)

    def prepare(self) -> None:
        """Once without being measured: caches are then warm, and an error shows before anything is set."""
        self._execute()

    def run(self, window: Window) -> Done:
        """See `Work.run`."""
        window.begin()
        self._execute()
        window.end()
        return Done(steps=self.steps)

    def _execute(self) -> None:
        with tempfile.TemporaryFile() as said:
            try:
                child = self._child = subprocess.Popen(  # noqa: S603
                    self.command,
                    env=self.environ,
                    stdin=subprocess.DEVNULL,  # a terminal stops whoever reads from it in another process group
                    stdout=said,
                    stderr=said,
                    process_group=0,
                )
            except OSError as error:
                raise SweepError(f"{self.command[0]} cannot be started: {error.strerror}") from error
            try:
                while child.poll() is None:
                    if self.signals is not None and self.signals.requested is not None:
                        raise Interrupted("stopped")
                    # Waits for the child, or for a signal's handler to have run.
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        child.wait(_POLL_SECONDS)
            finally:
                _end(child)
            if child.returncode:
                said.seek(0)
                tail = said.read()[-_TAIL:].decode(errors="replace").strip()
                raise SweepError(f"{' '.join(self.command)} ended with {child.returncode}: {tail}")


def _end(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        _signal_group(child, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(_KILL_SECONDS)
        _signal_group(child, signal.SIGKILL)  # what did not listen, and what the child left behind
        child.wait()


def _signal_group(child: subprocess.Popen[bytes], signum: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signum)


@dataclass
class TrainingWork:
    """A frugal training on the GPU, begun anew for each measurement.

    Attributes:
        train: Trains from the begin; the probe that it is given decides when it ends.
        seconds: How long the measured steps shall take at what was found.
        settle_seconds: How long it shall train before, until power and clocks have settled.
    """

    train: Callable[[StepProbe], float | None]
    seconds: float
    settle_seconds: float
    clock: Callable[[], float] = time.monotonic
    holds_gpu: bool = field(default=True, init=False)
    _first: int = field(default=0, init=False)
    _last: int = field(default=0, init=False)

    def prepare(self) -> None:
        """Train for settling and measuring time together, and take as many steps each time from now on."""
        began = self.clock()
        marks: list[float] = []

        def step(number: int) -> bool:
            marks.append(self.clock())
            return number > 1 and marks[-1] - marks[0] >= self.settle_seconds + self.seconds

        self.train(step)
        if len(marks) < 2:
            raise SweepError(
                f"the training took {len(marks)} steps in {self.clock() - began:.1f} s: "
                "take more --seconds or a smaller --batch-size"
            )
        rate = (len(marks) - 1) / (marks[-1] - marks[0])
        self._first = max(1, math.ceil(rate * self.settle_seconds))
        self._last = self._first + max(1, math.ceil(rate * self.seconds))
        if marks[-1] - marks[0] < self.settle_seconds + self.seconds and len(marks) < self._last:
            raise SweepError(
                f"the training ends after {len(marks)} steps, which take {marks[-1] - marks[0]:.1f} s: use more"
                " --epochs, or fewer --seconds"
            )

    def run(self, window: Window) -> Done:
        """See `Work.run`."""

        def step(number: int) -> bool:
            if number == self._first:
                window.begin()
            if number == self._last:
                window.end()
            return number >= self._last

        loss = self.train(step)
        return Done(steps=self._last - self._first, loss=loss)
