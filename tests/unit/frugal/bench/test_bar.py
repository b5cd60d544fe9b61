"""Progress: lines where nobody can redraw, one line where somebody can."""

from __future__ import annotations

import io

from frugal.bench.bar import Bar


class Terminal(io.StringIO):
    """Says that it is one."""

    def isatty(self) -> bool:
        return True


def test_plain_lines_say_how_far_and_how_long() -> None:
    stream, clock = io.StringIO(), iter([0.0, 100.0, 200.0, 7500.0])
    bar = Bar(4, stream, clock=lambda: next(clock))
    for what in ("one", "two", "three"):
        bar.doing(what)
        bar.done(what)
    bar.close()
    assert stream.getvalue().splitlines() == [
        "1/4, 5 min 00 s left one",
        "2/4, 3 min 20 s left two",
        "3/4, 41 min 40 s left three",
    ]


def test_a_terminals_line_is_redrawn_and_notes_stay() -> None:
    stream, clock = Terminal(), iter([0.0, 1.0, 1.0])
    bar = Bar(2, stream, clock=lambda: next(clock))
    bar.doing("one")
    bar.note("a note")
    bar.done("one")
    bar.close()
    shown = [line.rpartition("\r\x1b[K")[2] for line in stream.getvalue().split("\n")]
    assert shown == ["a note", ""]
    assert "1/2, 1 s left  one" in stream.getvalue()
    assert "█" * 10 + "░" * 10 in stream.getvalue()
