"""What a training step costs now: joules of all components over the steps of a sliding window.

The window is of the last ten minutes, or shorter at the beginning: long enough that polls and reports, which do not
come at the same moment, blur it by a few percent at most; short enough to show what another operating point changes.
What must hold: a step that goes back (another process resumed from a checkpoint) begins a new window; steps that were
repeated after it have cost joules, too, and count.
"""

from __future__ import annotations

from collections import deque
from typing import Final

WINDOW_SECONDS: Final = 600.0
SPACING_SECONDS: Final = 10.0
"""How far apart the remembered moments are."""


class JoulesPerStep:
    """Compares the pod's joules with the trainer's steps."""

    def __init__(self) -> None:
        self._moments: deque[tuple[float, float, int]] = deque()
        self._newest: tuple[float, float, int] | None = None

    def note(self, at: float, joules: float, step: int | None) -> None:
        """Note how far both are.

        Args:
            at: when, in seconds that only pass.
            joules: the pod's total.
            step: the newest that the trainer has reported; None if it reports none.
        """
        if step is None:
            return
        if self._newest is not None and step < self._newest[2]:
            self._moments.clear()
        if self._newest is not None and step == self._newest[2] and self._moments:
            return  # a step takes as long as it takes: what it costs is known at its end
        self._newest = (at, joules, step)
        if not self._moments or at - self._moments[-1][0] >= SPACING_SECONDS:
            self._moments.append(self._newest)
        while len(self._moments) > 2 and at - self._moments[1][0] >= WINDOW_SECONDS:
            self._moments.popleft()

    def value(self) -> float | None:
        """Return joules per step; None until two steps have been seen."""
        if self._newest is None or not self._moments:
            return None
        _, joules, step = self._moments[0]
        steps = self._newest[2] - step
        return (self._newest[1] - joules) / steps if steps > 0 else None
