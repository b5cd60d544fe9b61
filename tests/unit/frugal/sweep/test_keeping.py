"""The file of measurements while they are made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from frugal.errors import DataError
from frugal.sweep.keeping import KeptResult
from frugal.sweep.result import SweepResult
from tests.unit.frugal.sweep.builders import measured, result

BASE, LOW = measured(250, 0, 10.0, 2000.0), measured(150, 0, 11.0, 1500.0)
LOWEST = measured(100, 0, 20.0, 1900.0)


def kept(path: Path) -> KeptResult:
    return KeptResult(replace(result(BASE, LOW, LOWEST), measurements=[]), path)


def test_points_are_those_that_can_be_compared(tmp_path: Path) -> None:
    """The order is shuffled: what was found may come last, and until then nothing can be compared with it."""
    path = tmp_path / "x.json"
    growing = kept(path)
    growing.add(LOW)
    first = SweepResult.from_json(path.read_text())
    assert list(first.measurements) == [LOW]
    with pytest.raises(DataError, match="no round measured it"):
        first.results()
    growing.add(BASE)
    assert len(SweepResult.from_json(path.read_text()).results()) == 2


def test_a_link_is_not_replaced_while_the_sweep_goes_on(tmp_path: Path) -> None:
    """As ``/dev/stdout`` is one."""
    path, target = tmp_path / "link", tmp_path / "target"
    path.symlink_to(target)
    growing = kept(path)
    growing.add(BASE)
    assert not target.exists()
    growing.write(growing.end([BASE, LOW, LOWEST]))
    assert path.is_symlink()
    assert SweepResult.from_json(target.read_text()).complete


def test_a_file_that_cannot_be_written_does_not_end_the_sweep(tmp_path: Path) -> None:
    growing = kept(tmp_path / "gone" / "x.json")
    growing.add(BASE)
    assert growing.kept == 0
    with pytest.raises(OSError, match="gone"):
        growing.write(growing.end([BASE]))
