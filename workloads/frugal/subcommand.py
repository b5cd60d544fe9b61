"""What all subcommands have in common: exit statuses, stop signals, and errors as one line on standard error.

What must hold: an error that is the user's to fix names the option as it is written on the command line, and never
shows a traceback; a defect of ours always does.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from frugal.errors import ConfigError, FrugalError
from frugal.signals import StopSignals

FAILED = 1
WRONG_ARGUMENTS = 2


def as_option(error: ConfigError) -> str:
    """``--batch-size 0: remedy``, or ``--with pruning,sparsity=2: remedy`` where it is a technique's."""
    technique, comma, option = error.field.partition(",")
    if comma:
        return f"--with {technique},{option}={error.value}: {error.remedy}"
    return f"--{error.field.replace('_', '-')} {error.value}: {error.remedy}"


def told(command: str, work: Callable[[], int], *, describe: Callable[[ConfigError], str] = as_option) -> int:
    """Do ``work``; returns its exit status, or that of the error which it told on standard error.

    Args:
        command: The subcommand's name.
        work: Returns an exit status.
        describe: How a setting that cannot be used is written.
    """
    try:
        return work()
    except ConfigError as error:
        return fail(command, describe(error), WRONG_ARGUMENTS)
    except FrugalError as error:
        return fail(command, str(error), FAILED)


def fail(command: str, message: str, status: int) -> int:
    """Tell what is wrong; returns ``status``."""
    sys.stderr.write(f"frugal {command}: error: {message}\n")
    return status


@contextmanager
def listening(level: int = logging.WARNING, hidden: str = "") -> Iterator[StopSignals]:
    """Stop requests are kept, and log records from ``level`` on are shown, but for those of the logger ``hidden``."""
    signals = StopSignals()
    signals.install()
    handler = logging.StreamHandler()
    handler.setLevel(level)
    handler.addFilter(lambda record: record.name != hidden)
    logging.getLogger("frugal").addHandler(handler)
    try:
        yield signals
    finally:
        logging.getLogger("frugal").removeHandler(handler)
        signals.restore()
