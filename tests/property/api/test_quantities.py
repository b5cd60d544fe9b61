"""Quantities lose nothing: what is written is read back, order is kept, and units agree with each other."""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from ballast.api.quantities import DURATION, MAX_LENGTH, QUANTITIES, Quantity, QuantityError

quantities = st.sampled_from(QUANTITIES)


@st.composite
def numbers(draw: st.DrawFn, longest: int = MAX_LENGTH - 4) -> str:
    """A number as people may write it, with leading and trailing zeros."""
    whole = draw(st.from_regex(rf"[0-9]{{1,{longest}}}", fullmatch=True))
    room = longest - len(whole) - 1
    if room < 1 or draw(st.booleans()):
        return whole
    return f"{whole}." + draw(st.from_regex(rf"[0-9]{{1,{room}}}", fullmatch=True))


@st.composite
def written(draw: st.DrawFn) -> tuple[Quantity, str]:
    """A quantity and a text that it takes."""
    quantity = draw(quantities)
    if quantity is not DURATION:
        return quantity, draw(numbers()) + draw(st.sampled_from(list(quantity.units)))
    symbols = draw(st.lists(st.sampled_from(list(quantity.units)), min_size=1, unique=True))
    ordered = [symbol for symbol in quantity.units if symbol in symbols]
    text = "".join(draw(numbers(longest=5)) + symbol for symbol in ordered)
    assume(len(text) <= MAX_LENGTH)
    return quantity, text


def _exactly(quantity: Quantity, text: str) -> Fraction:
    """The value by rational arithmetic, which shares nothing with the code under test."""
    parts = re.findall(r"([0-9.]+)([A-Za-z]+)", text)
    return sum((Fraction(number) * Fraction(quantity.units[symbol]) for number, symbol in parts), Fraction(0))


@given(written())
def test_parsing_is_exact(case: tuple[Quantity, str]) -> None:
    quantity, text = case
    assert Fraction(quantity.parse(text)) == _exactly(quantity, text)


@given(written())
def test_round_trip(case: tuple[Quantity, str]) -> None:
    quantity, text = case
    value = quantity.parse(text)
    neat = quantity.format(value)
    assert quantity.parse(neat) == value
    assert quantity.format(quantity.parse(neat)) == neat


@given(written())
def test_what_is_written_fits_the_bound_of_the_crd(case: tuple[Quantity, str]) -> None:
    quantity, text = case
    assert len(quantity.format(quantity.parse(text))) <= MAX_LENGTH


@given(quantities, st.decimals(min_value=0, max_value=Decimal("1e15"), places=6))
def test_any_value_that_fits_is_written_and_read_back(quantity: Quantity, value: Decimal) -> None:
    assert quantity.parse(quantity.format(value)) == value


@given(written(), st.data())
def test_order_is_kept(case: tuple[Quantity, str], data: st.DataObject) -> None:
    quantity, text = case
    _, other = data.draw(written().filter(lambda drawn: drawn[0] is quantity))
    assert (quantity.parse(text) < quantity.parse(other)) == (_exactly(quantity, text) < _exactly(quantity, other))


@given(quantities, st.integers(0, 10**9), st.data())
def test_units_agree(quantity: Quantity, count: int, data: st.DataObject) -> None:
    larger, smaller = data.draw(st.permutations(list(quantity.units)))[:2]
    ratio = Fraction(quantity.units[larger]) / Fraction(quantity.units[smaller])
    in_smaller = count * ratio
    assume(in_smaller.denominator == 1)
    assert quantity.parse(f"{count}{larger}") == quantity.parse(f"{in_smaller}{smaller}")


@given(quantities, st.text(max_size=MAX_LENGTH + 8))
@example(DURATION, "1m1h")
def test_what_the_pattern_refuses_the_parser_refuses_and_the_other_way_round(quantity: Quantity, text: str) -> None:
    # `$` of RE2 is the very end, Python's also matches before a last line feed.
    by_schema = 1 <= len(text) <= MAX_LENGTH and re.fullmatch(quantity.pattern[1:-1], text) is not None
    if by_schema:
        quantity.parse(text)
    else:
        with pytest.raises(QuantityError):
            quantity.parse(text)


@given(written(), st.integers(0, MAX_LENGTH), st.sampled_from(" -+eE_,\n\tx٣²"))
def test_one_wrong_character_is_enough(case: tuple[Quantity, str], position: int, wrong: str) -> None:
    quantity, text = case
    at = min(position, len(text))
    with pytest.raises(QuantityError):
        quantity.parse(text[:at] + wrong + text[at:])


@given(quantities, st.decimals(min_value=Decimal("1e-9"), max_value=Decimal("1e12"), allow_nan=False))
def test_human_is_within_rounding(quantity: Quantity, value: Decimal) -> None:
    said = quantity.human(value).replace(" ", "")
    read = quantity.parse(said)
    # Three significant digits, or for a duration its two largest parts: never off by more than 5 %.
    assert abs(read - value) <= value * Decimal("0.05")
