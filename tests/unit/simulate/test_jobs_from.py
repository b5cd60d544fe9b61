"""How a published trace becomes jobs: kinds, GPUs, deadlines and names by stated rules."""

from __future__ import annotations

from collections import Counter

import pytest

from ballast.errors import UserError
from ballast.simulate.inputs.trace_formats import EXPERIMENT_KINDS, GAVEL_KINDS, RawJob, Rules, jobs_from
from ballast.simulate.job import TraceJob


def raw(count: int, **fields: object) -> list[RawJob]:
    """Jobs a minute apart."""
    return [RawJob(**{"submitted_at": 1e9 + 60 * i, "seconds": 10.0, "gpus": 1} | fields) for i in range(count)]  # type: ignore[arg-type]


def test_times_begin_at_the_first_submission_and_names_count_from_it() -> None:
    given = [RawJob(1e9 + 60, 5.0, 2, "b"), RawJob(1e9, 7.0, 1, "a")]
    assert jobs_from(given, ["k"], 0, Rules(prefix="philly", max_slowdown_percent=20)) == [
        TraceJob("philly-1", "k", 0.0, 1, 7.0, 20.0, None, "a"),
        TraceJob("philly-2", "k", 60.0, 2, 5.0, 20.0, None, "b"),
    ]


def test_ties_go_by_duration_and_then_by_gpus() -> None:
    given = [RawJob(0, 9.0, 1), RawJob(0, 5.0, 8), RawJob(0, 5.0, 2)]
    assert [(job.reference_seconds, job.gpus) for job in jobs_from(given, ["k"], 0)] == [(5, 2), (5, 8), (9, 1)]


def test_names_sort_as_jobs_come() -> None:
    names = [job.name for job in jobs_from(raw(120), ["k"], 0)]
    assert names[0] == "job-001"
    assert names == sorted(names)


def test_kinds_are_drawn_alike_and_by_seed() -> None:
    drawn = [job.kind for job in jobs_from(raw(6000), EXPERIMENT_KINDS, 3)]
    assert drawn == [job.kind for job in jobs_from(raw(6000), EXPERIMENT_KINDS, 3)]
    assert drawn != [job.kind for job in jobs_from(raw(6000), EXPERIMENT_KINDS, 4)]
    counts = Counter(drawn)
    assert set(counts) == set(EXPERIMENT_KINDS)
    assert all(850 < count < 1150 for count in counts.values())  # 1000 ± 5 standard deviations


def test_a_draw_is_the_same_on_every_machine() -> None:
    drawn = [EXPERIMENT_KINDS.index(job.kind) for job in jobs_from(raw(12), EXPERIMENT_KINDS, 0)]
    assert drawn == [5, 4, 2, 1, 3, 2, 4, 1, 2, 3, 5, 3]


def test_job_types_are_mapped_whole_or_without_what_is_in_brackets() -> None:
    given = raw(1, kind="LM (batch size 5)") + raw(1, kind="LM (batch size 80)") + raw(1, kind="A3C")
    table = {**GAVEL_KINDS, "LM (batch size 80)": "bert-squad-32"}
    assert Counter(job.kind for job in jobs_from(given, table, 0)) == Counter(
        ["bert-sentiment-128", "bert-squad-32", "ncf-1024"]
    )


def test_job_types_that_nothing_maps_are_all_named() -> None:
    with pytest.raises(UserError, match=r"does not map: none at all, 'GPT \(batch size 8\)', 'Mamba'; add them"):
        jobs_from(raw(2, kind="Mamba") + raw(1, kind="GPT (batch size 8)") + raw(1), GAVEL_KINDS, 0)


@pytest.mark.parametrize(
    ("held", "given"), [(1, 1), (7, 7), (8, 8), (9, 16), (12, 16), (16, 16), (25, 32), (32, 32), (33, 32), (128, 32)]
)
def test_large_jobs_take_whole_nodes_up_to_the_cap(held: int, given: int) -> None:
    (job,) = jobs_from(raw(1, gpus=held), ["k"], 0, Rules(max_gpus=32, node_gpus=8))
    assert job.gpus == given


def test_gpus_stay_without_rules() -> None:
    assert [job.gpus for job in jobs_from(raw(1, gpus=99), ["k"], 0)] == [99]


def test_a_cap_below_one_node_needs_no_whole_nodes() -> None:
    assert Rules(max_gpus=4, node_gpus=8).gpus(99) == 4


def test_a_cap_that_is_no_whole_number_of_nodes_is_refused() -> None:
    with pytest.raises(UserError, match=r"max_gpus: must be a multiple of node_gpus, which is 8.*\(is 30\)"):
        Rules(max_gpus=30, node_gpus=8)


def test_every_so_manieth_job_has_a_deadline() -> None:
    jobs = jobs_from(raw(9), ["k"], 0, Rules(deadline_every=4, deadline_durations=3))
    assert {i: job.deadline for i, job in enumerate(jobs, 1) if job.deadline is not None} == {4: 210.0, 8: 450.0}


def test_nothing_to_make_jobs_of_is_refused() -> None:
    with pytest.raises(UserError, match="trace: holds no job"):
        jobs_from([], ["k"], 0)
    with pytest.raises(UserError, match="kinds: must name at least one"):
        jobs_from(raw(1), [], 0)
