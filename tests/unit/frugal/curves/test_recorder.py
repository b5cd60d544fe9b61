"""Recording: the draws that come first, each once, continued where it was stopped."""

from __future__ import annotations

from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest

from frugal.curves import recorder, recording
from frugal.curves.ranges import parse
from frugal.curves.recorder import CutOff, Standing, record
from frugal.curves.recording import Curve
from frugal.errors import DataError, FrugalError
from tests.unit.frugal.curves.builders import SMALL, curve, small

NOWHERE = Path("/nonexistent")
LOSSES = ("train_loss", "val_loss", "val_accuracy")


def losses(path: Path) -> list[object]:
    return [[one.draw, *(one.columns[name] for name in LOSSES)] for one in recording.read(path).curves]


def test_a_recording_that_was_stopped_ends_as_one_that_was_not(tmp_path: Path) -> None:
    """Stopped twice, once while a training was being written: the same draws, the same losses."""
    whole, parts = tmp_path / "whole.gz", tmp_path / "parts.gz"
    record(whole, small(), count=6, jobs=1, data_dir=NOWHERE)
    seen: list[Standing] = []
    standing = record(
        parts, small(), count=6, jobs=1, data_dir=NOWHERE, tell=seen.append, stop=lambda: seen[-1].done == 2
    )
    assert (standing.done, standing.wanted) == (2, 6)
    parts.write_bytes(parts.read_bytes()[:-9])
    assert record(parts, small(), count=4, jobs=1, data_dir=NOWHERE).done == 4
    assert len(recording.read(parts).curves) == 4
    seen.clear()
    record(parts, small(), count=6, jobs=1, data_dir=NOWHERE, tell=seen.append)
    assert [standing.done for standing in seen] == [4, 5, 6]
    assert losses(parts) == losses(whole)


@pytest.mark.slow
def test_two_processes_record_what_one_does(tmp_path: Path) -> None:
    one, two = tmp_path / "one.gz", tmp_path / "two.gz"
    record(one, small(), count=5, jobs=1, data_dir=NOWHERE)
    assert record(two, small(), count=5, jobs=2, data_dir=NOWHERE).done == 5
    assert losses(one) == losses(two)


class Broken:
    """A pool whose processes die in their first training; the first training of all was just done."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        self.submitted = 0

    def __enter__(self) -> Broken:
        return self

    def __exit__(self, *args: object) -> None:
        """Nothing runs."""

    def submit(self, *args: object) -> Future[Curve]:
        future: Future[Curve] = Future()
        if self.submitted:
            future.set_exception(BrokenProcessPool())
        else:
            future.set_result(curve(0))
        self.submitted += 1
        return future


def broken(path: Path, *stops: bool) -> None:
    wishes = iter(stops)
    record(path, small(), count=3, jobs=3, data_dir=NOWHERE, stop=lambda: next(wishes))


def test_a_process_that_is_killed_is_told_as_a_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "ProcessPoolExecutor", Broken)
    with pytest.raises(FrugalError, match=r"memory short.*the same command goes on") as raised:
        broken(tmp_path / "curves.gz", False, False)
    assert not isinstance(raised.value, CutOff)


def test_processes_that_a_wish_to_stop_ended_too_are_no_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal sends Ctrl-C to all of them."""
    monkeypatch.setattr(recorder, "ProcessPoolExecutor", Broken)
    with pytest.raises(CutOff, match=r"^stopped.*the same command goes on") as raised:
        broken(tmp_path / "curves.gz", False, True)
    assert "memory" not in str(raised.value)


def test_what_was_done_when_a_process_was_killed_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "ProcessPoolExecutor", Broken)
    with pytest.raises(FrugalError):
        broken(tmp_path / "curves.gz", False, False)
    assert len(recording.read(tmp_path / "curves.gz").curves) == 1


def test_draws_of_a_set_that_is_not_installed_are_left_out_by_their_parameters(tmp_path: Path) -> None:
    """The others come as they would have, and how many are missing can be told."""
    ranges = parse(SMALL.replace("{digits = 1}", "{digits = 1, fashion-mnist = 1}"))
    draws = recorder.wanted(ranges, 8, tmp_path)
    possible = [ranges.draw(index) for index in range(100)]
    assert draws == [draw for draw in possible if draw.text("data") == "digits"][:8]
    assert recorder.left_out(ranges, draws) == draws[-1].index + 1 - 8 > 0


def test_without_any_data_set_it_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="apt-get install dataset-fashion-mnist"):
        recorder.wanted(parse(SMALL.replace("{digits = 1}", "{fashion-mnist = 1}")), 3, tmp_path)


def test_a_recording_is_not_continued_with_other_ranges(tmp_path: Path) -> None:
    path = tmp_path / "curves.gz"
    record(path, small(), count=1, jobs=1, data_dir=NOWHERE)
    before = path.read_bytes()
    with pytest.raises(DataError, match="other ranges"):
        record(path, parse(SMALL.replace("seed = 7", "seed = 8")), count=2, jobs=1, data_dir=NOWHERE)
    assert path.read_bytes() == before


def test_two_do_not_record_to_one_file(tmp_path: Path) -> None:
    path = tmp_path / "curves.gz"

    def second(standing: Standing) -> None:
        with pytest.raises(DataError, match="another process"):
            record(path, small(), count=1, jobs=1, data_dir=NOWHERE)

    record(path, small(), count=1, jobs=1, data_dir=NOWHERE, tell=second)
    assert len(recording.read(path).curves) == 1
