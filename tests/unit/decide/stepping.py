"""Takes the next steps of a job; fails the test where they are of another kind than it expects."""

from __future__ import annotations

from ballast.decide.actions import Action, WriteStatus
from ballast.decide.life.lifecycle import advance
from ballast.decide.policy import Policy
from tests.builders import NOW, ROOMY, JobBuilder, NodeBuilder, context


def steps(
    of: JobBuilder, after: float = 0.0, nodes: tuple[NodeBuilder, ...] = ROOMY, policy: Policy | None = None
) -> list[Action]:
    """Return the next actions so many seconds after `NOW`."""
    return advance(of.build(), context(nodes, now=NOW + after, policy=policy))


def write(
    of: JobBuilder, after: float = 0.0, nodes: tuple[NodeBuilder, ...] = ROOMY, policy: Policy | None = None
) -> WriteStatus:
    """Return the one status that is written next."""
    [action] = steps(of, after, nodes, policy)
    assert isinstance(action, WriteStatus), action
    return action


def told(action: WriteStatus) -> str:
    """Return what the owner is told."""
    assert action.note is not None
    return action.note.message
