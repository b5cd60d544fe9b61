"""What trainings are drawn from: ranges of hyper-parameters in a TOML file, and draw number i of them.

What must hold: draw i is a pure function of (ranges, i). So a recording can be continued, made by many processes, or
checked, and nobody can leave out a draw for its result. Each parameter has a random stream of its own: another range
for one of them leaves the others' values as they are.
"""

from __future__ import annotations

import bisect
import hashlib
import math
import random
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frugal.errors import ConfigError

if TYPE_CHECKING:
    from frugal.technique import Value

DEFAULT_RANGES = Path(__file__).with_name("ranges.toml")
_DIGITS = 4  # significant ones of a drawn number: what is stored is exactly what was trained with


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """Of one parameter: names by weight, or a logarithmic range.

    Attributes:
        weights: Weight of each value; empty for a range.
        low: The range's lower end, above 0.
        high: Its upper end.
        integer: Whole numbers only.
        zero: Probability of 0 instead.
    """

    weights: Mapping[str, float]
    low: float = 1.0
    high: float = 1.0
    integer: bool = False
    zero: float = 0.0

    def draw(self, stream: random.Random) -> Value:
        """A value; always takes the same two numbers from ``stream``."""
        first, second = stream.random(), stream.random()
        if self.weights:
            marks = list(accumulate(self.weights.values()))
            return list(self.weights)[bisect.bisect(marks, first * marks[-1])]
        if second < self.zero:
            return 0 if self.integer else 0.0
        number = math.exp(math.log(self.low) + first * (math.log(self.high) - math.log(self.low)))
        return round(number) if self.integer else float(f"{number:.{_DIGITS}g}")


@dataclass(frozen=True, kw_only=True)
class Draw:
    """The settings of one training.

    Attributes:
        index: Its number.
        seed: Of weights, order and noise.
        values: Drawn and fixed parameters by name.
    """

    index: int
    seed: int
    values: Mapping[str, Value]

    def text(self, name: str) -> str:
        """A parameter that is a name."""
        return str(self.values[name])

    def number(self, name: str) -> float:
        """A parameter that is a number."""
        return float(self.values[name] or 0)

    def whole(self, name: str) -> int:
        """A parameter that is a whole number."""
        return int(self.values[name] or 0)


@dataclass(frozen=True, kw_only=True)
class Ranges:
    """What to draw from.

    Attributes:
        source: The file's text, which recordings keep.
        fixed: Parameters that are alike in all draws.
    """

    source: str
    seed: int
    parameters: Mapping[str, Distribution]
    fixed: Mapping[str, Value]

    @property
    def digest(self) -> str:
        """Tells these ranges from others; comments and layout do not count."""
        meant = [
            self.seed,
            sorted((name, repr(one)) for name, one in self.parameters.items()),
            sorted(self.fixed.items()),
        ]
        return hashlib.sha256(repr(meant).encode()).hexdigest()[:16]

    def draw(self, index: int) -> Draw:
        """Draw number ``index``, from 0."""
        drawn = {
            name: one.draw(random.Random(f"{self.seed}/{index}/{name}"))  # noqa: S311  # text seeds by SHA-512
            for name, one in self.parameters.items()
        }
        seed = random.Random(f"{self.seed}/{index}/").getrandbits(31)  # noqa: S311
        return Draw(index=index, seed=seed, values={**self.fixed, **drawn})


def load(path: Path = DEFAULT_RANGES) -> Ranges:
    """Read ranges.

    Raises:
        ConfigError: The file is missing, or says something that cannot be drawn from.
    """
    try:
        return parse(path.read_text())
    except OSError as error:
        raise ConfigError("ranges", str(path), f"cannot be read ({error.strerror}): name a TOML file") from error


def parse(text: str) -> Ranges:
    """Ranges from the text of a TOML file.

    Raises:
        ConfigError: It says something that cannot be drawn from.
    """
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError("ranges", "TOML", str(error)) from error
    unknown = content.keys() - {"seed", "parameters", "fixed"}
    if unknown or not isinstance(content.get("seed"), int) or not isinstance(content.get("parameters"), dict):
        raise ConfigError("ranges", ", ".join(content), "needs seed (a whole number), [parameters], and maybe [fixed]")
    parameters = {name: _distribution(name, table) for name, table in content["parameters"].items()}
    return Ranges(source=text, seed=content["seed"], parameters=parameters, fixed=content.get("fixed", {}))


def _distribution(name: str, table: object) -> Distribution:
    found = _understood(table) if isinstance(table, dict) else None
    if found is None:
        raise ConfigError(
            f"ranges.{name}",
            table,
            "write {weights = {name = weight, …}}, or {log_uniform = [low, high]} with 0 < low ≤ high, and maybe"
            " integer = true (low at least 1 then) or zero = probability",
        )
    return found


def _understood(table: dict[str, Any]) -> Distribution | None:
    weights, ends = table.get("weights"), table.get("log_uniform")
    if isinstance(weights, dict) and weights and table.keys() == {"weights"}:
        return Distribution(weights=weights) if all(_is_number(one) and one > 0 for one in weights.values()) else None
    integer, zero = table.get("integer", False), table.get("zero", 0.0)
    if not (isinstance(ends, list) and len(ends) == 2 and table.keys() <= {"log_uniform", "integer", "zero"}):
        return None
    if not (all(map(_is_number, (*ends, zero))) and isinstance(integer, bool)):
        return None
    low, high = ends
    if not (0 < low <= high and 0 <= zero <= 1 and (low >= 1 or not integer)):
        return None
    return Distribution(weights={}, low=low, high=high, integer=integer, zero=zero)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
