"""The best of two worlds that can be had today: a GPU model chosen by speed, and Zeus' power limit for each job.

Fastest-first takes the fastest GPU model that has room now; pinned-to-fastest waits until the fastest one that could
ever hold the job has room. Both are told the speeds of all kinds on all GPU models beforehand, which favours them; no
project is known to offer either combination.

What must hold: pinned-to-fastest starts a job on nothing but its fastest GPU model, so that the slowdown that the
profiler goes by is the one that the job asked for. As its parts are described it may be broken by what readings are
wrong by: a limit that was read as just fast enough is not. A second arm keeps a margin for that, at the price of some
joules.
"""

from __future__ import annotations

from collections.abc import Sequence

from ballast.simulate.job import TraceJob
from ballast.simulate.policies.packing import Room, Tiers
from ballast.simulate.policies.per_job_limit import REFERENCE, PerJobLimit, Profiler
from ballast.simulate.policies.speeds import Speeds

MARGIN_PERCENT = 3.0
"""Two standard deviations of the ratio of two readings that are each wrong by one percent."""


def by_speed(speeds: Speeds, *, only_fastest: bool) -> Tiers:
    """Return a job's GPU models one by one, the fastest first, of those that could ever hold it.

    Args:
        speeds: What is told.
        only_fastest: Leave it at the first one.
    """
    known: dict[tuple[str, int], tuple[frozenset[str], ...]] = {}

    def tiers(job: TraceJob, room: Room) -> Sequence[frozenset[str]]:
        # The nodes of a run do not change, and the question comes for every waiting job at every event.
        key = job.kind, job.gpus
        ranked = known.get(key)
        if ranked is None:
            models = speeds.ranked(job.kind, room.could_ever_hold(job.gpus))
            ranked = known[key] = tuple(frozenset({model}) for model in models[: 1 if only_fastest else None])
        return ranked

    return tiers


def fastest_first(seed: int, speeds: Speeds) -> PerJobLimit:
    """Make the arm that takes the fastest GPU model that is free."""
    return PerJobLimit(
        "fastest-first-per-job-limit",
        f"Composite: fastest free GPU model first (told the speeds), bin-packing; {REFERENCE}",
        seed,
        tiers=by_speed(speeds, only_fastest=False),
    )


def pinned_to_fastest(seed: int, speeds: Speeds) -> PerJobLimit:
    """Make the arm that waits for the fastest GPU model."""
    return PerJobLimit(
        "pinned-to-fastest-per-job-limit",
        f"Composite: only the fastest GPU model (told the speeds), bin-packing; {REFERENCE}",
        seed,
        tiers=by_speed(speeds, only_fastest=True),
    )


def pinned_to_fastest_with_margin(seed: int, speeds: Speeds) -> PerJobLimit:
    """Make the arm that waits for the fastest GPU model and allows for what its readings may be wrong by."""
    return PerJobLimit(
        "pinned-to-fastest-per-job-limit-margin",
        f"Composite: only the fastest GPU model (told the speeds), bin-packing; {REFERENCE}; a margin of "
        f"{MARGIN_PERCENT:g} % is kept between readings and the slowdown, which is no part of Zeus",
        seed,
        tiers=by_speed(speeds, only_fastest=True),
        keeps_slowdown=True,
        profiler=Profiler(margin_percent=MARGIN_PERCENT),
    )
