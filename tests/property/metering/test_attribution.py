"""Conservation: for all holders and uses, shares are not negative and add up to what the board counted."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ballast.agent.metering.attribution import split_cpu, split_gpu
from ballast.agent.node.holders import Holder

JOULES = st.floats(0, 1e7)
SECONDS = st.floats(0.001, 1e5)
WATTS = st.floats(0, 1000)
USAGE = st.one_of(st.just(0.0), st.floats(0, 1), st.floats(0, 5e-324))


@dataclass(frozen=True)
class Held:
    """Holders of a GPU, and how much each used it."""

    holders: Sequence[Holder]
    usage: Sequence[float]


@st.composite
def held(draw: st.DrawFn) -> Held:
    """Any holders: of a whole GPU, of slices of its time, or of MIG devices; and any use."""
    count = draw(st.integers(0, 12))
    names = [f"pod-{number}" for number in range(count)]
    if draw(st.booleans()):
        holders = [Holder(name) for name in names]
    else:
        slices = draw(st.lists(st.integers(1, 4), min_size=count, max_size=count))
        whole = sum(slices) + draw(st.integers(0, 7))
        holders = [Holder(name, f"MIG-{name}", part, whole) for name, part in zip(names, slices, strict=True)]
    return Held(holders, draw(st.one_of(st.just([]), st.lists(USAGE, min_size=count, max_size=count))))


@given(joules=JOULES, seconds=SECONDS, idle_watts=WATTS, by=held(), others=USAGE)
def test_nothing_is_lost_and_nothing_made(
    joules: float, seconds: float, idle_watts: float, by: Held, others: float
) -> None:
    shares = split_gpu(joules, seconds, idle_watts, by.holders, by.usage, others)
    parts = [part for share in shares.holders for part in (share.active, share.idle)]
    assert len(shares.holders) == len(by.holders)
    assert all(part >= 0 for part in [*parts, shares.unattributed])
    assert math.fsum([*parts, shares.unattributed]) == pytest.approx(joules, rel=1e-12, abs=1e-300)


@given(joules=JOULES, seconds=SECONDS, idle_watts=WATTS, by=held(), others=USAGE, data=st.data())
def test_the_order_of_holders_changes_nothing(
    joules: float, seconds: float, idle_watts: float, by: Held, others: float, data: st.DataObject
) -> None:
    order = data.draw(st.permutations(range(len(by.holders))))
    one = split_gpu(joules, seconds, idle_watts, by.holders, by.usage, others)
    usage = [by.usage[index] for index in order] if by.usage else ()
    other = split_gpu(joules, seconds, idle_watts, [by.holders[index] for index in order], usage, others)
    for position, index in enumerate(order):
        mine, theirs = other.holders[position], one.holders[index]
        assert mine.active == pytest.approx(theirs.active, rel=1e-9, abs=1e-9)
        assert mine.idle == pytest.approx(theirs.idle, rel=1e-9, abs=1e-9)
    assert other.unattributed == pytest.approx(one.unattributed, rel=1e-9, abs=1e-9)


@given(joules=JOULES, seconds=SECONDS, idle_watts=WATTS, by=held())
def test_who_uses_more_is_charged_no_less(joules: float, seconds: float, idle_watts: float, by: Held) -> None:
    shares = split_gpu(joules, seconds, idle_watts, by.holders, by.usage)
    ranked = sorted(zip(by.usage, shares.holders, strict=False), key=lambda pair: pair[0])
    if sum(by.usage) > 0:
        for (_, less), (_, more) in itertools.pairwise(ranked):
            assert more.active >= less.active - 1e-9 * joules


@given(
    joules=JOULES,
    seconds=SECONDS,
    idle_watts=WATTS,
    pods=st.lists(st.floats(0, 1e6), max_size=50),
    busy=st.floats(0, 1e6),
)
def test_cpu_joules_are_conserved(
    joules: float, seconds: float, idle_watts: float, pods: list[float], busy: float
) -> None:
    shares = split_cpu(joules, seconds, idle_watts, pods, busy)
    assert len(shares.active) == len(pods)
    assert all(part >= 0 for part in [*shares.active, shares.unattributed])
    assert math.fsum([*shares.active, shares.unattributed]) == pytest.approx(joules, rel=1e-12, abs=1e-300)
