"""Keeps a node's NodePower and labels: it asks of the agent what the jobs on the node ask.

There is one for each node. What the agent found out about the GPUs is copied to the node's labels. Pure and
level-triggered: a NodePower that somebody edited or deleted is written again, an entry of a pod that is gone goes.
"""

from __future__ import annotations

import re

from ballast.api.labels import GPU_COUNT, GPU_MODEL, MIXED_GPUS
from ballast.api.nodepower import NodePowerSpec, WithoutOperator
from ballast.api.nodestatus import NodePowerStatus
from ballast.decide.actions import LabelNode, NodeAction, WriteNodePower
from ballast.decide.gpu_asks import NodeView
from ballast.decide.operating_point import assignments
from ballast.decide.policy import Policy

_LABEL_VALUE = re.compile(r"[A-Za-z0-9]([-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?")


def keep(view: NodeView, policy: Policy) -> list[NodeAction]:
    """Return the writes by which a node's NodePower and labels come to what they should be."""
    if not policy.agents:
        return []
    actions: list[NodeAction] = []
    status = view.power.status if view.power is not None else NodePowerStatus()
    spec = NodePowerSpec(
        pods=assignments(view.asks, status.gpus),
        free_gpus=policy.free_gpus,
        without_operator=WithoutOperator.RESTORE,
    )
    if view.power is None or view.power.spec != spec:
        actions.append(WriteNodePower(view.name, view.uid, spec))
    labels = labels_of(status)
    if view.power is not None and dict(view.labels) != labels:
        actions.append(LabelNode(view.name, view.uid, tuple(sorted(labels.items()))))
    return actions


def labels_of(status: NodePowerStatus) -> dict[str, str]:
    """Return the labels that tell what a node's agent found; none before it has, or without GPUs."""
    if not status.gpus:
        return {}
    models = {gpu.model for gpu in status.gpus}
    model = models.pop() if len(models) == 1 else MIXED_GPUS
    named = {GPU_MODEL: model} if _LABEL_VALUE.fullmatch(model) else {}
    return {**named, GPU_COUNT: str(len(status.gpus))}
