"""Asks the API server for its verdict on a case, once: many tests ask about the same one.

A case of the spec is a dry run of its creation. A case of the status, and an edit, needs an object that is there: one
of each kind is kept for them, with the complete status.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ballast.api.kinds import Kind
from tests.integration.api.client import Answer, Objects
from tests.unit.api.bounds import Bound
from tests.unit.api.builders import Manifest, put
from tests.unit.api.kinds import COMPLETE
from tests.unit.api.rules import BrokenRule, ForbiddenEdit


class Court:
    """Verdicts of the API server.

    Args:
        objects: The objects of each kind.
    """

    def __init__(self, objects: Mapping[type[Kind], Objects]) -> None:
        self._objects = objects
        self._verdicts: dict[str, Answer] = {}
        self._created: dict[str, tuple[type[Kind], Manifest]] = {}

    def bound(self, bound: Bound) -> Answer:
        """What it says to a manifest that breaks one bound."""
        return self._once(f"bound {bound}", lambda: self._verdict(bound.kind, bound.broken()))

    def rule(self, broken: BrokenRule) -> Answer:
        """What it says to a manifest that breaks one rule."""
        return self._once(f"rule {broken}", lambda: self._verdict(broken.kind, broken.manifest))

    def edit(self, edit: ForbiddenEdit) -> Answer:
        """What it says to an edit."""
        return self._once(f"edit {edit}", lambda: self.dry_edit(edit, edit.before))

    def dry_edit(self, edit: ForbiddenEdit, before: Manifest) -> Answer:
        """What it says to the edit of an object that is like this."""
        there = self.created(edit.kind, before)
        return self._objects[edit.kind].replace(put(there, edit.path, edit.value), dry_run=True)

    def created(self, kind: type[Kind], manifest: Manifest) -> Manifest:
        """The manifest as an object with its status, as the API server has it."""
        key = f"{kind.__name__} {manifest}"
        if key not in self._created:
            named = put(manifest, ("metadata", "name"), f"there-{len(self._created)}")
            answer = self._objects[kind].create(named)
            assert answer.ok, answer
            if "status" in manifest:
                answer = self._objects[kind].replace_status(answer.body | {"status": manifest["status"]})
                assert answer.ok, answer
            self._created[key] = (kind, answer.body)
        return self._created[key][1]

    def clean_up(self) -> None:
        """Deletes what was created."""
        for kind, manifest in self._created.values():
            self._objects[kind].delete(manifest["metadata"]["name"])

    def _verdict(self, kind: type[Kind], manifest: Manifest) -> Answer:
        complete = COMPLETE[kind]()
        if manifest.get("status", complete["status"]) == complete["status"]:
            return self._objects[kind].create(manifest, dry_run=True)
        there = self.created(kind, complete)
        return self._objects[kind].replace_status(there | {"status": manifest["status"]}, dry_run=True)

    def _once(self, key: str, ask: Callable[[], Answer]) -> Answer:
        if key not in self._verdicts:
            self._verdicts[key] = ask()
        return self._verdicts[key]
