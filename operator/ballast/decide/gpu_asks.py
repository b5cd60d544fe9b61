"""What jobs ask of their pods' GPUs, and what the nodes' agents tell of them, as frozen values.

Invariant: what an agent has not told is None; a part of an operating point that nobody asked for stays as it was found.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ballast.api.nodepower import NodePower
from ballast.api.operatingpoint import OperatingPoint

SAME_WATTS: Final = 0.5
"""Boards round what they are asked for."""


@dataclass(frozen=True, slots=True)
class HeldGpu:
    """A GPU that a pod holds, as its node's agent tells.

    Attributes:
        found_watts: its power limit before Ballast changed anything; None if it tells none.
        enforced: the operating point that it has by Ballast's doing, as read back; None while it is as it was found.
        problem: why it does not have what was asked for.
        shared: whether other pods hold it, too: the loosest of their operating points holds.
    """

    uuid: str
    found_watts: float | None = None
    enforced: OperatingPoint | None = None
    problem: str | None = None
    shared: bool = False

    def has_limit(self, asked_watts: float | None) -> bool:
        """Return whether it has the power limit that was asked for; None asks for what was found.

        A shared one may have something looser, for the sake of a neighbour.
        """
        has = self.enforced.power_limit_watts if self.enforced is not None else None
        if has is None:
            return asked_watts is None or self.shared
        if asked_watts is None:
            return self.shared
        return has >= asked_watts - SAME_WATTS and (self.shared or has <= asked_watts + SAME_WATTS)


@dataclass(frozen=True, slots=True)
class Ask:
    """The operating point that a pod's GPUs are to have; a part that is None stays as it was found."""

    node: str
    pod_uid: str
    namespace: str
    pod_name: str
    power_limit_watts: float | None
    max_clock_hertz: int | None


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node about whose power something changed.

    Attributes:
        labels: those of `labels.NODE_LABELS` that it has.
        power: its NodePower; None if there is none.
        asks: what the jobs on it ask of its GPUs.
    """

    name: str
    uid: str
    labels: tuple[tuple[str, str], ...]
    power: NodePower | None
    asks: tuple[Ask, ...]
