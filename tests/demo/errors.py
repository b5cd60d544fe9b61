"""The demo's one error: it cannot go on, and says what to do about it."""

from __future__ import annotations


class DemoError(Exception):
    """The demo cannot go on.

    Args:
        message: What failed, with names and values.
        remedy: What the reader can do about it.
    """

    def __init__(self, message: str, *, remedy: str = "") -> None:
        self.message = message
        self.remedy = remedy
        super().__init__(f"{message}. {remedy}" if remedy else message)
