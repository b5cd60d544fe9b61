"""The folder of results: what of an earlier simulation goes, what stays, and what cannot be written is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from ballast.errors import UserError
from ballast.simulate.report import report as reports
from ballast.simulate.report.results import Results
from tests.unit.simulate.made_up import comparison, report, row

_REPORT = report(comparison({"base": (100.0,), "new": (80.0,)}))


def _names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_an_earlier_simulation_leaves_nothing_and_others_files_stay(tmp_path: Path) -> None:
    earlier = Results(tmp_path)
    earlier.add_jobs("base", 7, [row()])
    earlier.write(_REPORT)
    (tmp_path / "notes.txt").touch()
    (tmp_path / "jobs" / "notes.txt").touch()
    Results(tmp_path).clear(["base", "new"])
    assert _names(tmp_path) == {"notes.txt", "jobs/notes.txt"}


def test_jobs_of_an_arm_are_there_before_anything_else(tmp_path: Path) -> None:
    folder = tmp_path / "a folder" / "with spaces"
    Results(folder).add_jobs("base", 7, [row()])
    assert (folder / "jobs" / "base-seed-7.csv").read_text() == reports.jobs_csv("base", 7, [row()])


def test_an_interrupt_while_a_file_is_written_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = Results(tmp_path)
    results.add_jobs("base", 0, [row("first")])

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        results.add_jobs("base", 0, [row("second")])
    assert _names(tmp_path / "jobs") == {"base-seed-0.csv"}
    assert "first" in (tmp_path / "jobs" / "base-seed-0.csv").read_text()


def test_a_file_in_the_folders_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(UserError, match=r"--out .*/out: .*: name a folder that can be written to"):
        Results(tmp_path / "out")


def test_a_disk_that_is_full_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = Results(tmp_path)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(UserError, match=r"No space left on device: name a folder that .* has room"):
        results.add_jobs("base", 0, [row()])
