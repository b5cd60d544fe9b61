"""What an arm is given before its run: one object, so that an arm that needs to know more does not change all others.

What must hold: everything in here could be known before the first job of the trace ran. What an arm uses of it beyond
the seed is an advantage over what a cluster tells, and its reference says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ballast.decide.model.prior import Prior
from ballast.simulate.policies.speeds import Speeds


@dataclass(frozen=True, slots=True)
class Briefing:
    """What there is to know.

    Attributes:
        seed: Of the arm's chances.
        speeds: Of each kind on each GPU model, for those arms that are told.
        priors: By kind, what the energy model assumes of it, fitted without that kind's own measurements; a kind that
            is not in it has the prior that Ballast ships, as all kinds have with None.
        empty_nodes_go: Whether nodes that hold no job are switched off: the admin of a cluster knows.
    """

    seed: int
    speeds: Speeds
    priors: Mapping[str, Prior] | None = None
    empty_nodes_go: bool = False
