"""Joules from counted operations and published picojoules: an estimate, with what each kind contributes.

What must hold: nothing is left out in silence. A kind of operation that a technology has no figure for is an error, and
joules are the sum of the parts that are told. No estimate is a measurement: results say by what they were estimated.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from frugal.costs.technology import Figure, Technology
from frugal.errors import FrugalError

PICO = 1e-12


class EstimateError(FrugalError):
    """A technology that has no figure for what a model does, or counts that are none."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a computation would cost on a kind of hardware.

    Attributes:
        technology: Its name.
        operations: Joules by kind of operation.
        bytes: Joules by where bytes were moved from.
        remarks: What the technology's figures leave out.
    """

    technology: str
    operations: Mapping[str, float]
    bytes: Mapping[str, float]
    remarks: str = ""

    @property
    def joules(self) -> float:
        """Of all parts together."""
        return math.fsum([*self.operations.values(), *self.bytes.values()])

    @property
    def estimated_by(self) -> str:
        """The model's name, for a record of an estimate."""
        return f"published picojoules: {self.technology}"


def estimate(operations: Mapping[str, float], bytes_moved: Mapping[str, float], technology: Technology) -> Estimate:
    """What ``operations`` and ``bytes_moved``, by kind as in `Technology`, cost on ``technology``.

    Raises:
        EstimateError: The technology has no figure for a kind that occurs, or a count is negative or no number.
    """
    return Estimate(
        technology=technology.name,
        operations=_joules(operations, technology.operations, technology.name, "operation"),
        bytes=_joules(bytes_moved, technology.bytes, technology.name, "byte"),
        remarks=technology.remarks,
    )


def spiking_operations(figures: Mapping[str, object]) -> dict[str, float]:
    """The operations of one example, by kind, from the figures of the technique ``spiking``.

    Raises:
        EstimateError: Figures are missing.
    """
    return {
        "mac-fp32": _figure(figures, "first_layer_macs"),
        "synaptic-op": _figure(figures, "synaptic_operations_per_example"),
        "neuron-update": _figure(figures, "neuron_updates_per_example"),
    }


def _joules(counts: Mapping[str, float], figures: Mapping[str, Figure], technology: str, what: str) -> dict[str, float]:
    joules = {}
    for kind, count in counts.items():
        if not (math.isfinite(count) and count >= 0):
            raise EstimateError(f"{what} {kind!r}: a count of {count}: use a number of at least 0")
        if count == 0:
            continue  # what does not occur needs no figure
        if kind not in figures:
            known = ", ".join(figures) or "none"
            raise EstimateError(f"technology {technology!r} has no figure for the {what} {kind!r}; it has: {known}")
        joules[kind] = count * figures[kind].picojoules * PICO
    return joules


def _figure(figures: Mapping[str, object], name: str) -> float:
    value = figures.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise EstimateError(f"no figure {name!r}: take the figures of a run with --with spiking")
    return float(value)
