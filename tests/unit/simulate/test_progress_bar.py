"""How far the arms are, on a terminal and elsewhere."""

from __future__ import annotations

import io

import pytest

from ballast.simulate.report.progress_bar import ArmsBar


@pytest.fixture(autouse=True)
def _of_some_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a dumb one, whatever the tests run in."""
    monkeypatch.setenv("TERM", "xterm")


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _two_arms(stream: io.StringIO) -> str:
    with ArmsBar(2, stream) as bar:
        bar.doing("fifo, seed 0", 0.5)
        bar.done("fifo, seed 0", 200.0)
        bar.failed("new, seed 0", "out of luck")
    return stream.getvalue()


def test_without_a_terminal_there_is_a_plain_line_for_each_arm_that_ended() -> None:
    assert _two_arms(io.StringIO()) == "1/2 fifo, seed 0: done in 3 min\n2/2 new, seed 0: failed: out of luck\n"


def test_a_terminal_gets_a_bar_that_counts_parts_of_arms() -> None:
    stream = _Terminal()
    with ArmsBar(2, stream) as bar:
        bar.doing("fifo, seed 0", 0.5)
        bar.doing("new, seed 0", 0.5)
        assert bar.share == 0.5
        bar.done("fifo, seed 0", 1.0)
        assert bar.share == 0.75


def test_a_bar_leaves_failures_on_the_screen_and_the_cursor_visible() -> None:
    drawn = _two_arms(_Terminal())
    assert "new, seed 0: failed: out of luck" in drawn
    assert drawn.rindex("\x1b[?25h") > drawn.rindex("\x1b[?25l")
    assert "fifo, seed 0: done" not in drawn
