"""A policy and a clock for tests of the webhook's certificates."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ballast.serve.certificates import Policy

POLICY = Policy(names=("ballast-operator.ballast-system.svc",), lifetime_seconds=90 * 86400.0, settle_seconds=90.0)
START = datetime(2026, 1, 1, tzinfo=UTC)


def day(number: float) -> datetime:
    """The moment that many days after the start."""
    return START + timedelta(days=number)
