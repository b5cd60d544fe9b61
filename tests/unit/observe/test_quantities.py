"""Resource quantities as integers: millicores, bytes, devices; rounded up, never negative."""

from __future__ import annotations

import pytest

from ballast.observe.parsing import UnsupportedTemplate, amount, resources


@pytest.mark.parametrize(
    ("resource", "quantity", "expected"),
    [
        ("cpu", "1", 1000),
        ("cpu", 2, 2000),
        ("cpu", "100m", 100),
        ("cpu", "0.5", 500),
        ("cpu", "1n", 1),
        ("memory", "1Gi", 2**30),
        ("memory", "1G", 10**9),
        ("memory", "1.5Ki", 1536),
        ("memory", "1e3", 1000),
        ("memory", "128974848000m", 128974848),
        ("memory", "0.1", 1),
        ("nvidia.com/gpu", "8", 8),
        ("memory", "0", 0),
    ],
)
def test_amounts(resource: str, quantity: object, expected: int) -> None:
    assert amount(resource, quantity) == expected


@pytest.mark.parametrize(
    "wrong", ["much", "", None, {}, True, "1.2.3", "NaN", "Infinity", "1e999999999", "-1e999999999", "1Q"]
)
def test_what_is_no_quantity_is_refused_with_a_remedy(wrong: object) -> None:
    with pytest.raises(UnsupportedTemplate, match=r"memory: .* is not a quantity; write for example 500m or 2Gi"):
        amount("memory", wrong)


def test_a_negative_amount_would_give_capacity_away() -> None:
    with pytest.raises(UnsupportedTemplate, match="negative"):
        amount("cpu", "-1")


def test_no_list_is_no_resources() -> None:
    assert resources(None) == {}
    assert resources({}) == {}
