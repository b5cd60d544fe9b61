"""Good manifests, damaged at random: a field gone, or with a value that somebody may take for a good one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

from ballast.api.crds import KINDS
from ballast.api.kinds import Kind
from tests.unit.api.builders import Manifest, Path, put, remove
from tests.unit.api.kinds import COMPLETE

# Not here: 2.0. The API server takes it for a whole number or not, depending on whether a rule looks at the field.
_VALUES: tuple[Any, ...] = (
    *(None, True, False, -1, 0, 1, 2, 7, 0.5, 1.5, -0.1, 10**20, 1e308),
    *([], {}, ["x"], {"a": "b"}, {"a": 1}),
    *("", "x", "-", "a" * 70, "7", "true", "0W", "250W", "5kWh", "1h", "1h30m", "80kg", "1GHz"),
    *("P1D", "PT0H", "P1DT1H", "Day", "2026-01-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-01-01"),
    *("Auto", "Fixed", "None", "Ignore", "Prefer", "Maximize", "Patience", "Divergence", "In", "Exists", "Hold"),
)


@st.composite
def damaged(draw: st.DrawFn) -> tuple[type[Kind], Manifest]:
    """A kind and a manifest of it that once was good; without status, which nobody can write with the rest."""
    kind = draw(st.sampled_from(KINDS))
    manifest = COMPLETE[kind]()
    del manifest["status"]
    for _ in range(draw(st.integers(0, 3))):
        places = list(_places(manifest["spec"], ("spec",)))
        if not places:
            break
        place = draw(st.sampled_from(places))
        manifest = draw(
            st.one_of(
                st.just(remove(manifest, place)),
                st.sampled_from(_VALUES).map(lambda value, m=manifest, p=place: put(m, p, value)),  # type: ignore[misc]
            )
        )
    return kind, manifest


def _places(value: Any, path: Path) -> Iterator[Path]:
    """Every path below one."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, child in inside:
        yield (*path, name)
        yield from _places(child, (*path, name))
