"""What people see while the jobs run."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from tests.demo import live
from tests.demo.board import Board
from tests.unit.demo.builders import A100, gpu_gang, told


@pytest.fixture
def board() -> Board:
    return Board([gpu_gang(), gpu_gang(name="other")], {"a100-1": A100})


def _console(width: int = 160) -> Console:
    return Console(file=io.StringIO(), width=width, highlight=False)


def _text(out: Console) -> str:
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue()


def test_a_line_for_each_change(board: Board) -> None:
    out, now = _console(), [100.0]
    change = board.see(told("Queued", reason="WaitingForCapacity", message="needs 8 GPUs"))
    assert change is not None
    with live.LinesView(board, out, clock=lambda: now[0]) as view:
        now[0] = 102.5
        view.changed(change)
    assert _text(out).split() == ["2.5", "s", "gang", "Pending", "→", "Queued", "needs", "8", "GPUs"]


def test_counts_only_now_and_then(board: Board) -> None:
    out, now = _console(), [100.0]
    with live.LinesView(board, out, clock=lambda: now[0]) as view:
        view.tick()
        assert _text(out) == ""
        now[0] += live.COUNTS_EVERY_SECONDS
        view.tick()
        view.tick()
    assert _text(out).count("2 pending; GPUs in use: A100 0/8") == 1


def test_counts_that_stay_the_same_come_less_often(board: Board) -> None:
    out, now = _console(), [100.0]
    with live.LinesView(board, out, clock=lambda: now[0]) as view:
        for _ in range(int(2 * live.UNCHANGED_COUNTS_EVERY_SECONDS)):
            now[0] += 1
            view.tick()
    assert _text(out).count("2 pending") == 2


def test_lines_carry_no_control_codes(board: Board) -> None:
    out = _console()
    change = board.see(told("Running", node="a100-1"))
    assert change is not None
    with live.LinesView(board, out) as view:
        view.changed(change)
    assert "\x1b" not in _text(out)


def test_the_table_shows_where_and_why(board: Board) -> None:
    out = _console()
    board.see(told("Placing", node="a100-1", message="8 A100 on a100-1"))
    out.print(live.table(board, now=0.0, rows=20))
    row = next(line for line in _text(out).splitlines() if line.startswith("gang"))
    assert row.split() == ["gang", "2", "x", "4", "GPU", "Placing", "A100", "a100-1", "8", "A100", "on", "a100-1"]


def test_the_table_shows_what_is_drawn_and_used(board: Board) -> None:
    out = _console()
    board.see(told("Running", node="a100-1", message="8 A100 on a100-1", watts=310.0, joules=1234.0))
    out.print(live.table(board, now=0.0, rows=20))
    assert "310 W  1.23 kJ" in _text(out)


def test_a_line_of_what_is_drawn_now(board: Board) -> None:
    out, now = _console(), [100.0]
    board.see(told("Running", node="a100-1", watts=310.0, joules=950.0))
    with live.LinesView(board, out, clock=lambda: now[0]) as view:
        now[0] += live.COUNTS_EVERY_SECONDS
        view.tick()
    assert "drawn now: gang 310 W, 950 J so far" in _text(out)


def test_a_job_that_ended_draws_nothing(board: Board) -> None:
    board.see(told("Succeeded", watts=310.0, joules=950.0))
    assert live.power_line(board) == ""


def test_a_small_window_leaves_out_what_is_done() -> None:
    names = [f"job-{number}" for number in range(6)]
    board = Board([gpu_gang(name=name) for name in names], {})
    for name in names[:3]:
        board.see(told("Succeeded", name=name))
    out = _console()
    out.print(live.table(board, now=0.0, rows=4))
    text = _text(out)
    assert [name for name in names if name in text] == ["job-0", "job-3", "job-4", "job-5"]
    assert "and 2 more; 3 pending, 3 succeeded" in text


def test_a_narrow_window_keeps_the_reason(board: Board) -> None:
    out = _console(80)
    board.see(told("Queued", reason="WaitingForCapacity", message="needs 2 pods x 4 GPUs; A100 0"))
    out.print(live.table(board, now=0.0, rows=20, wide=False))
    assert "needs 2 pods x 4 GPUs; A100 0" in _text(out)


def test_what_is_said_beside_the_jobs_has_a_line_of_its_own(board: Board) -> None:
    out = _console()
    with live.LinesView(board, out) as view:
        view.said("power limit 250 W → 150 W")
    assert _text(out).split() == ["0.0", "s", "power", "limit", "250", "W", "→", "150", "W"]
