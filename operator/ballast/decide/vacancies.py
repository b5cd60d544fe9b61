"""What nodes say of themselves, and what is known of how empty they are, as frozen values.

A node is empty while nothing asks for its GPUs: no gang of Ballast's is on it, none is promised a part of it, and no
other pod asks for a GPU. Invariant: times are whole seconds, as the API server keeps them, so that what was written and
what is wanted compare equal.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mark:
    """What a node's label and condition say.

    Attributes:
        labelled: whether it has the label that says it is empty.
        empty: the condition's status; None without a condition.
        since: since when the condition has it, seconds since the epoch; None if it does not say.
    """

    labelled: bool = False
    empty: bool | None = None
    since: float | None = None

    @property
    def says_empty(self) -> bool:
        """Whether somebody may take the node for an empty one."""
        return self.labelled or self.empty is True


NO_MARK = Mark()


@dataclass(frozen=True, slots=True)
class Vacancy:
    """A node of which a cycle looks at whether it is marked as it should be.

    Attributes:
        mark: as it is now.
        empty_since: seconds since the epoch; None while it is in use.
        gpus: how many it has.
        idle_watts: what they draw together without load.
        measured: whether its agent has measured that; else it is assumed of the GPU model.
    """

    name: str
    uid: str
    mark: Mark
    empty_since: float | None
    gpus: int
    idle_watts: float
    measured: bool
