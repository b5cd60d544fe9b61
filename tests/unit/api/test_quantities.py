"""Quantities: what is read, how it is written, and what a person is told."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from pydantic import ValidationError

from ballast.api.base import ApiModel
from ballast.api.crds import structural_schema
from ballast.api.quantities import (
    DURATION,
    ENERGY,
    FREQUENCY,
    MASS_CO2E,
    MAX_LENGTH,
    POWER,
    QUANTITIES,
    Joules,
    Quantity,
    QuantityError,
    Seconds,
    Watts,
)


class _Budget(ApiModel):
    """A model with quantities."""

    limit: Joules
    power: Watts | None = None
    delay: Seconds | None = None


@pytest.mark.parametrize(
    ("quantity", "text", "base_units"),
    [
        (ENERGY, "200kWh", "720000000"),
        (ENERGY, "12.5Wh", "45000"),
        (ENERGY, "0.1J", "0.1"),
        (ENERGY, "2MJ", "2000000"),
        (ENERGY, "1GJ", "1000000000"),
        (ENERGY, "1MWh", "3600000000"),
        (POWER, "40kW", "40000"),
        (POWER, "1mW", "0.001"),
        (POWER, "1.5MW", "1500000"),
        (FREQUENCY, "1410MHz", "1410000000"),
        (FREQUENCY, "1.41GHz", "1410000000"),
        (MASS_CO2E, "80kg", "80000"),
        (MASS_CO2E, "0.5t", "500000"),
        (DURATION, "1h30m", "5400"),
        (DURATION, "1d", "86400"),
        (DURATION, "1.5h", "5400"),
        (DURATION, "2m250ms", "120.25"),
    ],
)
def test_parse(quantity: Quantity, text: str, base_units: str) -> None:
    assert quantity.parse(text) == Decimal(base_units)


@pytest.mark.parametrize(
    ("quantity", "text", "neat"),
    [
        (ENERGY, "720MJ", "200kWh"),
        (ENERGY, "0.2MWh", "200kWh"),
        (ENERGY, "1000000J", "1MJ"),
        (ENERGY, "12345J", "12345J"),
        (ENERGY, "1.50kWh", "1.5kWh"),
        (ENERGY, "0kWh", "0J"),
        (POWER, "0.25W", "250mW"),
        (POWER, "40000W", "40kW"),
        (FREQUENCY, "1410MHz", "1.41GHz"),
        (MASS_CO2E, "80000g", "80kg"),
        (DURATION, "90m", "1h30m"),
        (DURATION, "0.25s", "250ms"),
        (DURATION, "86400s", "1d"),
        (DURATION, "0s", "0s"),
        (DURATION, "61.5s", "1m1.5s"),
    ],
)
def test_format_is_neat(quantity: Quantity, text: str, neat: str) -> None:
    assert quantity.format(quantity.parse(text)) == neat


@pytest.mark.parametrize(
    ("quantity", "value", "human"),
    [
        (ENERGY, 0, "0 J"),
        (ENERGY, 950, "950 J"),
        (ENERGY, 4_464_000, "1.24 kWh"),
        (POWER, 812.5, "812 W"),
        (POWER, 999.96, "1 kW"),
        (POWER, 12345, "12.3 kW"),
        (POWER, 0.0123, "12.3 mW"),
        (POWER, 12_345_678_901, "12300 MW"),
        (FREQUENCY, 1_410_000_000, "1.41 GHz"),
        (MASS_CO2E, 80_499, "80.5 kg"),
        (DURATION, 0, "0 s"),
        (DURATION, 0.0421, "42.1 ms"),
        (DURATION, 4.213, "4.21 s"),
        (DURATION, 59.97, "1m"),
        (DURATION, 725.2, "12m5s"),
        (DURATION, 3599.9, "1h"),
        (DURATION, 3725, "1h2m"),
        (DURATION, 86399, "1d"),
        (DURATION, 273_600, "3d4h"),
    ],
)
def test_human(quantity: Quantity, value: float, human: str) -> None:
    assert quantity.human(value) == human


def test_human_digits() -> None:
    assert POWER.human(12346, digits=4) == "12.35 kW"


@pytest.mark.parametrize(
    "text", ["", "200", "kWh", "-1kWh", "+1kWh", "1e3J", "1 kWh", "1kwh", " 1J", "1J\n", ".5J", "1.J", "1,5J", "٣J"]
)
def test_garbage_is_refused_with_what_is_allowed_and_an_example(text: str) -> None:
    with pytest.raises(QuantityError) as caught:
        ENERGY.parse(text)
    message = str(caught.value)
    assert message.startswith(f"energy {text!r} is not")
    assert "one of J, kJ, Wh, MJ, kWh, GJ, MWh" in message
    assert "for example 200kWh" in message


@pytest.mark.parametrize("text", ["1m1h", "1h1h", "h", "1h 30m", "90", "1.5.5h", "PT1H"])
def test_durations_descend(text: str) -> None:
    with pytest.raises(QuantityError, match="for example 1h30m"):
        DURATION.parse(text)


@pytest.mark.parametrize("quantity", QUANTITIES, ids=lambda quantity: str(quantity.name))
def test_too_long_is_refused_without_repeating_all_of_it(quantity: Quantity) -> None:
    unit = next(iter(quantity.units))
    quantity.parse("1" * (MAX_LENGTH - len(unit)) + unit)
    with pytest.raises(QuantityError) as caught:
        quantity.parse("1" * 5000 + unit)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("value", [Decimal(-1), Decimal("NaN"), Decimal("Infinity"), -0.5])
def test_what_no_quantity_can_be_is_not_written(value: Decimal | float) -> None:
    with pytest.raises(QuantityError, match="zero or more"):
        POWER.format(value)


@pytest.mark.parametrize("quantity", [POWER, DURATION], ids=["power", "duration"])
def test_more_digits_than_fit_are_not_rounded_away(quantity: Quantity) -> None:
    with pytest.raises(QuantityError, match="can't be written exactly"):
        quantity.format(Decimal("1." + "3" * 60))


def test_in_a_model() -> None:
    budget = _Budget.model_validate({"limit": "12kWh", "delay": "6h"})
    assert budget.limit == 43_200_000
    assert budget.to_manifest() == {"limit": "12kWh", "delay": "6h"}


def test_in_python_a_model_takes_base_units() -> None:
    assert _Budget(limit=Decimal(3_600_000), power=Decimal(300)).to_manifest() == {"limit": "1kWh", "power": "300W"}


@pytest.mark.parametrize("value", [300, 300.0, True])
def test_a_bare_number_in_a_manifest_is_refused(value: float) -> None:
    with pytest.raises(ValidationError, match="has no unit; write for example 40kW"):
        _Budget.model_validate({"limit": "1J", "power": value})


def test_schema_for_the_api_server() -> None:
    schema = structural_schema(_BudgetKind)["properties"]["limit"]
    assert schema == {
        "type": "string",
        "minLength": 1,
        "maxLength": MAX_LENGTH,
        "pattern": r"^[0-9]+(\.[0-9]+)?(J|kJ|Wh|MJ|kWh|GJ|MWh)$",
    }


class _BudgetKind(_Budget):
    """The model as a kind."""

    api_version: str = ""
    kind: str = ""


@pytest.mark.parametrize("quantity", QUANTITIES, ids=lambda quantity: str(quantity.name))
def test_pattern_is_one_that_the_api_server_knows(quantity: Quantity) -> None:
    # RE2 has no lookaround and no backreferences.
    assert not re.search(r"\(\?|\\[1-9]", quantity.pattern)
