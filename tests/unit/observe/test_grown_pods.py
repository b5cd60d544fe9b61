"""Pods that the API server made larger than their template count as they are, for as long as that is news."""

from __future__ import annotations

from ballast.decide.policy import Policy
from tests.builders import NOW, job, node, pod
from tests.unit.observe.watched import Watched

ON_CPUS = job("train").with_cpus(1)


def _rolled_back() -> Watched:
    """A job whose pod became too large for the only node, and that waits again."""
    watched = Watched().sees(node("a").with_cpus(4), ON_CPUS.placed_on("a"))
    watched.sees(pod(0).gated().asking_for(cpu="8"))
    return watched.sees(ON_CPUS.at_version(2))


def test_it_waits_for_room_for_what_they_became() -> None:
    assert _rolled_back().free("cpu") == {"a": 4000}
    [lane] = _rolled_back().snapshot().lanes
    assert dict(lane.gang.per_pod)["cpu"] == 8000


def test_that_is_forgotten_in_time() -> None:
    watched = _rolled_back()
    watched.time = NOW + Policy().retry_max_seconds - 1
    [lane] = watched.snapshot().lanes
    assert dict(lane.gang.per_pod)["cpu"] == 8000
    watched.time = NOW + Policy().retry_max_seconds
    assert (watched.state.seconds_to_next_due() or 0) == 0
    [lane] = watched.snapshot().lanes
    assert dict(lane.gang.per_pod)["cpu"] == 1000
