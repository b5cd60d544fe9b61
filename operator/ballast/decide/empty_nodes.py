"""Marks empty nodes by a label and a condition, so that whoever removes nodes or switches them off can find them.

Pure and level-triggered: a mark that somebody edited is put right. What must hold: a node on which a gang is or which
is promised to one is never marked, and its mark is taken off in the cycle in which it is promised, before the promise
is written; a node is marked only after it has been empty for `Policy.empty_node_seconds`, so that nothing flaps between
two jobs; a node that is marked as it should be is left alone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from ballast.api.quantities import POWER
from ballast.decide.actions import MarkNode
from ballast.decide.node import Node
from ballast.decide.policy import Policy
from ballast.decide.snapshot import Snapshot
from ballast.decide.telling import moment
from ballast.decide.vacancies import NO_MARK, Mark, Vacancy

UNUSED = "Unused"
"""The condition's reason while nothing asks for the node's GPUs."""
IN_USE = "InUse"
"""Its reason otherwise."""


class Marks(NamedTuple):
    """What is to be written about marks.

    Attributes:
        taken_off: of nodes that are not empty: to be written before anything is promised there.
        put_on: of empty nodes; nothing waits for these.
    """

    taken_off: tuple[MarkNode, ...]
    put_on: tuple[MarkNode, ...]


def mark(snapshot: Snapshot, nodes: Mapping[str, Node], promised: Collection[str]) -> Marks:
    """Return the writes by which nodes come to be marked as they should be.

    Args:
        snapshot: what the cycle decides on.
        nodes: its nodes by name.
        promised: the nodes that this cycle gives to gangs or holds for one.
    """
    policy, now = snapshot.policy, snapshot.now
    if not policy.mark_empty_nodes:
        # Nobody would take them off any more.
        left = (view for view in snapshot.vacancies if view.mark != NO_MARK)
        return Marks(tuple(MarkNode(view.name, view.uid) for view in left), ())
    taken_off = [
        _in_use(name, nodes[name].uid, now)
        for name in sorted(set(promised))
        if name in nodes and nodes[name].mark.says_empty and name not in snapshot.marking
    ]
    put_on: list[MarkNode] = []
    for view in snapshot.vacancies:
        if view.name in promised:
            continue
        since = view.empty_since
        if since is None or now < marked_at(since, policy):
            if view.mark.says_empty:
                taken_off.append(_in_use(view.name, view.uid, now))
        elif view.mark != right_mark(since):
            put_on.append(_unused(view, since, now))
    return Marks(tuple(taken_off), tuple(put_on))


def marked_at(empty_since: float, policy: Policy) -> float:
    """Return when a node is to be marked that has been empty since a moment; seconds since the epoch."""
    return empty_since + policy.empty_node_seconds


def right_mark(empty_since: float) -> Mark:
    """Return what a node is to say that has been empty for long enough."""
    return Mark(labelled=True, empty=True, since=empty_since)


def _in_use(name: str, uid: str, now: float) -> MarkNode:
    message = "a gang, or another pod that asks for GPUs, is on the node or is promised it, or was until just now"
    return MarkNode(name, uid, empty=False, since=now, told_at=now, reason=IN_USE, message=message)


def _unused(view: Vacancy, since: float, now: float) -> MarkNode:
    gpus = f"{view.gpus} idle GPU" + "s" * (view.gpus != 1)
    how = "as its agent has measured" if view.measured else "as is assumed of its GPU model"
    message = (
        "no gang is on the node or is promised it, and no other pod asks for its GPUs, since "
        f"{moment(since):%Y-%m-%dT%H:%M:%SZ}; "
        f"{gpus} draw{'s' * (view.gpus == 1)} about {POWER.human(view.idle_watts)}, {how}"
    )
    return MarkNode(view.name, view.uid, empty=True, since=since, told_at=now, reason=UNUSED, message=message)
