"""A trace is read back as it was written, to the last bit, and its load is what it was scaled to."""

from __future__ import annotations

from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ballast.simulate.inputs.load import offered_load, scaled_to_load
from ballast.simulate.inputs.trace import read_trace, write_trace
from ballast.simulate.inputs.trace_formats import EXPERIMENT_KINDS, RawJob, Rules, jobs_from
from ballast.simulate.job import TraceJob
from tests.unit.simulate.published import eight_nodes, level

# Any text that UTF-8 can carry but control characters: quotes, commas, spaces at the ends, other scripts' line ends.
texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8)
numbers = st.floats(0, 1e12)


@st.composite
def jobs(draw: st.DrawFn, name: str) -> TraceJob:
    submitted = draw(numbers)
    return TraceJob(
        name=name,
        kind=draw(texts.filter(bool)),
        submitted_at=submitted,
        gpus=draw(st.integers(1, 4096)),
        reference_seconds=draw(st.floats(0, 1e12, exclude_min=True)),
        max_slowdown_percent=draw(numbers),
        deadline=draw(st.none() | st.floats(submitted, 1e15, exclude_min=True)),
        group=draw(texts),
    )


traces = st.lists(texts.filter(bool), unique=True, min_size=1, max_size=8).flatmap(
    lambda names: st.tuples(*[jobs(name) for name in names]).map(list)
)


@given(traces)
def test_round_trip(trace: list[TraceJob]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "jobs.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            write_trace(trace, file)
        assert read_trace(path) == sorted(trace, key=lambda job: job.submitted_at)


raw_jobs = st.builds(
    RawJob,
    submitted_at=st.integers(0, 10**6).map(float),
    seconds=st.integers(1, 10**5).map(float),
    gpus=st.integers(1, 128),
)
raw_traces = st.lists(raw_jobs, min_size=2, max_size=20).filter(lambda raw: len({job.submitted_at for job in raw}) > 1)
RULES = Rules(max_gpus=32, node_gpus=8, deadline_every=4)


@given(raw_traces, st.integers(0, 10**6), st.randoms(use_true_random=False))
def test_the_order_of_lines_does_not_matter(raw: list[RawJob], seed: int, dice: Random) -> None:
    shuffled = dice.sample(raw, len(raw))
    assert jobs_from(shuffled, EXPERIMENT_KINDS, seed, RULES) == jobs_from(raw, EXPERIMENT_KINDS, seed, RULES)


@given(raw_traces, st.floats(0.01, 2))
def test_scaling_gives_the_load_and_keeps_the_work(raw: list[RawJob], load: float) -> None:
    before = jobs_from(raw, EXPERIMENT_KINDS, 0, RULES)
    after = scaled_to_load(before, load, eight_nodes(), level())
    assert offered_load(after, eight_nodes(), level()) == pytest.approx(load)
    assert [(job.name, job.kind, job.gpus, job.reference_seconds) for job in after] == [
        (job.name, job.kind, job.gpus, job.reference_seconds) for job in before
    ]
    assert all(job.gpus <= 8 or job.gpus in (16, 24, 32) for job in after)
    for old, new in zip(before, after, strict=True):
        assert (old.deadline is None) == (new.deadline is None)
        if old.deadline is not None and new.deadline is not None:
            assert new.deadline - new.submitted_at == pytest.approx(3 * new.reference_seconds)
