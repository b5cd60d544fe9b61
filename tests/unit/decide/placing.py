"""Places a gang on an otherwise unchanged cluster; fails the test where the outcome is of the other kind."""

from __future__ import annotations

from ballast.decide.capacity import Capacity
from ballast.decide.placement import Placement, place
from ballast.decide.snapshot import Refusal
from tests.builders import JobBuilder, NodeBuilder


def placed(asking: JobBuilder, *nodes: NodeBuilder) -> Placement:
    outcome = place(asking.gang(), Capacity(node.build() for node in nodes))
    assert isinstance(outcome, Placement), outcome
    return outcome


def refused(asking: JobBuilder, *nodes: NodeBuilder) -> Refusal:
    outcome = place(asking.gang(), Capacity(node.build() for node in nodes))
    assert isinstance(outcome, Refusal), outcome
    return outcome
