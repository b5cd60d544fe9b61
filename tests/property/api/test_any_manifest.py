"""Whatever stands in a manifest, it is read or it is invalid, and what is read can be written and read again."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ballast.api.crds import KINDS
from ballast.api.kinds import InvalidObject, Kind
from tests.unit.api.builders import Manifest
from tests.unit.api.mutations import damaged

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def _read(kind: type[Kind], manifest: Manifest) -> Kind | InvalidObject:
    try:
        return kind.parse(manifest)
    except InvalidObject as invalid:
        return invalid


@given(damaged())
def test_read_or_invalid(case: tuple[type[Kind], Manifest]) -> None:
    kind, manifest = case
    read = _read(kind, manifest)
    if isinstance(read, Kind):
        assert kind.parse(read.to_manifest()) == read
    else:
        assert isinstance(read, kind.invalid)
        assert read.problems
        assert all(problem.field and problem.remedy for problem in read.problems)


@given(st.sampled_from(KINDS), st.dictionaries(st.sampled_from(["metadata", "spec", "status"]), json_values))
def test_garbage_is_invalid(kind: type[Kind], garbage: Manifest) -> None:
    read = _read(kind, garbage)
    assert isinstance(read, InvalidObject) or read.name == garbage["metadata"]["name"]
