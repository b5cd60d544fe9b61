"""The cluster's PriorityClasses, and the head start that each gives in the queue.

The head start counts classes, not their values: values are only an order (people choose 50, 100 and 200, or 1000 and
1000000), and with a bounded head start a job that waits long enough overtakes any class.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PriorityClass:
    """A PriorityClass; only what the queue needs of it."""

    name: str
    value: int
    is_default: bool


class Priorities:
    """The PriorityClasses by name."""

    def __init__(self) -> None:
        self._classes: dict[str, PriorityClass] = {}
        self._ranks: dict[int, int] = {0: 0}

    def put(self, seen: PriorityClass) -> bool:
        """Add or update a class; return whether that changes anything."""
        if self._classes.get(seen.name) == seen:
            return False
        self._classes[seen.name] = seen
        self._rank()
        return True

    def remove(self, name: str) -> bool:
        """Forget a class; return whether it was known."""
        if self._classes.pop(name, None) is None:
            return False
        self._rank()
        return True

    def rank(self, name: str | None) -> int | None:
        """Return how many distinct priorities are below a class; None if there is no such class.

        Args:
            name: the class; None for the cluster's default, or else 0, as Kubernetes has it.
        """
        value = self.value(name)
        return None if value is None else self._ranks[value]

    def value(self, name: str | None) -> int | None:
        """Return a class's value; None if there is no such class.

        Args:
            name: the class; None for the cluster's default, or else 0, as Kubernetes has it.
        """
        if name is None:
            return max((c.value for c in self._classes.values() if c.is_default), default=0)
        seen = self._classes.get(name)
        return None if seen is None else seen.value

    def _rank(self) -> None:
        values = sorted({0, *(seen.value for seen in self._classes.values())})
        self._ranks = {value: rank for rank, value in enumerate(values)}
