"""The catalogue: every figure has a source, and the published numbers were taken over right."""

from __future__ import annotations

import math
import re

import pytest

from frugal.costs.catalogue import TECHNOLOGIES
from frugal.costs.technology import Figure

FIGURES = [
    pytest.param(figure, id=f"{technology.name} {kind}")
    for technology in TECHNOLOGIES.values()
    for kind, figure in [*technology.operations.items(), *technology.bytes.items()]
]


@pytest.mark.parametrize("figure", FIGURES)
def test_a_figure_names_author_title_and_year(figure: Figure) -> None:
    assert math.isfinite(figure.picojoules)
    assert figure.picojoules >= 0
    assert re.match(r"\w[\w' ]+(et al\.)?, .{20,}\b(20[012]\d)\b", figure.source), figure.source


def test_every_technology_tells_what_its_figures_leave_out() -> None:
    assert all(len(technology.remarks) > 40 for technology in TECHNOLOGIES.values())
    assert all(name == technology.name for name, technology in TECHNOLOGIES.items())


@pytest.mark.parametrize(
    ("technology", "kind", "picojoules"),
    [
        ("45nm", "mac-fp32", 3.7 + 0.9),
        ("45nm", "mac-fp16", 1.1 + 0.4),
        ("45nm", "mac-int8", 0.2 + 0.1),
        ("45nm", "ac-fp32", 0.9),
        ("7nm-asic", "mac-fp32", 1.31 + 0.38),
        ("7nm-asic", "mac-bf16", 0.21 + 0.11),
        ("7nm-asic", "mac-int8", 0.07 + 0.03),
        ("loihi", "synaptic-op", 23.6),
        ("truenorth", "synaptic-op", 26),
        # Operations per second and watt count a multiply-add as two.
        ("fpga", "mac-int8", 2 / 135e9 * 1e12),
        ("pcm-in-memory", "mac-int8", 2 / 2.48e12 * 1e12),
    ],
)
def test_operations_as_published(technology: str, kind: str, picojoules: float) -> None:
    assert TECHNOLOGIES[technology].operations[kind].picojoules == pytest.approx(picojoules)


@pytest.mark.parametrize(
    ("technology", "place", "picojoules", "bits"),
    [
        ("45nm", "dram", 1300, 64),
        ("45nm", "sram", 100, 64),
        ("7nm-asic", "dram", 1300, 64),
        ("7nm-asic-hbm", "dram", 3.92, 1),
        ("pcm-memory", "nvm-read", 2.47 + 0.93, 1),
        ("pcm-memory", "nvm-write", 16.82 + 1.02, 1),
    ],
)
def test_bytes_as_published(technology: str, place: str, picojoules: float, bits: int) -> None:
    assert TECHNOLOGIES[technology].bytes[place].picojoules == pytest.approx(picojoules * 8 / bits)


def test_fewer_bits_and_a_newer_process_cost_less() -> None:
    for technology in TECHNOLOGIES.values():
        known = technology.operations
        if {"mac-fp32", "mac-fp16", "mac-int8"} <= known.keys():
            assert known["mac-fp32"].picojoules > known["mac-fp16"].picojoules > known["mac-int8"].picojoules
            assert known["ac-fp32"].picojoules < known["mac-fp32"].picojoules
    old, new = TECHNOLOGIES["45nm"].operations, TECHNOLOGIES["7nm-asic"].operations
    assert all(new[kind].picojoules < old[kind].picojoules for kind in old)


def test_multipliers_are_where_the_chip_has_them() -> None:
    for name in ("loihi", "truenorth"):
        assert not any(kind.startswith("mac") for kind in TECHNOLOGIES[name].operations)
