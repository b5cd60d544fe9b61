"""Small parts of the status."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import ValidationError

from ballast.api.jobstatus import Phase, TrainingJobStatus, nodes_in_short


def test_times_are_whole_seconds_in_utc_so_that_what_is_written_equals_what_is_read() -> None:
    east = timezone(timedelta(hours=2))
    status = TrainingJobStatus(queued_at=datetime(2026, 1, 1, 2, 0, 0, 999_999, tzinfo=east))
    assert status.queued_at == datetime(2026, 1, 1, 0, 0, 0, tzinfo=UTC)
    written = status.to_manifest()
    assert written == {
        "phase": "Pending",
        "queuedAt": "2026-01-01T00:00:00Z",
        "failures": 0,
        "activeSeconds": 0,
        "placement": [],
        "attempts": [],
        "settling": [],
        "conditions": [],
    }
    assert TrainingJobStatus.model_validate(written) == status


def test_times_without_zone_are_refused() -> None:
    with pytest.raises(ValidationError, match="timezone"):
        TrainingJobStatus(queued_at=datetime(2026, 1, 1))


@pytest.mark.parametrize(
    ("nodes", "short"),
    [
        ([], ""),
        (["a"], "a"),
        (["b", "b", "a"], "b,a"),
        (["a", "b", "c", "d"], "a,b +2"),
        (["a" * 253, "b" * 253, "c"], "a" * 252 + "… +1"),
    ],
)
def test_nodes_in_short(nodes: list[str], short: str) -> None:
    assert nodes_in_short(nodes) == short


def test_final_phases() -> None:
    assert {phase for phase in Phase if phase.is_final} == {Phase.SUCCEEDED, Phase.EARLY_STOPPED, Phase.FAILED}


def test_what_waits_has_not_ended() -> None:
    assert {phase for phase in Phase if phase.is_waiting} == {Phase.PENDING, Phase.QUEUED}
