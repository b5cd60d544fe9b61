"""Shows the board while the jobs run: a live table on a terminal, lines about what changes elsewhere.

Invariant: a view only reads; whatever it shows has been seen by the board before.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tests.demo.board import Board, Change
from tests.demo.objects import Job
from tests.demo.stages import WIDE

COLOURS = {
    "Pending": "dim",
    "Queued": "yellow",
    "Placing": "cyan",
    "Running": "bold cyan",
    "Succeeded": "green",
    "Failed": "bold red",
}
#: The order of the table: what moves stands at the top, and what is done is the first that a small window leaves out.
_ORDER = ("Failed", "Running", "Placing", "Queued", "Pending", "Succeeded")
_LINES_AROUND_TABLE = 7
LINES_BELOW_TABLE = 4
COUNTS_EVERY_SECONDS = 5.0
UNCHANGED_COUNTS_EVERY_SECONDS = 20.0


class View(Protocol):
    """Shows a board."""

    def __enter__(self) -> Self:
        """Begins to show."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leaves the terminal as it was."""
        ...

    def changed(self, change: Change) -> None:
        """Tells of a job that changed."""
        ...

    def said(self, text: str) -> None:
        """Tells of something that is no job's change of phase."""
        ...

    def tick(self) -> None:
        """Called some times a second."""
        ...


def view(board: Board, out: Console) -> View:
    """The view that suits where the output goes."""
    return TableView(board, out) if out.is_terminal and not out.is_dumb_terminal else LinesView(board, out)


class TableView:
    """A table that stays in place."""

    def __init__(self, board: Board, out: Console) -> None:
        self._board = board
        self._out = out
        self._live = Live(console=out, auto_refresh=False, transient=True)
        self._said: list[str] = []
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def changed(self, change: Change) -> None:
        """The table shows it at the next tick."""

    def said(self, text: str) -> None:
        """The newest few stand below the table."""
        self._said = [*self._said, text][-LINES_BELOW_TABLE:]

    def tick(self) -> None:
        """Draws the table anew."""
        rows = self._out.height - _LINES_AROUND_TABLE - len(self._said)
        grid = table(self._board, time.time(), rows=rows, wide=self._out.width >= WIDE)
        footer = Text(f"{time.monotonic() - self._began:.0f} s; Ctrl-C leaves, the cluster stays", style="dim")
        said = [Text(text, no_wrap=True, overflow="ellipsis") for text in self._said]
        self._live.update(Group(grid, *said, footer), refresh=True)


class LinesView:
    """A line for each change of phase, and now and then one with counts.

    Args:
        board: What to show.
        out: Where to.
        clock: Seconds, ever growing.
    """

    def __init__(self, board: Board, out: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._board = board
        self._out = out
        self._clock = clock
        self._began = self._counted = clock()
        self._told = ("", "")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    def changed(self, change: Change) -> None:
        """Prints the change."""
        job = change.job
        waited = job.waited_seconds(time.time())
        told = f"after {waited:.0f} s" if job.phase == "Running" and waited is not None else why(job)
        self._print(f"{job.name:<17} {change.before} → {job.phase:<11} {told}")

    def said(self, text: str) -> None:
        """Prints it."""
        self._print(f"{'':<17} {text}")

    def tick(self) -> None:
        """Prints counts, and what is drawn, if the last ones are old; sooner if they have changed."""
        counts, drawn, age = counts_line(self._board), power_line(self._board), self._clock() - self._counted
        is_news = (counts, drawn) != self._told
        if age >= (COUNTS_EVERY_SECONDS if is_news else UNCHANGED_COUNTS_EVERY_SECONDS):
            self._counted, self._told = self._clock(), (counts, drawn)
            self._print(f"{'':<17} {counts}")
            if drawn:
                self._print(f"{'':<17} {drawn}")

    def _print(self, text: str) -> None:
        self._out.print(Text(f"  {self._clock() - self._began:5.1f} s  {text}".rstrip()))


def why(job: Job) -> str:
    """Why a job stands where it stands, in one line."""
    if job.phase in {"Placing", "Running"}:
        return job.placing or job.nodes
    return job.message or job.reason


def counts_line(board: Board) -> str:
    """Jobs in each phase, and GPUs in use of each model."""
    jobs = _jobs(board)
    gpus = ", ".join(f"{model} {used}/{there}" for model, (used, there) in board.gpus_in_use().items())
    return jobs + (f"; GPUs in use: {gpus}" if gpus else "")


def power_line(board: Board) -> str:
    """What each job draws that is measured, and has used; empty while nothing is known."""
    measured = [job for job in board.jobs.values() if job.watts is not None and not job.is_final]
    told = [f"{job.name} {job.watts:.0f} W, {_energy(job.joules or 0.0)} so far" for job in measured]
    return f"drawn now: {'; '.join(told)}" if told else ""


def _energy(joules: float) -> str:
    return f"{joules:.0f} J" if joules < 1000 else f"{joules / 1000:.2f} kJ"


def _jobs(board: Board) -> str:
    return ", ".join(f"{count} {phase.lower()}" for phase, count in board.counts().items())


def table(board: Board, now: float, *, rows: int, wide: bool = True) -> Group:
    """The board as a table of at most so many rows, with what it left out and the counts below."""
    grid = Table(box=None, pad_edge=False, header_style="dim", expand=True)
    grid.add_column("JOB", no_wrap=True)
    if wide:
        grid.add_column("ASKS FOR", no_wrap=True)
    grid.add_column("PHASE", no_wrap=True)
    grid.add_column("GPU MODEL", no_wrap=True)
    if wide:
        grid.add_column("NODES", no_wrap=True)
    grid.add_column("WAITED", no_wrap=True, justify="right")
    grid.add_column("DRAWS", no_wrap=True, justify="right")
    grid.add_column("USED", no_wrap=True, justify="right")
    grid.add_column("WHY", no_wrap=True, overflow="ellipsis", ratio=1, style="dim")
    places = {name: place for place, name in enumerate(board.asked)}
    ordered = sorted(board.jobs.values(), key=lambda job: (_ORDER.index(job.phase), places[job.name]))
    shown = ordered[: max(rows, 3)]
    for job in shown:
        waited = job.waited_seconds(now)
        grid.add_row(
            job.name,
            *([board.asked[job.name].size] if wide else []),
            Text(job.phase, style=COLOURS[job.phase]),
            job.gpu_model,
            *([job.nodes] if wide else []),
            "" if waited is None else f"{waited:.0f} s",
            "" if job.watts is None else f"{job.watts:.0f} W",
            "" if not job.joules else _energy(job.joules),
            why(job),
        )
    left_out = f"and {len(ordered) - len(shown)} more; " if len(ordered) > len(shown) else ""
    return Group(Text(), grid, Text(left_out + _jobs(board), style="dim"), bars(board))


def bars(board: Board, width: int = 12) -> Text:
    """How full each GPU model's nodes are."""
    line = Text()
    for model, (used, there) in board.gpus_in_use().items():
        full = round(width * used / there) if there else 0
        line.append(f"{model} ")
        line.append("█" * full, style="cyan")
        line.append("░" * (width - full), style="dim")
        line.append(f" {used}/{there}   ")
    return line
