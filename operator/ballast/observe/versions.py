"""Which version of each object is the newest that was seen, from whatever source it came.

Watches, periodic lists and the answers to our own writes all feed the same state, in any order. What must hold: an
older version never replaces a newer one, and an object whose deletion was seen never comes back (a list that was
on its way when the object went would otherwise resurrect it).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection

MAX_TOMBSTONES = 20_000


class Versions:
    """Resource versions by UID, and the UIDs of the dead.

    Resource versions of one resource compare as integers (the API's own rule since Kubernetes 1.35; etcd's
    revisions before).
    """

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}
        self._tombstones: OrderedDict[str, None] = OrderedDict()

    def accept(self, uid: str, resource_version: str) -> bool:
        """Record a version; return False if it is stale, known already or of a deleted object."""
        version = int(resource_version)
        if uid in self._tombstones or self._seen.get(uid, -1) >= version:
            return False
        self._seen[uid] = version
        return True

    def bury(self, uid: str) -> None:
        """Record that the object is deleted; UIDs are never reused."""
        self._seen.pop(uid, None)
        self._tombstones[uid] = None
        while len(self._tombstones) > MAX_TOMBSTONES:
            self._tombstones.popitem(last=False)

    def vanished(self, listed: Collection[str], list_version: str) -> list[str]:
        """Return the UIDs that a complete list no longer has; not those that appeared after it was taken."""
        version = int(list_version)
        return [uid for uid, seen in self._seen.items() if seen <= version and uid not in listed]
