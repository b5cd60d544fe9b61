"""Progress of slow steps, told in plain lines on standard error.

A line when a step starts that usually takes seconds (with the estimate), one every fifteen seconds while it lasts, and
one when it is done. Quick steps print nothing. Invariant: standard output stays free for what a command returns.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

REMINDER_SECONDS = 15.0


def say(text: str) -> None:
    """Prints one line of progress."""
    print(f"[cluster] {text}", file=sys.stderr, flush=True)


@contextmanager
def step(what: str, *, estimate_seconds: float = 0.0) -> Iterator[None]:
    """Announces a step, reminds while it lasts, and tells how long it took.

    Args:
        what: What is being done, as a participle: "building kubelet".
        estimate_seconds: How long it usually takes; 0 when that is not known.
    """
    estimate = f" (about {estimate_seconds:.0f} s)" if estimate_seconds else ""
    say(f"{what}{estimate} ...")
    started = time.monotonic()
    done = threading.Event()

    def remind() -> None:
        while not done.wait(REMINDER_SECONDS):
            of_about = f" of about {estimate_seconds:.0f}" if estimate_seconds else ""
            say(f"  still {what}: {time.monotonic() - started:.0f}{of_about} s")

    reminder = threading.Thread(target=remind, name="progress", daemon=True)
    reminder.start()
    try:
        yield
    except BaseException:
        say(f"{what} failed after {time.monotonic() - started:.1f} s")
        raise
    else:
        say(f"{what}: done in {time.monotonic() - started:.1f} s")
    finally:
        done.set()
        reminder.join()
