"""The operator as it ships, which stops itself like a frozen machine at SIGUSR1, between two steps of its event loop.

A SIGSTOP from outside can strike in the microseconds between the fence's check and the system call that sends the
write: nothing can stop that one write (docs/adr/0007), so a test of the fence must not be a matter of such luck.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        super().__init__()
        self.add_signal_handler(signal.SIGUSR1, os.kill, os.getpid(), signal.SIGSTOP)


class _Policy(asyncio.DefaultEventLoopPolicy):
    _loop_factory = _Loop


if __name__ == "__main__":
    asyncio.set_event_loop_policy(_Policy())
    from ballast.__main__ import main

    sys.exit(main())
