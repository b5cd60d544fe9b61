"""Which operating points a sweep tries: what was found, power limits, locked clocks. Pure.

What must hold: no point is above the power limit that was found, since somebody may have lowered it for the sake of
the mains or the cooling, none is outside what the GPU takes, and none comes twice. What was found is always among them:
it is the baseline.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from frugal.errors import ConfigError

DEFAULT = "power:7"
_LEAST_CLOCK_SHARE = 0.4  # of the highest clock: below, most GPUs compute for longer at no lower voltage
_ITEM = re.compile(r"(?:(?P<watts>\d+(?:\.\d+)?)W)?(?:(?:^|@)(?P<mhz>\d+)MHz)?", re.IGNORECASE)
_GRID = re.compile(r"(?P<kind>power|clocks):(?P<count>\d+)")


@dataclass(frozen=True, kw_only=True, order=True)
class OperatingPoint:
    """What a GPU is told.

    Attributes:
        power_limit_watts: Its power limit.
        max_clock_mhz: The clock that it may not exceed; None leaves that to the GPU.
    """

    power_limit_watts: float
    max_clock_mhz: int | None = None

    def __str__(self) -> str:
        clock = "" if self.max_clock_mhz is None else f" @ {self.max_clock_mhz} MHz"
        return f"{self.power_limit_watts:g} W{clock}"


@dataclass(frozen=True, kw_only=True)
class Board:
    """What a GPU takes, and what was found on it.

    Attributes:
        found_watts: The power limit that was found.
        limits_watts: The least and the greatest power limit.
        clocks_mhz: The clocks that it knows, ascending; empty if it does not tell.
    """

    found_watts: float
    limits_watts: tuple[float, float]
    clocks_mhz: Sequence[int]

    @property
    def baseline(self) -> OperatingPoint:
        """What was found."""
        return OperatingPoint(power_limit_watts=self.found_watts)


def parse(text: str, board: Board) -> list[OperatingPoint]:
    """The baseline, then the points of ``text``, from the most power to the least.

    ``text`` has one or more of these, with commas between them: ``power:N`` and ``clocks:N`` (N evenly spaced ones),
    ``150W``, ``1410MHz``, ``150W@1410MHz``.

    Raises:
        ConfigError: That is no such text, or a point that the GPU does not take.
    """
    found = {point for item in text.split(",") for point in _points(item.strip(), text, board)}
    others = sorted(found - {board.baseline}, key=_power_first)
    if not others:
        raise ConfigError("points", text, f"nothing to compare with what was found, {board.baseline}: name another")
    return [board.baseline, *others]


def _power_first(point: OperatingPoint) -> tuple[float, float]:
    return -point.power_limit_watts, -(point.max_clock_mhz or 1e9)


def _points(item: str, text: str, board: Board) -> Iterator[OperatingPoint]:
    if grid := _GRID.fullmatch(item):
        count = int(grid["count"])
        if count < 2:
            raise ConfigError("points", text, f"{item} has too few: use 2 or more")
        yield from _limits(count, board) if grid["kind"] == "power" else _clocks(count, text, board)
        return
    one = _ITEM.fullmatch(item)
    if not item or one is None or not (one["watts"] or one["mhz"]):
        raise ConfigError("points", text, f"{item!r}: write power:7, clocks:5, 150W, 1410MHz or 150W@1410MHz")
    watts = float(one["watts"]) if one["watts"] else board.found_watts
    least = board.limits_watts[0]
    if not least <= watts <= board.found_watts:
        raise ConfigError(
            "points",
            text,
            f"{item}: use {least:g} to {board.found_watts:g} W. The upper end is the limit that was found; to go"
            " above it, whoever set it must raise it first",
        )
    clock = _clock(int(one["mhz"]), text, board) if one["mhz"] else None
    yield OperatingPoint(power_limit_watts=watts, max_clock_mhz=clock)


def _limits(count: int, board: Board) -> Iterator[OperatingPoint]:
    """Evenly from what was found down to the least, in whole watts."""
    least, found = board.limits_watts[0], board.found_watts
    yield board.baseline
    for number in range(1, count):
        evenly = round(found - (found - least) * number / (count - 1))
        yield OperatingPoint(power_limit_watts=min(found, max(least, evenly)))


def _clocks(count: int, text: str, board: Board) -> Iterator[OperatingPoint]:
    """Evenly from the highest clock down to `_LEAST_CLOCK_SHARE` of it."""
    highest = _known(text, board)[-1]
    for number in range(count):
        wanted = highest * (1 - (1 - _LEAST_CLOCK_SHARE) * number / (count - 1))
        yield OperatingPoint(power_limit_watts=board.found_watts, max_clock_mhz=_clock(int(wanted), text, board))


def _clock(wanted_mhz: int, text: str, board: Board) -> int | None:
    """The highest clock that the GPU knows and not above ``wanted_mhz``; None, no lock, for the very highest."""
    known = _known(text, board)
    position = bisect.bisect_right(known, wanted_mhz)
    if not position or wanted_mhz > known[-1]:
        raise ConfigError("points", text, f"{wanted_mhz} MHz: use {known[0]} to {known[-1]} MHz")
    return known[position - 1] if position < len(known) else None


def _known(text: str, board: Board) -> Sequence[int]:
    if not board.clocks_mhz:
        raise ConfigError("points", text, "this GPU does not tell which clocks it knows: name power limits only")
    return board.clocks_mhz
