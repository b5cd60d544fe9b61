"""The demo's stages, told as they pass, and how long each took.

Invariant: plain lines wherever output is not a terminal, without colours, never cut to a width.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.text import Text

PLAIN_WIDTH = 160
#: In a window narrower than this, tables leave out what can be had from kubectl.
WIDE = 110


def console() -> Console:
    """Where the demo writes."""
    if sys.stdout.isatty():
        return Console(highlight=False)
    return Console(highlight=False, width=PLAIN_WIDTH, soft_wrap=True)


@dataclass
class Stages:
    """Announces stages and keeps their times.

    Attributes:
        out: Where to write.
        seconds: The seconds of each stage that was begun, in order.
    """

    out: Console
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str, what: str, *, estimate_seconds: float = 0.0) -> Iterator[None]:
        """Announces a stage and notes how long it took.

        Args:
            name: One word, for the list of times.
            what: What is being done.
            estimate_seconds: How long it takes with everything cached; 0 says nothing about it.
        """
        estimate = f" (about {estimate_seconds:.0f} s)" if estimate_seconds else ""
        self.out.print(Text.assemble(("▸ ", "cyan"), (what, "bold"), (estimate, "dim")))
        started = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = time.monotonic() - started

    def say(self, text: str) -> None:
        """A line about the stage under way."""
        self.out.print(Text(f"  {text}"))

    def warn(self, text: str) -> None:
        """A line that should not be missed."""
        self.out.print(Text(f"  {text}", style="yellow"))

    def times(self) -> str:
        """All stages' seconds in one line."""
        each = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in self.seconds.items())
        return f"{each}; together {sum(self.seconds.values()):.1f} s"
