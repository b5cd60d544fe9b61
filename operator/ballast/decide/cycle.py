"""One decision cycle: from a frozen snapshot to the actions to take, in named steps.

Pure: the same snapshot gives the same actions. Steps that later features add (accounting, stopping, operating
points) stand between these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ballast.decide.actions import Action
from ballast.decide.lifecycle import advance
from ballast.decide.queueing import admit, explain
from ballast.decide.snapshot import GangRequest, Refusal, Snapshot


@dataclass(frozen=True, slots=True)
class Decision:
    """What a cycle came to.

    Attributes:
        actions: to be carried out, the most urgent first.
        refused: requests that did not fit, with the reason: an input of the next cycle, for as long as nothing
            becomes free.
        complete: whether everything was decided; False if the limit on actions cut it off.
    """

    actions: tuple[Action, ...]
    refused: Mapping[GangRequest, Refusal]
    complete: bool


def decide(snapshot: Snapshot) -> Decision:
    """Return the actions of this cycle, at most `snapshot.max_actions`.

    What is cut off is decided again in a later cycle: nothing is lost, because every action follows from the
    state of the world.
    """
    actions: list[Action] = []
    # 1. Jobs that hold a reservation go on, so that capacity is used or freed before more is promised.
    for job in snapshot.changed:
        actions.extend(advance(job, snapshot.now))
    # 2. Waiting jobs are placed, oldest first.
    admissions, refused = admit(snapshot, max(snapshot.max_actions - len(actions), 0))
    actions.extend(admissions)
    # 3. The others are told why they wait.
    admitted = frozenset(write.job.metadata.uid for write in admissions)
    actions.extend(explain(snapshot.review, refused, admitted, snapshot.now))
    return Decision(
        actions=tuple(actions[: snapshot.max_actions]),
        refused=refused,
        complete=len(actions) < snapshot.max_actions,
    )
