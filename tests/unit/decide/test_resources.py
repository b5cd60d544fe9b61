"""Sums of resources are exact, and nothing that they are made of changes."""

from __future__ import annotations

import pytest

from ballast.decide.resources import Resources, add, copies_that_fit, shortage, subtract


def test_add_and_subtract_make_new_amounts() -> None:
    left, right = {"cpu": 1, "memory": 2}, {"cpu": 3, "pods": 1}
    assert add(left, right) == {"cpu": 4, "memory": 2, "pods": 1}
    assert subtract(left, right) == {"cpu": -2, "memory": 2, "pods": -1}
    assert (left, right) == ({"cpu": 1, "memory": 2}, {"cpu": 3, "pods": 1})


@pytest.mark.parametrize(
    ("request_", "free", "copies"),
    [
        ({"cpu": 2}, {"cpu": 7}, 3),
        ({"cpu": 2, "memory": 3}, {"cpu": 7, "memory": 3}, 1),
        ({"cpu": 2}, {"cpu": 1}, 0),
        ({"cpu": 2}, {}, 0),
        ({"cpu": 2}, {"cpu": -5}, 0),
        ({"cpu": 2, "memory": 0}, {"cpu": 4, "memory": -1}, 2),
        ({}, {"cpu": 4}, 0),
    ],
)
def test_copies_that_fit(request_: Resources, free: Resources, copies: int) -> None:
    assert copies_that_fit(request_, free) == copies


def test_shortage_names_what_lacks() -> None:
    assert shortage({"cpu": 2, "memory": 3}, {"cpu": 2, "memory": 2}) == "memory"
    assert shortage({"cpu": 2, "memory": 0}, {"cpu": 2}) is None
