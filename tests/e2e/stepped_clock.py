"""The operator as it ships, on a machine whose wall clock a test sets, by writing into a file how far off it is.

What is off is `time.time`. `datetime.now` cannot be replaced in a process; the operator takes no time for a decision
from there.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

OFFSET_FILE = "STEPPED_CLOCK_OFFSET"

_true_time = time.time


def _stepped_time() -> float:
    return _true_time() + float(Path(os.environ[OFFSET_FILE]).read_text() or 0)


if __name__ == "__main__":
    time.time = _stepped_time
    from ballast.__main__ import main

    sys.exit(main())
