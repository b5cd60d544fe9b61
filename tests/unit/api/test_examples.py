"""Every example is one that the models accept."""

from __future__ import annotations

import pytest

from ballast.api.crds import KINDS
from ballast.api.kinds import Kind
from tests.unit.api.builders import Manifest
from tests.unit.api.examples import example_objects

_EXAMPLES = example_objects()


def test_there_is_an_example_of_every_kind_that_people_write() -> None:
    written_by_people = {kind for kind in KINDS if kind.resource.kind != "NodePower"}
    assert {kind for kind, _ in _EXAMPLES.values()} == written_by_people


@pytest.mark.parametrize(("kind", "manifest"), _EXAMPLES.values(), ids=_EXAMPLES.keys())
def test_example_is_accepted(kind: type[Kind], manifest: Manifest) -> None:
    kind.parse(manifest)
