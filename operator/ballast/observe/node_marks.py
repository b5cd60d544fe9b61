"""What a node says of being empty, from the API server's JSON; pure functions, no state.

What must hold: anybody may write a node's labels and conditions: what cannot be read is as if it were not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ballast.api.labels import EMPTY, EMPTY_CONDITION
from ballast.decide.vacancies import NO_MARK, Mark
from ballast.observe.pod_ends import seconds


def mark_of(node: Mapping[str, Any]) -> Mark:
    """Return what a node's label and condition say."""
    labelled = EMPTY in (node["metadata"].get("labels") or {})
    conditions = (node.get("status") or {}).get("conditions") or ()
    said = next((each for each in conditions if each["type"] == EMPTY_CONDITION), None)
    if said is None:
        return Mark(labelled=True) if labelled else NO_MARK
    since = said.get("lastTransitionTime")
    return Mark(labelled, said["status"] == "True", seconds(since) if since else None)


def labels_of(node: Mapping[str, Any]) -> Mapping[str, str]:
    """Return a node's labels without the mark, which comes and goes, so that no job can ask for it."""
    labels: Mapping[str, str] = node["metadata"].get("labels") or {}
    return {name: value for name, value in labels.items() if name != EMPTY} if EMPTY in labels else labels
