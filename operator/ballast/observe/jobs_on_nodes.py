"""Which jobs have a reservation or pods on which node, so that a node's change reaches them and nobody else."""

from __future__ import annotations

from collections import defaultdict


class JobsOnNodes:
    """UIDs of jobs by node."""

    def __init__(self) -> None:
        self._nodes: dict[str, frozenset[str]] = {}
        self._jobs: dict[str, set[str]] = defaultdict(set)
        self._touched: set[str] = set()

    def put(self, uid: str, nodes: frozenset[str]) -> None:
        """Set where a job is; nowhere forgets it."""
        before = self._nodes.get(uid, frozenset())
        for node in before - nodes:
            self._jobs[node].discard(uid)
            if not self._jobs[node]:
                del self._jobs[node]
        for node in nodes - before:
            self._jobs[node].add(uid)
        self._touched |= before ^ nodes
        if nodes:
            self._nodes[uid] = nodes
        else:
            self._nodes.pop(uid, None)

    def take_touched(self) -> set[str]:
        """Return the nodes to which a job came, or from which one went, since this was last asked."""
        touched, self._touched = self._touched, set()
        return touched

    def on(self, node: str) -> tuple[str, ...]:
        """Return the jobs on a node."""
        return tuple(self._jobs.get(node, ()))
