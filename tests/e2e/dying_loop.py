"""The operator as it ships, but for a bug: deciding about any TrainingJob raises an error that nobody expects."""

from __future__ import annotations

import sys

from ballast import control_loop
from ballast.decide.cycle import Decision, decide
from ballast.decide.snapshot import Snapshot


def _decide(snapshot: Snapshot) -> Decision:
    if snapshot.lanes or snapshot.changed or snapshot.review:
        raise ZeroDivisionError("a bug")
    return decide(snapshot)


if __name__ == "__main__":
    from ballast.__main__ import main

    setattr(control_loop, "decide", _decide)  # noqa: B010 - a function in all other programs
    sys.exit(main())
