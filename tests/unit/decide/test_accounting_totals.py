"""What a job has used in all never falls: not at an attempt's end, nor when attempts are no longer listed."""

from __future__ import annotations

from dataclasses import replace

from ballast.api.conditions import Reason
from ballast.api.jobstatus import MAX_ATTEMPTS, Attempt, AttemptEnergy, EnergyStatus, Outcome, Phase
from ballast.api.source import Component
from ballast.decide.life.accounting import total_joules, with_new_attempt
from ballast.decide.telemetry import Telemetry
from tests.builders import NOW, JobBuilder, at, job, pod
from tests.unit.decide.ledger import ledger, settled, words
from tests.unit.decide.stepping import write

RUNNING = job("one").running_on("a").with_job()


def attempt(number: int, joules: float | None = None) -> Attempt:
    energy = AttemptEnergy(joules=joules, pods=1) if joules is not None else None
    return Attempt(number=number, started_at=at(0), energy=energy)


def told(joules: float, of_attempt: int = 1) -> Telemetry:
    return Telemetry(of_attempt, NOW, 1, joules={Component.GPU: joules})


def with_attempts(*attempts: Attempt, **energy: float) -> JobBuilder:
    return RUNNING.with_status(attempts=attempts, energy=EnergyStatus(**energy))


def test_the_ledger_of_all_attempts_and_of_those_not_listed_any_more() -> None:
    assert total_joules(with_attempts(attempt(3, 10), attempt(4, 5.5), earlier_joules=100).build()) == 115.5


def test_live_figures_stand_in_for_the_attempt_that_they_are_of() -> None:
    two = with_attempts(attempt(1, 10), attempt(2))
    assert total_joules(two.hearing(telemetry=told(7, of_attempt=2)).build()) == 17
    assert total_joules(two.hearing(telemetry=told(7, of_attempt=1)).build()) == 10
    assert total_joules(two.hearing(telemetry=told(7, of_attempt=3)).build()) == 10


def test_it_never_falls() -> None:
    assert total_joules(with_attempts(attempt(1, 10), joules=12).build()) == 12


def test_a_sum_has_no_dust() -> None:
    assert total_joules(with_attempts(attempt(1, 0.1), attempt(2, 0.2)).build()) == 0.3


def test_what_was_used_stays_when_an_attempt_ends() -> None:
    energy = EnergyStatus(joules=500, used="500 J", earlier_joules=20, watts=300, predicted_watts=250)
    stopping = RUNNING.stopping(Outcome.SUSPENDED, Reason.SUSPENDED).with_status(energy=energy)
    requeued = write(replace(stopping, workloads=()))
    ended = write(replace(RUNNING, workloads=()).with_job(complete=True).with_status(energy=energy))
    kept = EnergyStatus(joules=500, used="500 J", earlier_joules=20)
    assert requeued.status.energy == kept, "it has no place for which a prediction would hold"
    assert ended.status.energy == kept.model_copy(update={"predicted_watts": 250})


def test_a_prediction_goes_with_the_place_it_was_made_for() -> None:
    energy = EnergyStatus(predicted_watts=250)
    stopping = RUNNING.stopping(Outcome.SUSPENDED, Reason.SUSPENDED).with_status(energy=energy)
    assert write(replace(stopping, workloads=())).status.energy is None
    failing = RUNNING.stopping(Outcome.DEADLINE_EXCEEDED, Reason.DEADLINE_EXCEEDED).with_status(energy=energy)
    failed = write(replace(failing, workloads=())).status
    assert (failed.placement != (), failed.energy) == (True, energy)


def test_an_attempt_that_is_dropped_leaves_what_it_used() -> None:
    attempts = tuple(attempt(number, 1.5) for number in range(1, MAX_ATTEMPTS + 1))
    full = with_attempts(*attempts, earlier_joules=4, joules=28)
    kept, energy = with_new_attempt(full.status, attempt(MAX_ATTEMPTS + 1))
    assert [each.number for each in kept] == list(range(2, MAX_ATTEMPTS + 2))
    assert (energy.earlier_joules, energy.joules) == (5.5, 28)
    assert with_new_attempt(RUNNING.status, attempt(2))[1] == EnergyStatus()


def test_a_pod_of_an_attempt_that_is_not_listed_counts_as_well() -> None:
    late = pod(0, of=RUNNING).of_attempt(1).on("a").failed(1).held().ended_at(0, words(8))
    job_of_17 = with_attempts(attempt(17), earlier_joules=4).with_status(phase=Phase.SUSPENDED).suspended_by_its_owner()
    status = settled(job_of_17.with_pods(late))
    assert status is not None
    assert status.energy is not None
    assert (status.energy.earlier_joules, status.energy.joules) == (12, 12)
    assert status.attempts == (attempt(17),)


def test_the_total_is_exact_once_all_is_entered() -> None:
    ended = job("one").ended(Phase.SUCCEEDED).with_job(complete=True).with_status(energy=EnergyStatus(joules=4000))
    status = settled(ended.with_pods(pod(0, of=ended).on("a").succeeded().held().ended_at(0, words(4321.125))))
    assert ledger(status).joules == 4321.125
    assert status is not None
    assert status.energy is not None
    assert status.energy.joules == 4321.125
