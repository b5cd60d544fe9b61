"""What is fair by the weights, and how far back more than that puts a namespace."""

from __future__ import annotations

import pytest

from ballast.decide.fair_share import MOST_TIMES_OVER, NO_SHARES, FairShares, fair_shares
from ballast.decide.policy import Policy

BOTH = frozenset({"a", "b"})


def shares(used: dict[str, int], gpus: int = 30, waiting: frozenset[str] = BOTH, **weights: float) -> FairShares:
    return fair_shares(used, waiting, gpus, Policy(weights=weights))


def test_without_weights_all_have_the_same() -> None:
    assert shares({}).fair == {"a": 15, "b": 15}


def test_weights_divide_among_those_who_hold_or_want_some() -> None:
    assert shares({"c": 1}, a=2, unknown=100).fair == {"a": 15, "b": 7.5, "c": 7.5}


@pytest.mark.parametrize(("used", "seconds"), [(0, 0), (15, 0), (18, 720), (30, 3600)])
def test_it_is_put_back_by_how_much_more_than_fair_it_uses(used: int, seconds: int) -> None:
    assert shares({"a": used}).put_back_seconds("a") == seconds


def test_no_further_than_the_bound() -> None:
    assert shares({"a": 30}, a=0.1).put_back_seconds("a") == MOST_TIMES_OVER * Policy().share_seconds


def test_what_it_was_given_since_counts() -> None:
    assert shares({"a": 10}).put_back_seconds("a", 8) == 720


def test_only_those_who_are_put_back_are_listed() -> None:
    assert shares({"a": 18, "b": 12}).put_back() == {"a": 720}


@pytest.mark.parametrize("namespace", ["", "elsewhere"])
def test_who_has_no_share_is_not_put_back(namespace: str) -> None:
    assert shares({"a": 30}).put_back_seconds(namespace) == 0


@pytest.mark.parametrize("waiting", [frozenset(), frozenset({"a"})])
def test_with_nobody_to_share_with_nothing_changes(waiting: frozenset[str]) -> None:
    assert shares({"a": 30, "b": 2}, waiting=waiting) == NO_SHARES


def test_nor_does_it_without_gpus_or_when_it_is_off() -> None:
    assert shares({}, gpus=0) == NO_SHARES
    assert fair_shares({"a": 30}, BOTH, 30, Policy(share_seconds=0)) == NO_SHARES
