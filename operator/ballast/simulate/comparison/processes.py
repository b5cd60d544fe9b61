"""Runs each arm of a comparison in a process of its own, several at a time.

What must hold: every task gets a fresh process, so that no arm can warm a cache or leave a random state to another. A
task that fails says why and takes no other with it. An interrupt ends all processes, and what was handed out before
stays with the caller. Workers do not hear Ctrl-C themselves: the terminal sends it to all, and only one should answer.
A worker whose parent is gone ends as soon as it has something to say.
"""

from __future__ import annotations

import signal
import threading
import time
import traceback
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Generic, Protocol, TypeVar

from ballast.errors import UserError

T_contra = TypeVar("T_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)
T = TypeVar("T")
R = TypeVar("R")

_TELL_SECONDS = 0.25
"""Between two words of a worker on how far it is."""
_END_SECONDS = 5.0
"""How long a process may take to end after it was told to."""


class Work(Protocol[T_contra, R_co]):
    """What a worker does; a function of a module, so that another process can import it."""

    def __call__(self, task: T_contra, /, progress: Callable[[float], None]) -> R_co:
        """Do ``task``, telling ``progress`` the share that is done, 0 to 1."""
        ...


@dataclass(frozen=True, slots=True)
class Done(Generic[T, R]):
    """A task ended well."""

    task: T
    result: R
    seconds: float


@dataclass(frozen=True, slots=True)
class Failed(Generic[T]):
    """A task ended badly.

    Attributes:
        message: Why, in a sentence.
        details: The traceback, where the fault is ours; empty where a person can mend it.
    """

    task: T
    message: str
    details: str = ""


@dataclass(frozen=True, slots=True)
class Doing(Generic[T]):
    """How far a task is, 0 to 1."""

    task: T
    share: float


@dataclass(slots=True)
class _Worker(Generic[T]):
    task: T
    process: SpawnProcess
    connection: Connection
    began: float


def run_each(
    tasks: Sequence[T], work: Work[T, R], processes: int = 1
) -> Generator[Done[T, R] | Failed[T] | Doing[T], None, None]:
    """Do every task in a fresh process; yields what happens, as it happens. To close it ends all processes.

    Args:
        tasks: What to do, in the order in which they begin; they and results can be pickled.
        work: Does one of them.
        processes: How many at a time, 1 or more.
    """
    waiting = list(tasks)[::-1]
    workers: dict[Connection, _Worker[T]] = {}
    try:
        while waiting or workers:
            while waiting and len(workers) < processes:
                with _interrupts_wait():  # until it is known whom to end
                    worker = _start(waiting.pop(), work)
                    workers[worker.connection] = worker
            for connection in wait(list(workers)):
                worker = workers[connection]  # type: ignore[index]  # wait() is typed for sockets too
                event: Done[T, R] | Failed[T] | Doing[T] = _hear(worker)
                if not isinstance(event, Doing):
                    del workers[worker.connection]
                    worker.connection.close()
                    _end(worker.process, gently=True)
                yield event
    finally:
        for worker in workers.values():
            _end(worker.process, gently=False)
            worker.connection.close()


def _start(task: T, work: Work[T, R]) -> _Worker[T]:
    context = get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_in_worker, args=(theirs, work, task), daemon=True)
    process.start()
    theirs.close()  # so that the worker's death is an end of file
    return _Worker(task, process, ours, time.monotonic())


@contextmanager
def _interrupts_wait() -> Iterator[None]:
    """A process started meanwhile never sees SIGINT, not even while it imports; ours is delivered afterwards."""
    resource_tracker.ensure_running()  # else the first start does it, and unblocks SIGINT
    heard: list[int] = []
    # The mask is what the child inherits. It holds for this thread only, and libraries have threads of their own.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    main = threading.current_thread() is threading.main_thread()
    handler = signal.signal(signal.SIGINT, lambda number, _: heard.append(number)) if main else None
    try:
        yield
    finally:
        if main:
            signal.signal(signal.SIGINT, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if heard:
            signal.raise_signal(signal.SIGINT)


def _hear(worker: _Worker[T]) -> Done[T, R] | Failed[T] | Doing[T]:
    try:
        kind, value, details = worker.connection.recv()
    except (EOFError, OSError):
        worker.process.join(_END_SECONDS)
        return Failed(worker.task, f"its process {_how(worker.process.exitcode)} before it was done")
    if kind == "doing":
        return Doing(worker.task, value)
    if kind == "done":
        return Done(worker.task, value, time.monotonic() - worker.began)
    return Failed(worker.task, value, details)


def _how(code: int | None) -> str:
    if code is None or code >= 0:
        return f"ended with status {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
    short = " (the machine may be short of memory: use fewer --processes)" if name == "SIGKILL" else ""
    return f"was ended by {name}{short}"


def _end(process: SpawnProcess, *, gently: bool) -> None:
    if not gently:
        process.terminate()
    process.join(_END_SECONDS)
    if process.is_alive():
        process.kill()
        process.join()
    process.close()


def _in_worker(connection: Connection, work: Work[T, R], task: T) -> None:
    told = [0.0]

    def progress(share: float) -> None:
        now = time.monotonic()
        if now - told[0] >= _TELL_SECONDS:
            told[0] = now
            connection.send(("doing", share, ""))

    with suppress(BrokenPipeError):  # nobody listens any more
        try:
            connection.send(("done", work(task, progress=progress), ""))
        except UserError as error:
            connection.send(("failed", str(error), ""))
        except BrokenPipeError:
            raise
        except Exception as error:  # noqa: BLE001 - a process boundary: the parent tells it, with the traceback
            connection.send(("failed", f"{type(error).__name__}: {error}", traceback.format_exc()))
