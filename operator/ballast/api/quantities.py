"""Quantities with units as people write them in manifests: `200kWh`, `40kW`, `1410MHz`, `80kg`, `1h30m`.

Invariant: nothing is rounded between text and number. Values are decimals in base units (joules, watts,
hertz, grams CO2e, seconds), and `parse(format(x)) == x` for every `x` that can be written at all. Only `human`,
which is for conditions, events and tables, rounds.
"""

from __future__ import annotations

import decimal
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from ballast.errors import UserError

MAX_LENGTH = 32
"""Characters of a written quantity; as a bound in the CRD it also keeps CEL rules on quantities cheap."""

Number = Decimal | int | float

_NUMBER = r"[0-9]+(\.[0-9]+)?"
# Wide enough for every product of a 32-character number and a unit. Should an operation ever not be exact, it
# raises instead of rounding.
_EXACT = decimal.Context(prec=100, Emin=-999, Emax=999, traps=[decimal.Inexact, decimal.InvalidOperation])


class QuantityError(UserError, ValueError):
    """Text that is no quantity of the dimension, or a number that can't be written as one."""


class Quantity(ABC):
    """A dimension: its units, and how its values are read and written.

    Attributes:
        name: What is measured, for messages.
        units: Base units per unit, by symbol.
        example: A typical quantity, for messages.
        pattern: The regular expression of the CRD (RE2), which is also the one that `parse` goes by.
    """

    def __init__(self, name: str, units: Mapping[str, str], *, example: str, pattern: str) -> None:
        self.name = name
        self.units = {symbol: Decimal(factor) for symbol, factor in units.items()}
        self.example = example
        self.pattern = pattern
        self._whole = re.compile(pattern.removeprefix("^").removesuffix("$"), re.ASCII)
        self._part = re.compile(rf"({_NUMBER})({'|'.join(sorted(units, key=len, reverse=True))})", re.ASCII)

    def parse(self, text: str) -> Decimal:
        """The quantity in base units, exactly.

        Raises:
            QuantityError: The text is not a quantity of this dimension.
        """
        if not 0 < len(text) <= MAX_LENGTH or self._whole.fullmatch(text) is None:
            shown = text if len(text) <= 2 * MAX_LENGTH else text[: 2 * MAX_LENGTH] + "…"
            raise QuantityError(
                f"{self.name} {shown!r} is not a number followed by one of {', '.join(self.units)} (at most"
                f" {MAX_LENGTH} characters, no sign, no space); write for example {self.example}"
            )
        total = Decimal(0)
        for number, _, symbol in self._part.findall(text):
            total = _EXACT.add(total, _EXACT.multiply(Decimal(number), self.units[symbol]))
        return total

    def format(self, value: Number) -> str:
        """The quantity in the neatest way that is exact.

        Raises:
            QuantityError: The value is negative, not finite, or needs more than `MAX_LENGTH` characters.
        """
        text = next((text for text in self._spellings(self.check(value)) if len(text) <= MAX_LENGTH), None)
        if text is None:
            raise QuantityError(f"{self.name} {value} can't be written exactly in {MAX_LENGTH} characters")
        return text

    @abstractmethod
    def human(self, value: Number, digits: int = 3) -> str:
        """The quantity rounded to so many significant digits, for reading only."""

    @abstractmethod
    def _spellings(self, value: Decimal) -> Iterator[str]:
        """Exact spellings of a checked value, neatest first."""

    def check(self, value: Number) -> Decimal:
        """The value as a decimal.

        Raises:
            QuantityError: The value is negative or not finite.
        """
        exact = Decimal(value)
        if not exact.is_finite() or exact < 0:
            raise QuantityError(f"{self.name} {value} is not a number of zero or more")
        return exact


class ScaledQuantity(Quantity):
    """One number and one unit, as in `200kWh`.

    Attributes:
        human_units: The units that `human` chooses from, smallest first.
    """

    def __init__(self, name: str, units: Mapping[str, str], *, example: str, human_units: tuple[str, ...]) -> None:
        super().__init__(name, units, example=example, pattern=f"^{_NUMBER}({'|'.join(units)})$")
        self.human_units = human_units
        self._base_unit = next(symbol for symbol, factor in self.units.items() if factor == 1)

    def human(self, value: Number, digits: int = 3) -> str:
        """The quantity rounded to so many significant digits, as in `12.3 kW`: for reading only."""
        exact = Decimal(value)
        if not exact:
            return f"0 {self._base_unit}"
        # Round before choosing the unit: 999.9 W is "1 kW", not "1000 W".
        rounded = [(_rounded(exact / self.units[symbol], digits), symbol) for symbol in self.human_units]
        number, symbol = next((pair for pair in reversed(rounded) if abs(pair[0]) >= 1), rounded[0])
        return f"{_plain(number)} {symbol}"

    def _spellings(self, value: Decimal) -> Iterator[str]:
        """Fewest digits that count first, so 200kWh and not 720MJ; then 200kWh and not 0.2MWh; then the shortest."""
        if not value:
            return iter([f"0{self._base_unit}"])
        ranked = []
        for rank, (symbol, factor) in enumerate(self.units.items()):
            try:
                number = _plain(_EXACT.divide(value, factor))
            except decimal.Inexact:
                continue  # 1 J is no finite number of Wh
            counting_digits = len(number.replace(".", "").strip("0"))
            ranked.append((counting_digits, number < "1", len(number), -rank, number + symbol))
        return (text for *_, text in sorted(ranked))


