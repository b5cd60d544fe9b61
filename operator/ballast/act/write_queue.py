"""The order of writes: what changes something goes before what only explains.

Waiting jobs are told why they wait, and there may be thousands of them; what they wait for must not wait for that.
What must hold: neither kind starves: while both are there, one in `SHARE` writes explains.
"""

from __future__ import annotations

from collections import deque

from ballast.decide.actions import Action, WriteStatus

SHARE = 25


class WriteQueue:
    """Actions that were submitted and have not begun."""

    def __init__(self) -> None:
        self._urgent: deque[Action] = deque()
        self._explanations: deque[Action] = deque()
        self._urgent_in_a_row = 0

    @property
    def urgent(self) -> int:
        """How many actions change something."""
        return len(self._urgent)

    @property
    def explanations(self) -> int:
        """How many actions only explain."""
        return len(self._explanations)

    def put(self, action: Action) -> None:
        """Add an action."""
        explains = isinstance(action, WriteStatus) and action.explains_only
        (self._explanations if explains else self._urgent).append(action)

    def take(self) -> Action | None:
        """Remove and return the next action; None if there is none."""
        if self._explanations and (not self._urgent or self._urgent_in_a_row >= SHARE - 1):
            self._urgent_in_a_row = 0
            return self._explanations.popleft()
        if not self._urgent:
            return None
        self._urgent_in_a_row += 1
        return self._urgent.popleft()
