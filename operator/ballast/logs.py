"""Logging of all of Ballast's processes: one line an event, JSON for machines or text for people."""

from __future__ import annotations

import logging
import sys
from typing import Literal

from pythonjsonlogger.json import JsonFormatter

# kopf tells of every handled event; Ballast's own metrics and conditions say what matters.
QUIET = ("kopf", "aiohttp", "asyncio")


def configure(level: str, style: Literal["json", "text"]) -> None:
    """Send logs to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    if style == "json":
        handler.setFormatter(
            JsonFormatter(
                "{asctime}{levelname}{name}{message}",
                style="{",
                rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
            )
        )
    else:
        handler.setFormatter(_TextFormatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


class _TextFormatter(logging.Formatter):
    """Appends what a log call passes as `extra`, which the standard formatter leaves out."""

    _standard = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

    def format(self, record: logging.LogRecord) -> str:
        extra = {name: value for name, value in vars(record).items() if name not in self._standard}
        return super().format(record) + "".join(f" {name}={value}" for name, value in extra.items())