class Duration(Quantity):
    """A span of time: numbers with descending units, as in `1h30m`."""

    def __init__(self) -> None:
        units = {"d": "86400", "h": "3600", "m": "60", "s": "1", "ms": "0.001"}
        parts = "".join(f"({_NUMBER}{symbol})?" for symbol in units)
        super().__init__("duration", units, example="1h30m", pattern=f"^{parts}$")

    def human(self, value: Number, digits: int = 3) -> str:
        """The duration for reading: `4.21 s`, `12m5s`, `1h2m`, `3d4h`, never more than its two largest parts."""
        exact = Decimal(value)
        if not exact or 1 <= _rounded(exact, digits) < 60:
            return f"{_plain(_rounded(exact, digits))} s"
        if exact < 1:
            return f"{_plain(_rounded(exact * 1000, digits))} ms"
        # Round to the second part before splitting: 59m59.9s is 1h, not 59m60s.
        seconds = int(exact.to_integral_value())
        step = 3600 if seconds >= 86400 else 60 if seconds >= 3600 else 1
        return self._composed(Decimal((seconds + step // 2) // step * step))

    def _spellings(self, value: Decimal) -> Iterator[str]:
        if 0 < value < 1:
            yield _plain(_EXACT.divide(value, self.units["ms"])) + "ms"
        else:
            yield self._composed(value)
        yield _plain(value) + "s"

    def _composed(self, rest: Decimal) -> str:
        text = ""
        for symbol in ("d", "h", "m"):
            count, rest = _EXACT.divmod(rest, self.units[symbol])
            text += f"{_plain(count)}{symbol}" if count else ""
        return text + (f"{_plain(rest)}s" if rest or not text else "")


def _rounded(value: Decimal, digits: int) -> Decimal:
    return decimal.Context(prec=digits, rounding=decimal.ROUND_HALF_EVEN).create_decimal(value)


def _plain(number: Decimal) -> str:
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


ENERGY = ScaledQuantity(
    "energy",
    # A watt-hour is 3600 J by definition.
    {"J": "1", "kJ": "1e3", "Wh": "3600", "MJ": "1e6", "kWh": "3.6e6", "GJ": "1e9", "MWh": "3.6e9"},
    example="200kWh",
    human_units=("J", "Wh", "kWh", "MWh"),
)
POWER = ScaledQuantity(
    "power",
    {"mW": "1e-3", "W": "1", "kW": "1e3", "MW": "1e6"},
    example="40kW",
    human_units=("mW", "W", "kW", "MW"),
)
FREQUENCY = ScaledQuantity(
    "frequency",
    {"Hz": "1", "kHz": "1e3", "MHz": "1e6", "GHz": "1e9"},
    example="1410MHz",
    human_units=("Hz", "kHz", "MHz", "GHz"),
)
MASS_CO2E = ScaledQuantity(
    "mass of CO2e", {"g": "1", "kg": "1e3", "t": "1e6"}, example="80kg", human_units=("g", "kg", "t")
)
DURATION = Duration()
QUANTITIES: tuple[Quantity, ...] = (ENERGY, POWER, FREQUENCY, MASS_CO2E, DURATION)

# For people: rounded, with a space. What a manifest says is written by `ENERGY.format` and its like.
format_energy = ENERGY.human
format_power = POWER.human
format_frequency = FREQUENCY.human
format_mass_co2e = MASS_CO2E.human
format_duration = DURATION.human


def _field(quantity: Quantity) -> tuple[BeforeValidator, PlainSerializer, WithJsonSchema]:
    """What makes a Decimal a field of an API model: text in the manifest, base units in Python."""

    def read(value: Any) -> Decimal:
        if isinstance(value, Decimal):
            return quantity.check(value)
        if not isinstance(value, str):
            raise QuantityError(f"{quantity.name} {value!r} has no unit; write for example {quantity.example}")
        return quantity.parse(value)

    schema = {"type": "string", "minLength": 1, "maxLength": MAX_LENGTH, "pattern": quantity.pattern}
    return (
        BeforeValidator(read),
        PlainSerializer(quantity.format, return_type=str, when_used="json"),
        WithJsonSchema(schema),
    )


Joules = Annotated[Decimal, *_field(ENERGY)]
"""Energy: `12kWh` in the manifest, joules in Python."""
Watts = Annotated[Decimal, *_field(POWER)]
"""Power: `300W` in the manifest, watts in Python."""
Hertz = Annotated[Decimal, *_field(FREQUENCY)]
"""Frequency: `1410MHz` in the manifest, hertz in Python."""
GramsCO2e = Annotated[Decimal, *_field(MASS_CO2E)]
"""Greenhouse gas: `80kg` in the manifest, grams of CO2 equivalent in Python."""
Seconds = Annotated[Decimal, *_field(DURATION)]
"""A span of time: `6h` in the manifest, seconds in Python."""
