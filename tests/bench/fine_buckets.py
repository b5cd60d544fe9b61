"""The operator as it ships, but for a histogram of cycle times so fine that a percentile can be read from it."""

from __future__ import annotations

import sys

from ballast.serve import metrics

STEP = 1.02
SHORTEST_SECONDS = 0.0005
LONGEST_SECONDS = 20.0


def buckets() -> tuple[float, ...]:
    """Return bounds that lie 2 % apart."""
    bounds = [SHORTEST_SECONDS]
    while bounds[-1] < LONGEST_SECONDS:
        bounds.append(bounds[-1] * STEP)
    return tuple(bounds)


if __name__ == "__main__":
    from ballast.__main__ import main

    setattr(metrics, "CYCLE_BUCKETS", buckets())  # noqa: B010 - a constant in all other programs
    sys.exit(main())
