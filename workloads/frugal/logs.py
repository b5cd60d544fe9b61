"""Log lines that people read (logfmt) and machines parse (JSON): one line an event, on standard error.

Standard output is left to the one result line. A record's fields travel in ``extra={"fields": {...}}``.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

from frugal.numbers import rounded


class EventFormatter(logging.Formatter):
    """Common to both formats: time, level, message and fields, in this order."""

    def event(self, record: logging.LogRecord) -> dict[str, Any]:
        """The record as ordered fields; those without a value are left out."""
        moment = datetime.fromtimestamp(record.created, tz=UTC).isoformat(timespec="milliseconds")
        fields: Mapping[str, Any] = getattr(record, "fields", {})
        event = {"time": moment, "level": record.levelname.lower(), "event": record.getMessage(), **fields}
        if record.exc_info:
            event["exception"] = self.formatException(record.exc_info)
        return {key: rounded(value) for key, value in event.items() if value is not None}


class JsonFormatter(EventFormatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter.format`."""
        return json.dumps(self.event(record), default=str)


class LogfmtFormatter(EventFormatter):
    """``key=value`` pairs; values with spaces are quoted."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter.format`."""
        return " ".join(f"{key}={_logfmt(value)}" for key, value in self.event(record).items())


def configure(*, as_json: bool, stream: TextIO | None = None, level: int = logging.INFO) -> logging.Handler:
    """Send frugal's log to ``stream`` (standard error) in the chosen format."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if as_json else LogfmtFormatter())
    logger = logging.getLogger("frugal")
    logger.addHandler(handler)
    logger.setLevel(level)
    logger.propagate = False
    return handler


def remove(handler: logging.Handler) -> None:
    """Undo `configure`."""
    logger = logging.getLogger("frugal")
    logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)
    logger.propagate = True


def _logfmt(value: Any) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return json.dumps(text, ensure_ascii=False) if not text or any(c in text for c in ' "=\n\t') else text
