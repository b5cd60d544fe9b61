"""Joules of a GPU between two moments, out of Prometheus.

Invariant: an answer rests on the counter's samples on either side of both moments; where they are missing there is
none.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from bisect import bisect_left
from collections.abc import Sequence

from tests.demo.errors import DemoError

COUNTER = "ballast_node_gpu_energy_joules_total"
MARGIN_SECONDS = 10


def joules(url: str, uuid: str, start: float, end: float) -> float | None:
    """What a GPU's energy counter grew by, or None as long as Prometheus does not know.

    Args:
        url: Prometheus.
        uuid: The GPU.
        start: Seconds since the epoch.
        end: The same.

    Raises:
        DemoError: Prometheus gives no answer.
    """
    return increase(_samples(url, uuid, start - MARGIN_SECONDS, end + MARGIN_SECONDS), start, end)


def increase(samples: Sequence[tuple[float, float]], start: float, end: float) -> float | None:
    """What a counter grew by between two moments, linear between its samples; None if they do not reach so far."""
    first, last = _value_at(samples, start), _value_at(samples, end)
    return last - first if first is not None and last is not None else None


def _value_at(samples: Sequence[tuple[float, float]], moment: float) -> float | None:
    place = bisect_left([time for time, _ in samples], moment)
    if place < len(samples) and samples[place][0] == moment:
        return samples[place][1]
    if place in {0, len(samples)}:
        return None
    (before, low), (after, high) = samples[place - 1], samples[place]
    return low + (high - low) * (moment - before) / (after - before)


def _samples(url: str, uuid: str, start: float, end: float) -> list[tuple[float, float]]:
    if not url.startswith(("http://", "https://")):
        raise DemoError(f"{url!r} is no address of a Prometheus", remedy="Name it as in --prometheus http://host:9090")
    query = urllib.parse.urlencode({"query": f'{COUNTER}{{uuid="{uuid}"}}[{end - start:.0f}s]', "time": f"{end:.3f}"})
    try:
        with urllib.request.urlopen(f"{url.rstrip('/')}/api/v1/query?{query}", timeout=10) as answer:  # noqa: S310
            series = json.load(answer)["data"]["result"]
    except (urllib.error.URLError, OSError, ValueError, KeyError) as error:
        raise DemoError(f"Prometheus at {url} does not answer: {error}") from error
    # An agent that was started again goes on with the same counter under another pod's name.
    return sorted((float(time), float(value)) for each in series for time, value in each["values"])
