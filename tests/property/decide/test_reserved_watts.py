"""G1 on one GPU: while a limit is being changed, the larger of the old and the new one counts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ballast.decide.operating_point import reserved_watts
from tests.power_builders import gpu, point

limits = st.integers(100, 300).map(float)
wishes = st.lists(st.none() | limits, max_size=4)


@given(found=limits, has=st.none() | limits, asked=wishes)
def test_it_covers_what_the_board_has_and_what_it_may_get(
    found: float, has: float | None, asked: list[float | None]
) -> None:
    reserved = reserved_watts(gpu(found=found, enforced=None if has is None else point(has)), asked)
    assert reserved is not None
    assert reserved >= (found if has is None else has)
    # The loosest of the pods' wishes is what the agent will set; without any it gives back what it found.
    will = max((found if watts is None else watts for watts in asked), default=found)
    assert reserved >= will
    assert reserved in {found, has, will}


@given(found=limits, asked=limits)
def test_a_confirmed_limit_is_all_that_counts(found: float, asked: float) -> None:
    assert reserved_watts(gpu(found=found, enforced=point(asked)), [asked]) == asked


def test_a_board_that_tells_no_limit_has_no_bound() -> None:
    assert reserved_watts(gpu(found=None), [150.0]) is None
