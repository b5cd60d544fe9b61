"""Operators that die at failpoints, each followed at once by the next, as Kubernetes restarts a container.

A test's own script goes on meanwhile, as users do who do not know.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self

from tests.e2e.operator_process import OperatorProcess
from tests.e2e.operators import Operators

POLL_SECONDS = 0.02
LAST_CHANCE_SECONDS = 10.0
"""How much later than what a write brings about the process may be seen to have died after it."""


class Mortals:
    """One operator after another: each dies at its failpoint, but for the last one, which has none.

    Args:
        operators: starts them.
        failpoints: where they die, in order.
        settings: of all of them.
    """

    def __init__(self, operators: Operators, *failpoints: str, settings: Mapping[str, str] | None = None) -> None:
        self._operators = operators
        self._failpoints = failpoints
        self._settings = settings
        self._log = operators.new_log()
        self._script_is_done = threading.Event()
        self._pool = ThreadPoolExecutor(max_workers=1)
        self._last: Future[OperatorProcess] | None = None

    def __enter__(self) -> Self:
        self._operators.stop()
        self._last = self._pool.submit(self._follow_each_other)
        return self

    def survivor(self) -> OperatorProcess:
        """Return the last one, ready.

        Raises:
            AssertionError: one of the others was not killed at its failpoint.
        """
        assert self._last is not None
        self._script_is_done.set()
        return self._last.result().wait_until_ready()

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        self._script_is_done.set()
        assert self._last is not None
        problem = self._last.exception()
        if problem is None:
            self._last.result().kill()
        elif error is not None and problem is not error:
            error.add_note(f"and the operators: {problem}")
        self._pool.shutdown()

    def _follow_each_other(self) -> OperatorProcess:
        for failpoint in self._failpoints:
            with self._operators.start(failpoint=failpoint, log=self._log, settings=self._settings) as doomed:
                while doomed.running and not self._script_is_done.wait(POLL_SECONDS):
                    pass
                code = doomed.wait_until_dead(LAST_CHANCE_SECONDS)
                assert code == -signal.SIGKILL, f"it ended with {code}, not at {failpoint}:\n{doomed.log_tail()}"
        return self._operators.start(log=self._log, settings=self._settings)


def around(write: str) -> tuple[str, str]:
    """Return the failpoints of two operators of which the first dies before a write, and the second after it.

    Args:
        write: its name, and with `#2` that the first one has done one such write before.
    """
    name, _, _ = write.partition("#")
    return f"before:{write}", f"after:{name}"
