"""How far the arms are: a bar that is redrawn on a terminal, a line for each finished arm elsewhere.

What must hold: it writes to one stream only, which is never that of the results, and leaves the terminal as it was.
"""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

from ballast.simulate.report.units import duration_text

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class ArmsBar:
    """Progress over a known number of arms; use it in a ``with`` block.

    Args:
        total: How many arms.
        stream: Standard error by default.
    """

    def __init__(self, total: int, stream: TextIO | None = None) -> None:
        self._total = total
        self._stream = stream or sys.stderr
        self._ended = 0
        self._shares: dict[str, float] = {}
        self._bar: Progress | None = None
        self._line: TaskID | None = None

    def __enter__(self) -> ArmsBar:
        if self._stream.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=None),
                TextColumn("{task.percentage:>3.0f} %"),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                console=Console(file=self._stream),
                transient=True,
            )
            self._line = self._bar.add_task(self._said, total=self._total)
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def doing(self, arm: str, share: float) -> None:
        """An arm is so far, 0 to 1."""
        self._shares[arm] = share
        self._draw()

    def done(self, arm: str, seconds: float) -> None:
        """An arm ended well."""
        self._end(arm, f"{arm}: done in {duration_text(seconds)}")

    def failed(self, arm: str, message: str) -> None:
        """An arm ended badly."""
        self._end(arm, f"{arm}: failed: {message}", stays=True)

    def _end(self, arm: str, text: str, *, stays: bool = False) -> None:
        self._shares.pop(arm, None)
        self._ended += 1
        if self._bar is None:
            self._stream.write(f"{self._ended}/{self._total} {text}\n")
            self._stream.flush()
        elif stays:
            self._bar.console.print(text, markup=False, highlight=False)
        self._draw()

    @property
    def share(self) -> float:
        """How much of all is done, 0 to 1."""
        return (self._ended + sum(self._shares.values())) / self._total

    @property
    def _said(self) -> str:
        return f"{self._ended} of {self._total} arms"

    def _draw(self) -> None:
        if self._bar is not None and self._line is not None:
            self._bar.update(self._line, completed=self.share * self._total, description=self._said)
