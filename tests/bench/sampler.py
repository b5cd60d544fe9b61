"""Where a process spends its time, by samples of its threads' stacks: cheap enough to leave the figures as they are."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

INTERVAL_SECONDS = 0.01
SHOWN = 60
_WAITING = frozenset({"select", "wait", "_wait_for_tstate_lock"})


@contextmanager
def sampling(file: str | None) -> Iterator[None]:
    """Sample all threads until the end of the block and write what was seen to a file; without a file do nothing."""
    if not file:
        yield
        return
    ended = threading.Event()
    own: Counter[str] = Counter()
    cumulative: Counter[str] = Counter()

    def sample() -> None:
        me = threading.get_ident()
        while not ended.wait(INTERVAL_SECONDS):
            for ident, frame in sys._current_frames().items():
                if ident != me:
                    _count(frame, own, cumulative)

    sampler = threading.Thread(target=sample, daemon=True)
    sampler.start()
    try:
        yield
    finally:
        ended.set()
        sampler.join()
        Path(file).write_text("\n".join(["own", *_table(own), "", "cumulative", *_table(cumulative), ""]))


def _count(frame: FrameType, own: Counter[str], cumulative: Counter[str]) -> None:
    if frame.f_code.co_name in _WAITING or frame.f_code.co_filename.endswith("concurrent/futures/thread.py"):
        return
    own[_name(frame)] += 1
    stack: set[str] = set()
    walked: FrameType | None = frame
    while walked is not None:
        stack.add(_name(walked))
        walked = walked.f_back
    cumulative.update(stack)


def _name(frame: FrameType) -> str:
    code = frame.f_code
    return f"{'/'.join(code.co_filename.split('/')[-3:])}:{code.co_qualname}"


def _table(counts: Counter[str]) -> list[str]:
    return [f"{count:7} {name}" for name, count in counts.most_common(SHOWN)]
