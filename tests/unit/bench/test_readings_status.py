"""The simulation behind `status_writes_per_minute_5000_jobs` counts writes as they are, in a small cluster too."""

from __future__ import annotations

from tests.bench.readings_status import SILENT, Simulation, busiest


def test_the_busiest_minute_is_any_minute() -> None:
    assert busiest([], 60) == 0
    assert busiest([0, 59, 59.5, 61, 118, 119.4, 200], 60) == 4
    assert busiest([0, 60], 60) == 1


def test_a_small_cluster_is_told_at_once_and_then_seldom() -> None:
    found = Simulation(20, seed=1).run(SILENT[0] - 60)
    assert found.untold == 0
    assert found.first_told_seconds == 0
    polls = len(found.poll_seconds)
    assert 20 <= found.writes < 0.5 * 20 * polls


def test_a_silent_prometheus_is_told_of_every_job_twice() -> None:
    """It falls silent, and it speaks again."""
    before = Simulation(20, seed=1).run(SILENT[0])
    after = Simulation(20, seed=1).run(SILENT[1] + 30)
    assert after.writes >= before.writes + 2 * 20
