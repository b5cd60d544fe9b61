"""What one operation and one byte cost on a kind of hardware: published picojoules, each with its source.

What follows from them is an estimate and is marked so wherever it is shown: it leaves out control, leakage and whatever
else a chip does, and compares kinds of arithmetic rather than products.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A published number.

    Attributes:
        picojoules: For one operation (a multiply-add counts as one here) or for one byte moved.
        source: Authors, title, year, and the table or section.
    """

    picojoules: float
    source: str


@dataclass(frozen=True, kw_only=True)
class Technology:
    """A kind of hardware.

    Attributes:
        name: In tables.
        operations: Cost of one operation by its kind: ``mac-fp32``, ``mac-int8``, ``ac-fp32`` (an
            accumulate), ``synaptic-op``…
        bytes: Cost of one byte by where it is: ``dram``, ``sram``, ``in-memory``…
        remarks: What the figures leave out.
    """

    name: str
    operations: Mapping[str, Figure]
    bytes: Mapping[str, Figure]
    remarks: str = ""
