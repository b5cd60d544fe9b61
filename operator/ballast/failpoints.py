"""Crash on purpose, at a named place, to prove that a restart goes on where the world stands.

Off unless the environment names a failpoint: `BALLAST_FAILPOINT=after:status.Admit` kills the process with SIGKILL
the first time it gets there, as a power cut would; `BALLAST_FAILPOINT=after:ungate#3` the third time. Names are
`before:` or `after:` and the name of a write, as `act.executor` spells them.
"""

from __future__ import annotations

import os
import signal

VARIABLE = "BALLAST_FAILPOINT"


class Failpoints:
    """Counts passages of the one failpoint that is armed, if any."""

    def __init__(self, armed: str | None = None) -> None:
        armed = os.environ.get(VARIABLE, "") if armed is None else armed
        self._name, _, count = armed.partition("#")
        self._left = int(count or 1)

    def passing(self, name: str) -> None:
        """Die here if this is the armed failpoint and its count is reached."""
        if name != self._name:
            return
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
