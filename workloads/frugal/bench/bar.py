"""How far a long piece of work is: one line that is redrawn on a terminal, plain lines elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from typing import TextIO

_CELLS = 20


class Bar:
    """Progress over a known number of pieces; the time left follows from the pieces done so far.

    Args:
        total: Pieces.
        stream: Standard error by default.
        clock: Seconds that only pass.
    """

    def __init__(self, total: int, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._total = total
        self._stream = stream or sys.stderr
        self._clock = clock
        self._began = clock()
        self._done = 0
        self._redraws = self._stream.isatty()

    def doing(self, what: str) -> None:
        """A piece begins."""
        if self._redraws:
            self._draw(f"{what} …")

    def done(self, what: str) -> None:
        """A piece ended."""
        self._done += 1
        if self._redraws:
            self._draw(what)
        else:
            self._stream.write(f"{self._position()} {what}\n")
            self._stream.flush()

    def note(self, text: str) -> None:
        """A line that stays."""
        if self._redraws:
            self._stream.write("\r\x1b[K")
        self._stream.write(f"{text}\n")
        self._stream.flush()

    def close(self) -> None:
        """Leave the terminal's line."""
        if self._redraws:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    @property
    def seconds_left(self) -> float | None:
        """By the mean so far; None until there is one."""
        if self._done == 0:
            return None
        return (self._clock() - self._began) / self._done * (self._total - self._done)

    def _position(self) -> str:
        left = self.seconds_left
        return f"{self._done}/{self._total}" + ("" if left is None else f", {_duration(left)} left")

    def _draw(self, what: str) -> None:
        full = round(_CELLS * self._done / max(self._total, 1))
        line = f"{'█' * full}{'░' * (_CELLS - full)} {self._position()}  {what}"
        width = shutil.get_terminal_size().columns
        self._stream.write(f"\r\x1b[K{line[: width - 1]}")
        self._stream.flush()


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
