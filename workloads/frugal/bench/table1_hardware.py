"""What the survey's Table 1 says of hardware that is not here: the same answers on it, by published picojoules.

Each line is of one change: memory nearer by, memory of another kind, arithmetic in it, another kind of logic, spikes
instead of multiplications. What must hold: both sides of a saving leave out the same things, and their names say what
changed; all of it is shown as an estimate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from frugal.bench.comparison import Interval
from frugal.bench.operations import arithmetic_joules, joules_with_a_weight_each
from frugal.bench.records import Phase, Trial
from frugal.bench.survey import Source
from frugal.bench.table1 import Count, Entry, Outside, judge, operations_saving
from frugal.bench.tables import Kind
from frugal.costs.catalogue import TECHNOLOGIES
from frugal.costs.estimate import estimate

WIDTH_BYTES = {"fp32": 4, "int8": 1}
SPIKING = "spiking"


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where an answer is computed.

    Attributes:
        technology: By its name in the catalogue.
        weights: Where it reads them from, once an answer; None: their way is left out.
    """

    technology: str
    weights: str | None

    def joules(self, macs: float, weights: float, precision: str) -> float:
        """Of so many multiply-adds, with so many weights."""
        moved = {} if self.weights is None else {self.weights: weights * WIDTH_BYTES[precision]}
        return estimate({f"mac-{precision}": macs}, moved, TECHNOLOGIES[self.technology]).joules


@dataclass(frozen=True, kw_only=True)
class Swap:
    """A change of hardware."""

    name: str
    precision: str
    before: Place
    after: Place


SWAPS = (
    Swap(
        name="near-memory: weights in HBM2 instead of DRAM, 7 nm logic, fp32",
        precision="fp32",
        before=Place(technology="7nm-asic", weights="dram"),
        after=Place(technology="7nm-asic-hbm", weights="dram"),
    ),
    Swap(
        name="ASIC: 7 nm logic instead of 45 nm, weights in DRAM, fp32",
        precision="fp32",
        before=Place(technology="45nm", weights="dram"),
        after=Place(technology="7nm-asic", weights="dram"),
    ),
    Swap(
        name="FPGA of 28 nm instead of 45 nm logic, arithmetic alone, int8",
        precision="int8",
        before=Place(technology="45nm", weights=None),
        after=Place(technology="fpga", weights=None),
    ),
    Swap(
        name="non-volatile memory: weights in PCM instead of DRAM, 45 nm logic, fp32",
        precision="fp32",
        before=Place(technology="45nm", weights="dram"),
        after=Place(technology="pcm-memory", weights="nvm-read"),
    ),
    Swap(
        name="in-memory computing: PCM of 14 nm instead of 7 nm logic with DRAM, int8",
        precision="int8",
        before=Place(technology="7nm-asic", weights="dram"),
        after=Place(technology="pcm-in-memory", weights="in-memory"),
    ),
)
"""The headline first. Other logic than the reference's has other things in its figure: its name says which."""

_ON_LOGIC: tuple[tuple[str, str, Count], ...] = (
    ("arithmetic alone", "as most papers compare", arithmetic_joules),
    ("a weight read for each", "each addition or multiply-add reads its own from SRAM", joules_with_a_weight_each),
)


def with_hardware(entries: Sequence[Entry], trials: Sequence[Trial]) -> list[Entry]:
    """``entries``, with lines for other hardware, and for spikes on the logic that their baseline is priced on."""
    return [replace(entry, outside=(*entry.outside, *_found(entry, trials))) for entry in entries]


def _found(entry: Entry, trials: Sequence[Trial]) -> list[Outside]:
    if entry.row.source is Source.COST_MODEL:
        return _swapped(entry, trials)
    return _on_logic(entry, trials) if entry.row.key == SPIKING else []


def _swapped(entry: Entry, trials: Sequence[Trial]) -> list[Outside]:
    """For the largest plain network whose answers were measured; nothing if none was."""
    plain = [trial for trial in trials if trial.phase is Phase.INFERENCE and trial.baseline is None]
    if not plain:
        return []
    model = max(plain, key=lambda trial: (trial.bytes, trial.case))
    macs, weights = model.flops / model.samples / 2, model.bytes / WIDTH_BYTES["fp32"]
    found = []
    for swap in SWAPS:
        before, after = (place.joules(macs, weights, swap.precision) for place in (swap.before, swap.after))
        saving = exactly(100 * (1 - after / before))
        note = f"{model.case}, one answer at a time: {before * 1e6:.3g} → {after * 1e6:.3g} µJ"
        verdict = judge(entry.row, Kind.OPERATIONS, saving, exactly(0.0))
        found.append(Outside(name=swap.name, saving=saving, note=note, verdict=verdict))
    return found


def _on_logic(entry: Entry, trials: Sequence[Trial]) -> list[Outside]:
    found = []
    for line in entry.lines:
        for name, note, count in _ON_LOGIC:
            saving = operations_saving(trials, line.comparison, count)
            if saving is not None:
                change = line.comparison.accuracy_change_points
                verdict = judge(entry.row, Kind.OPERATIONS, saving, change)
                full = f"{line.variant.name}, both on 45 nm logic, {name}"
                found.append(Outside(name=full, saving=saving, note=note, verdict=verdict, change=change))
    return found


def exactly(value: float) -> Interval:
    """What follows from shapes alone varies with no seed."""
    return Interval(mean=value, low=value, high=value, n=1)
