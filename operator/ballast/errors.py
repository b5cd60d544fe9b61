"""The one error root, and the one question every handler asks: does trying again help?

Invariant: every error that Ballast raises on purpose is a `BallastError`, and is either retried by Ballast
(`RetryableError`) or put right by a person (`UserError`). A message names the field or object, its value and
the remedy, because it ends up in a condition or an event unchanged.
"""

from __future__ import annotations


class BallastError(Exception):
    """Root of all errors that Ballast raises on purpose."""


class RetryableError(BallastError):
    """The world refused for now (a conflict, a timeout): the same call may succeed later."""


class UserError(BallastError):
    """Only a person can put it right; trying again gives the same answer. The message says what to change."""


class NotLeading(BallastError):
    """This process does not hold the operators' lease, or no longer: what it was about to write was not sent."""
