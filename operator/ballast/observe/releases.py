"""When running jobs will give their GPUs back, by node, as far as their trainers tell.

Incremental: a job that changes costs a search in the lists of its own nodes. What must hold: a job is listed while it
holds GPUs and somebody knows how long it runs on, and no longer.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from ballast.decide.node import Release


class _Entry(NamedTuple):
    at: float
    uid: str
    gpus: int


class Releases:
    """Jobs that hold GPUs; see the module's docstring."""

    def __init__(self) -> None:
        self._by_node: dict[str, list[_Entry]] = {}
        self._known: dict[str, tuple[float, Mapping[str, int]]] = {}  # by UID: when, and GPUs by node
        self._stale: set[str] = set()
        self._frozen: Mapping[str, tuple[Release, ...]] = MappingProxyType({})

    def put(self, uid: str, gpus: Mapping[str, int], at: float) -> None:
        """Set when a job will be done.

        Args:
            uid: Of the job.
            gpus: That it holds, by node name.
            at: Seconds since the epoch.
        """
        if self._known.get(uid) == (at, gpus):
            return
        self.drop(uid)
        for node, count in gpus.items():
            insort(self._by_node.setdefault(node, []), _Entry(at, uid, count))
        self._known[uid] = at, dict(gpus)
        self._stale.update(gpus)

    def drop(self, uid: str) -> None:
        """Forget a job that holds nothing, or of which nobody knows how long it runs on."""
        if uid not in self._known:
            return
        at, gpus = self._known.pop(uid)
        for node, count in gpus.items():
            entries = self._by_node[node]
            del entries[bisect_left(entries, _Entry(at, uid, count))]
            if not entries:
                del self._by_node[node]
        self._stale.update(gpus)

    def views(self) -> Mapping[str, tuple[Release, ...]]:
        """Return what will be given back, by node name, the first first."""
        if self._stale:
            views = dict(self._frozen)
            for node in self._stale:
                entries = self._by_node.get(node)
                if entries:
                    views[node] = tuple(Release(entry.at, entry.gpus) for entry in entries)
                else:
                    views.pop(node, None)
            self._stale.clear()
            self._frozen = MappingProxyType(views)
        return self._frozen
