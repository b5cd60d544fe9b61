"""The operator as it ships, but for the objects of admitted jobs: it creates none, as Kueue's benchmark creates none.

A job whose objects are asked for stays as it is until somebody else ends it: the action is neither done nor failed.
With `BENCH_PROFILE` set to a file, samples of where the process spends its time are written there.
"""

from __future__ import annotations

import asyncio
import os

from ballast import logs
from ballast.act.executor import Executor
from ballast.decide.actions import Action, CreateObjects
from ballast.operator import run
from ballast.settings import OperatorSettings
from tests.bench.sampler import sampling


class AdmitOnlyExecutor(Executor):
    """Carries out everything but the creation of objects."""

    def submit(self, action: Action) -> None:
        """Start an action, unless it creates objects."""
        if not isinstance(action, CreateObjects):
            super().submit(action)


def main() -> None:
    """Run until SIGTERM."""
    settings = OperatorSettings()
    logs.configure(settings.log_level, settings.log_format)
    with sampling(os.environ.get("BENCH_PROFILE")):
        asyncio.run(run(settings, executor_class=AdmitOnlyExecutor))


if __name__ == "__main__":
    main()
