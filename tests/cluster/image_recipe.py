"""The Dockerfile by its stages: the instructions that one image's build carries out, and no others.

A stage for one image is no reason to build another again, nor is a comment. Invariant: whatever could change what a
stage holds is in its recipe: the arguments that all stages see, the stage itself, and every stage that it builds on,
copies from or mounts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from tests.cluster.errors import ClusterError

_FROM = re.compile(r"^FROM\s+(?:--\S+\s+)*(?P<base>\S+)(?:\s+AS\s+(?P<name>\S+))?\s*$", re.IGNORECASE)
#: `COPY --from=stage` and `RUN --mount=type=bind,from=stage,...`
_TAKES_FROM = re.compile(r"(?:--|,)from=([^\s,]+)", re.IGNORECASE)


def recipe(dockerfile: Path, stage: str) -> str:
    """The instructions of a stage and of all that it depends on, as they stand, without comments and empty lines.

    Raises:
        ClusterError: There is no such stage.
    """
    head, stages = _parse(dockerfile.read_text())
    if stage not in stages:
        raise ClusterError(f"{dockerfile} has no stage {stage}", remedy=f"It has {', '.join(stages) or 'none'}")
    needed = _needed(stage, stages)
    return "\n".join([*head, *(line for name, lines in stages.items() if name in needed for line in lines)])


def _parse(text: str) -> tuple[list[str], dict[str, list[str]]]:
    """What stands before the first stage, and the lines of each stage, in their order."""
    head: list[str] = []
    stages: dict[str, list[str]] = {}
    lines = head
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        begins = _FROM.match(line)
        if begins is not None:
            lines = stages.setdefault(begins["name"] or str(len(stages)), [])
        lines.append(line)
    return head, stages


def _needed(stage: str, stages: Mapping[str, list[str]]) -> set[str]:
    needed: set[str] = set()
    waiting = [stage]
    while waiting:
        name = waiting.pop()
        if name in needed or name not in stages:  # what is no stage is another image
            continue
        needed.add(name)
        first, *rest = stages[name]
        begins = _FROM.match(first)
        assert begins is not None
        waiting += [begins["base"], *(found for line in rest for found in _TAKES_FROM.findall(line))]
    return needed
