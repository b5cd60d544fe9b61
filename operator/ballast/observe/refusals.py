"""Which requests did not fit when they were last tried, so that they need not be tried again.

What must hold: nothing is remembered past a moment at which something became free or a node changed, nor past one at
which another job's claim on nodes began or ended.
"""

from __future__ import annotations

from collections.abc import Mapping

from ballast.decide.gang_request import GangRequest
from ballast.decide.snapshot import Refusal


class Refusals:
    """What the last cycle refused; `gains` counts the moments at which something became free."""

    def __init__(self) -> None:
        self._refused: Mapping[GangRequest, Refusal] = {}
        self._gains = 0
        self._held_for: str | None = None

    def since(self, gains: int) -> Mapping[GangRequest, Refusal]:
        """Return what was refused and still is; a cycle that begins now answers for this moment."""
        if self._gains != gains:
            self._refused, self._gains = {}, gains
        return self._refused

    def remember(self, refused: Mapping[GangRequest, Refusal], held_for: str | None, gains: int) -> None:
        """Keep what the cycle refused that began with `since`, unless something has become free meanwhile.

        Args:
            refused: the requests, with the reason.
            held_for: the job for which nodes are held, if there is one.
            gains: as it is now.
        """
        if held_for != self._held_for:
            self._held_for = held_for
            self._refused = {}
        elif self._gains == gains:
            self._refused = refused
