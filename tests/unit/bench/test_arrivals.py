"""The stream of jobs has the shape that the benchmark says it has, and its manifests are TrainingJobs."""

from __future__ import annotations

import json
from collections import Counter

from ballast.api.trainingjob import TrainingJob
from tests.bench.admission_load import finished_status, is_admitted
from tests.bench.arrivals import CLASSES, Manifests, schedule

ADMITTED = {
    "phase": "Placing",
    "attempts": [{"number": 1, "startedAt": "2026-01-01T00:00:00Z"}],
    "conditions": [
        {
            "type": "Admitted",
            "status": "True",
            "reason": "Reserved",
            "message": "1 A100 on a",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
    ],
}


def test_there_are_as_many_of_each_class_as_in_kueues_baseline() -> None:
    assert Counter(arrival.kind for arrival in schedule()) == {"small": 10_500, "medium": 3_000, "large": 1_500}


def test_a_smaller_scale_shortens_the_stream_and_keeps_its_pace() -> None:
    full, short = schedule(), schedule(0.1)
    assert len(short) == len(full) / 10
    assert short == [arrival for arrival in full if arrival in set(short)]


def test_every_manifest_is_a_training_job_of_its_class() -> None:
    first = {arrival.kind: arrival for arrival in reversed(schedule(0.01))}
    for kind in CLASSES:
        job = TrainingJob.parse(json.loads(Manifests().of(first[kind.name])))
        assert (job.metadata.name, job.gpus) == (f"{kind.name}-000", kind.gpus)


def test_what_the_harness_writes_at_the_end_is_the_status_of_a_job_that_succeeded() -> None:
    job = json.loads(Manifests().of(schedule(0.01)[0])) | {"status": ADMITTED}
    assert is_admitted(job)
    job["status"] |= finished_status(job["status"])
    assert not is_admitted(job)
    status = TrainingJob.parse(job).status
    assert status.phase.is_final
    assert status.attempts[-1].outcome == "Succeeded"
