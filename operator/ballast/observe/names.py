"""Which object has a name now, of a kind whose objects go by their names: nodes and PriorityClasses.

An object that is deleted and made anew has the same name and another UID. What must hold: news of the old one that
comes after the new one (a list overtakes a watch) changes nothing about the name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Names:
    """The newest object of each name."""

    def __init__(self) -> None:
        self._by_uid: dict[str, str] = {}
        self._newest: dict[str, tuple[int, str]] = {}  # version, UID

    def take(self, metadata: Mapping[str, Any]) -> bool:
        """Record an object as seen; return False if a later one has taken its name."""
        uid, name, version = metadata["uid"], metadata["name"], int(metadata["resourceVersion"])
        self._by_uid[uid] = name
        if name in self._newest and self._newest[name][0] > version:
            return False
        self._newest[name] = version, uid
        return True

    def free(self, uid: str) -> str | None:
        """Record that an object is deleted; return the name that nobody has any more, or None if it has an heir."""
        name = self._by_uid.pop(uid, None)
        if name is None or self._newest[name][1] != uid:
            return None
        del self._newest[name]
        return name
