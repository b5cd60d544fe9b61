"""Which nodes a gang may use at all: readiness, taints, node selector and required node affinity.

This is kube-scheduler's static filtering, done before the gate comes off: a placement that kube-scheduler would
refuse leaves a gang stuck, because affinity cannot be changed once it is set.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ballast.decide.gang_request import GangRequest, Requirement, SelectorTerm, Toleration
from ballast.decide.node import Node, Taint
from ballast.decide.resources import GPU

BLOCKING_EFFECTS = frozenset({"NoSchedule", "NoExecute"})


def ineligible_because(gang: GangRequest, node: Node) -> str | None:
    """Return why the gang can never run on the node, in a few words, or None if it may.

    Free capacity is not looked at: that is placement's part.
    """
    if not node.ready:
        return "not ready"
    if node.cordoned:
        return "cordoned"
    for taint in node.taints:
        if taint.effect in BLOCKING_EFFECTS and not _tolerated(taint, gang.tolerations):
            return f"taint {taint.key}"
    for key, value in gang.node_selector:
        if node.labels.get(key) != value:
            return f"nodeSelector {key}={value}"
    if gang.node_terms and not any(_term_matches(term, node) for term in gang.node_terms):
        return "node affinity"
    if gang.gpus_per_pod and node.gpu_model is None:
        return f"no {GPU}"
    if gang.gpus_per_pod and node.mixes_gpus:
        return "GPUs of several models"
    return None


def _tolerated(taint: Taint, tolerations: Iterable[Toleration]) -> bool:
    for toleration in tolerations:
        if toleration.effect and toleration.effect != taint.effect:
            continue
        if toleration.operator == "Exists":
            if not toleration.key or toleration.key == taint.key:
                return True
        elif toleration.key == taint.key and toleration.value == taint.value:
            return True
    return False


def _term_matches(term: SelectorTerm, node: Node) -> bool:
    # A term without any expression matches nothing, as in kube-scheduler.
    if not term.labels and not term.fields:
        return False
    fields = {"metadata.name": node.name}
    return all(_holds(r, node.labels) for r in term.labels) and all(_holds(r, fields) for r in term.fields)


def _holds(requirement: Requirement, values: Mapping[str, str]) -> bool:
    found = values.get(requirement.key)
    match requirement.operator:
        case "In":
            return found is not None and found in requirement.values
        case "NotIn":
            return found is None or found not in requirement.values
        case "Exists":
            return found is not None
        case "DoesNotExist":
            return found is None
        case "Gt" | "Lt":
            return _compares(requirement, found)
        case _:
            return False


def _compares(requirement: Requirement, found: str | None) -> bool:
    try:
        value, bound = int(found or ""), int(requirement.values[0])
    except (ValueError, IndexError):
        return False
    return value > bound if requirement.operator == "Gt" else value < bound
