"""Records the first so many draws, in one process or several, and goes on where it was stopped.

What must hold: the file gets the draws that come first, whatever their results, and each once. A draw whose data set is
not installed is left out by its parameters, before anything is trained; a machine that has the set can add it later.
A training that fails ends the recording: leaving it out would hide exactly the settings that go wrong.
"""

from __future__ import annotations

import fcntl
import os
import platform
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

from frugal.bench.environment import cpu_name
from frugal.bench.meters import open_meter
from frugal.curves import recording
from frugal.curves.ranges import Draw, Ranges
from frugal.curves.recording import Curve
from frugal.curves.task import ONE_THREAD, load, train
from frugal.errors import DataError, FrugalError

STOP_SECONDS = 0.5  # how soon a wish to stop is seen while trainings run
_FARTHEST = 100  # draws are looked through up to this many times the count: most sets may be missing, not all


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How far a recording is.

    Attributes:
        done: Trainings in the file.
        wanted: How many there shall be.
        newest: The one that was added last; None at the begin.
        seconds_left: Estimate from this process's pace; None until there is one.
    """

    done: int
    wanted: int
    newest: Curve | None
    seconds_left: float | None


class CutOff(FrugalError):
    """The wish to stop reached the processes that train, too."""


def record(
    path: Path,
    ranges: Ranges,
    *,
    count: int,
    jobs: int,
    data_dir: Path,
    device: str = "cpu",
    tell: Callable[[Standing], None] = lambda standing: None,
    stop: Callable[[], bool] = lambda: False,
) -> Standing:
    """Bring the file ``path`` to ``count`` trainings.

    Args:
        path: The file; continued if it is there.
        ranges: What to draw from.
        count: How many trainings the file shall hold.
        jobs: Processes that train at the same time.
        data_dir: Folder of installed data sets.
        device: cpu or cuda.
        tell: Hears how far it is, at the begin and after each training.
        stop: Asked now and then; what is under way is brought to its end and kept.

    Raises:
        CutOff: What asked to stop ended the processes that train, too.
        DataError: The file is of other ranges, somebody else writes to it, or no data set of the ranges is installed.
        FrugalError: A training cannot be done as drawn.
    """
    if not path.exists():
        recording.begin(path, ranges, made())
    with _alone(path):
        recording.repair(path)
        before = recording.read(path)
        if before.ranges.digest != ranges.digest:
            raise DataError(f"{path} was begun with other ranges: name another --out, or the --ranges of its begin")
        known = {curve.draw.index for curve in before.curves}
        missing = [draw for draw in wanted(ranges, count, data_dir) if draw.index not in known]
        began, done = time.monotonic(), count - len(missing)
        standing = Standing(done=done, wanted=count, newest=None, seconds_left=None)
        tell(standing)
        for number, curve in enumerate(_trained(missing, jobs, data_dir, device, stop), start=1):
            recording.append(path, curve)
            pace = (time.monotonic() - began) / number
            left = pace * (len(missing) - number)
            standing = Standing(done=done + number, wanted=count, newest=curve, seconds_left=left)
            tell(standing)
        if missing and standing.done == count:
            recording.compact(path)
        return standing


def wanted(ranges: Ranges, count: int, data_dir: Path) -> list[Draw]:
    """The first ``count`` draws whose data set is installed.

    Raises:
        DataError: None is.
    """
    installed: dict[str, bool] = {}

    def usable() -> Iterator[Draw]:
        for index in range(_FARTHEST * count):
            draw = ranges.draw(index)
            name = draw.text("data")
            if name not in installed:
                installed[name] = _is_installed(name, data_dir)
            if installed[name]:
                yield draw

    draws = list(islice(usable(), count))
    if len(draws) < count:
        load(next(iter(installed)), data_dir)  # says what to install
        raise DataError(f"only {len(draws)} of the first {_FARTHEST * count} draws have data sets that are installed")
    return draws


def left_out(ranges: Ranges, draws: Sequence[Draw]) -> int:
    """How many draws before the last of these are not among them."""
    return draws[-1].index + 1 - len(draws) if draws else 0


def made() -> dict[str, str]:
    """This machine and what runs on it, as far as it matters to a curve."""
    return {
        "processor": cpu_name(),
        "processors": str(os.cpu_count()),
        "python": platform.python_version(),
        "torch": version("torch"),
    }


def measures(device: str) -> bool:
    """Whether counters tell the joules of a training on ``device``; they count all that runs there."""
    import torch

    return open_meter(torch.device(device), ONE_THREAD).source is not None


def _is_installed(name: str, data_dir: Path) -> bool:
    try:
        load(name, data_dir)
    except DataError:
        return False
    return True


def _trained(
    draws: Sequence[Draw], jobs: int, data_dir: Path, device: str, stop: Callable[[], bool]
) -> Iterator[Curve]:
    """Curves in the order in which they are done."""
    if jobs == 1:
        for draw in draws:
            if stop():
                return
            yield train(draw, data_dir, device)
        return
    waiting, running = iter(draws), set[Future[Curve]]()
    try:
        with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_worker) as pool:
            while True:
                if not stop():
                    more = islice(waiting, jobs - len(running))
                    running |= {pool.submit(train, draw, data_dir, device) for draw in more}
                if not running:
                    return
                done, running = wait(running, timeout=STOP_SECONDS, return_when=FIRST_COMPLETED)
                for future in sorted(done, key=_failed):
                    yield future.result()
    except BrokenProcessPool as error:
        kept = "what was recorded is kept, the same command goes on"
        if stop():
            raise CutOff(
                f"stopped, and the trainings under way were cut off, since their processes got the signal, too: {kept}"
            ) from error
        raise FrugalError(f"a process that trained was killed (is memory short?): {kept}") from error


def _failed(future: Future[Curve]) -> bool:
    """What is done is kept before what is not ends the recording."""
    return future.exception() is not None


def _worker() -> None:
    """Ctrl-C is for the parent, which lets trainings that run come to their end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DataError(
                f"{path}: another process is recording to it: wait for it, or name another --out"
            ) from error
        yield
