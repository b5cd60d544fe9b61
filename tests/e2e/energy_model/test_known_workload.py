"""What is known of a workload is of use to its next job at once, survives the operator, and is its namespace's."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from tests.e2e.energy_model.conftest import FOUND_WATTS
from tests.e2e.energy_model.story import Story, limit_of

pytestmark = pytest.mark.slow


def test_an_operator_that_dies_during_a_visit_goes_on_from_there(story: Story) -> None:
    visited = limit_of(story.visited)
    assert visited is not None
    assert story.limit_while_dead == visited, "nothing is put back for an operator that is soon there again"
    after = story.limits[story.limits.index(visited) + 1 :]
    assert FOUND_WATTS not in after[:1], "it does not begin anew"
    assert limit_of(story.chosen) in story.limits


def test_a_job_with_a_known_key_begins_at_the_best_point(story: Story) -> None:
    known = story.known
    limits = [limit_of(job) for job in story.again if job.get("status", {}).get("phase") == "Running"]
    assert limits[0] == known
    placed = [job for job in story.again if job.get("status", {}).get("phase") == "Placing"]
    assert limit_of(placed[-1]) == known, "it is asked for before the pod can start"


def test_a_job_of_another_namespace_knows_nothing_of_it(story: Story) -> None:
    running = [job for job in story.stranger if job.get("status", {}).get("phase") == "Running"]
    assert limit_of(running[0]) in {None, FOUND_WATTS}
    chosen = [limit for job in running if (limit := limit_of(job)) is not None]
    assert chosen[0] == FOUND_WATTS, "it begins as every job does of which nothing is known"
    [attempt] = story.stranger[-1]["status"]["attempts"]
    began = datetime.fromisoformat(attempt["runningAt"])
    for point in (point for profile in story.strangers_profiles for point in profile["spec"]["points"]):
        took = timedelta(seconds=point["measuredSeconds"])
        assert datetime.fromisoformat(point["measuredAt"]) - took >= began, "it has measured all of it by itself"
