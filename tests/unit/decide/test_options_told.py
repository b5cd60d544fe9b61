"""What was weighed, as a status tells it: rounded, bounded, and told anew only for another verdict."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from ballast.api.decision import MAX_AGAINST, MAX_OPTIONS, Decision, DecisionKind
from ballast.decide.options import Option, Weighed
from ballast.decide.options_told import decision, is_reconsidered
from tests.builders import NOW, at

OPTION = Option("A100", 2, 225.0, 1_234_567.8, 5432.1, 12.34)
FULL = replace(OPTION, gpu_model="H100", against="no room: 4 of 32 free")


def told(*options: Option, kind: DecisionKind = DecisionKind.PLACED) -> Decision:
    found = decision(Weighed(options, 3600.0, work_is_assumed=True), kind, NOW)
    assert found is not None
    return found


def test_numbers_are_rounded_to_three_digits() -> None:
    found = told(OPTION)
    assert (found.at, found.kind, found.work_seconds, found.work_is_assumed) == (
        at(0),
        DecisionKind.PLACED,
        3600.0,
        True,
    )
    [option] = found.options
    assert option.to_manifest() == {
        "gpuModel": "A100",
        "nodes": 2,
        "powerLimitWatts": 225.0,
        "joules": 1_230_000.0,
        "seconds": 5430.0,
        "waitSeconds": 12.3,
        "against": "",
    }


def test_what_is_not_known_is_absent() -> None:
    [option] = told(Option("", 1, None, None, None, 0.0, "why")).options
    assert option.to_manifest() == {"nodes": 1, "against": "why"}


@pytest.mark.parametrize("number", [math.inf, math.nan, -1.0])
def test_what_is_no_amount_is_not_told(number: float) -> None:
    [option] = told(replace(OPTION, joules=number)).options
    assert option.joules is None


def test_of_very_many_the_first_are_told() -> None:
    found = told(*(replace(OPTION, nodes=1 + number) for number in range(40)))
    assert [option.nodes for option in found.options] == list(range(1, MAX_OPTIONS + 1))


def test_a_long_reason_is_shortened() -> None:
    [option] = told(replace(OPTION, against="x" * 1000)).options
    assert option.against == "x" * (MAX_AGAINST - 1) + "…"


def test_where_nothing_was_weighed_nothing_is_told() -> None:
    assert decision(None, DecisionKind.PLACED, NOW) is None
    assert not is_reconsidered(told(OPTION), None)


def test_other_numbers_are_not_another_verdict() -> None:
    before = told(OPTION, FULL)
    assert not is_reconsidered(before, before)
    after = told(replace(OPTION, joules=9.0), replace(FULL, against="no room: 6 of 32 free"))
    assert not is_reconsidered(before, after)


@pytest.mark.parametrize(
    "after",
    [
        told(OPTION),
        told(OPTION, replace(FULL, against="3 % more joules")),
        told(OPTION, replace(FULL, power_limit_watts=300.0)),
        told(OPTION, FULL, kind=DecisionKind.WAITING),
    ],
)
def test_another_verdict_is_told(after: Decision) -> None:
    assert is_reconsidered(told(OPTION, FULL), after)
    assert is_reconsidered(None, after)
