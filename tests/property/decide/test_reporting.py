"""Whatever Prometheus tells: the same is never told twice, joules never fall, and old figures decide nothing (G6)."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from ballast.api.conditions import ConditionType
from ballast.api.finalreading import Training
from ballast.api.jobstatus import Attempt, AttemptEnergy, EnergyStatus, Phase, TrainingJobStatus
from ballast.api.source import Component
from ballast.decide.life.reporting import at_rest, report, wants_report
from ballast.decide.snapshot import Job
from ballast.decide.telemetry import Telemetry
from tests.builders import NOW, at
from tests.unit.decide.reported import asked, running, written

numbers = st.floats(0, 1e12, allow_subnormal=False) | st.floats()
counts = st.integers(0, 10**17)
joules = st.dictionaries(st.sampled_from(Component), st.floats(0, 1e12))
trainings = st.builds(
    Training,
    step=st.none() | counts,
    total_steps=st.none() | counts,
    epoch=st.none() | numbers,
    percent=st.none() | st.floats(-1, 101) | numbers,
    steps_per_second=st.none() | numbers,
    seconds_left=st.none() | numbers,
    metric=st.none() | numbers,
    best=st.none() | numbers,
    reported_at=st.none() | numbers,
    evaluations=counts,
)


@st.composite
def telemetries(draw: st.DrawFn) -> tuple[Telemetry | None, float, str | None]:
    """What is known, when it is looked at, and Prometheus' problem."""
    now = NOW + draw(st.floats(0, 500))
    problem = draw(st.none() | st.just("connection refused"))
    telemetry = Telemetry(
        attempt=draw(st.integers(1, 3)),
        asked_at=now - draw(st.floats(0, 120)),
        pods=draw(st.integers(0, 3)),
        oldest_at=draw(st.none() | st.floats(0, 150).map(lambda age: now - age)),
        joules=draw(joules),
        watts=draw(st.none() | numbers),
        training=draw(st.none() | trainings),
        missed_evaluations=draw(st.integers(0, 1000)),
    )
    return draw(st.just(telemetry) | st.none()), now, problem


@st.composite
def jobs(draw: st.DrawFn) -> Job:
    """A running job of two pods, in its second attempt."""
    ledger = draw(st.none() | st.floats(0, 1e9).map(lambda j: AttemptEnergy(joules=j, pods=1)))
    attempts = (
        Attempt(number=1, started_at=at(-900), energy=ledger),
        Attempt(number=2, started_at=at(-5), running_at=at(0)),
    )
    of = running(2, attempts=attempts)
    return replace(of, pods=tuple(replace(pod, attempt=2) for pod in of.pods))


def told_joules(status: TrainingJobStatus) -> float:
    return (status.energy.joules if status.energy is not None else None) or 0.0


@given(of=jobs(), polls=st.lists(telemetries(), min_size=1, max_size=6))
def test_any_row_of_polls(of: Job, polls: list[tuple[Telemetry | None, float, str | None]]) -> None:
    for telemetry, now, problem in polls:
        of = replace(of, telemetry=telemetry)
        context = asked(now, problem)
        write = report(of, context)
        assert wants_report(of, context) == (write is not None)
        if write is None:
            continue
        before, after = of.job.status, write.status
        assert told_joules(after) >= told_joules(before)
        unchanged = {"phase", "reason", "attempts", "placement", "settling", "started_at", "failures", "retry_at"}
        assert all(getattr(after, name) == getattr(before, name) for name in unchanged)
        assert [c for c in after.conditions if c.type != ConditionType.TELEMETRY_FRESH] == [
            c for c in before.conditions if c.type != ConditionType.TELEMETRY_FRESH
        ]
        if telemetry is None or now - telemetry.asked_at > 60:
            without_watts = (before.energy or EnergyStatus()).model_copy(update={"watts": None})
            assert (after.energy or EnergyStatus()) == without_watts
            assert after.progress == before.progress
        of = replace(written(of, after), telemetry=telemetry)
        assert not wants_report(of, context)
        assert report(of, context) is None


@given(of=jobs(), poll=telemetries())
def test_an_attempt_that_is_over_draws_nothing_and_keeps_what_it_used(
    of: Job, poll: tuple[Telemetry | None, float, str | None]
) -> None:
    telemetry, now, problem = poll
    of = replace(of, telemetry=telemetry)
    write = report(of, asked(now, problem))
    before = write.status if write is not None else of.job.status
    after = at_rest(of, before)
    assert written(of, after).job.status == after
    assert told_joules(after) == told_joules(before)
    assert after.phase is Phase.RUNNING
    assert after.energy is None or after.energy.watts is None
