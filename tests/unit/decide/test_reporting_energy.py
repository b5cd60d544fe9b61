"""A running job is told its watts and joules: coarsely, and only when they changed noticeably."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ballast.api.jobstatus import EnergyStatus, Phase
from ballast.api.source import Component
from tests.builders import job
from tests.unit.decide.reported import LATER, after_report, asked, energy, figures, is_quiet, new_status, running


def test_watts_are_rounded_and_joules_are_told_for_people_too() -> None:
    told = energy(new_status(running(), figures(watts=201.7, joules={Component.GPU: 4_320_000.9})))
    assert told.watts == 200.0
    assert told.joules == 4_320_000.0
    assert told.used == "1.2 kWh"


def test_what_is_told_live_stays_below_the_exact_ledger() -> None:
    """Joules never fall: what was rounded up would stand above the ledger for ever."""
    assert energy(new_status(running(), figures(joules={Component.GPU: 999.999}))).joules == 999.0


def test_what_else_is_known_of_the_energy_stays() -> None:
    before = running(energy=EnergyStatus(predicted_watts=250.0, saved_percent=3.0))
    told = energy(new_status(before, figures()))
    assert (told.predicted_watts, told.saved_percent) == (250.0, 3.0)


def test_watts_around_a_round_number_are_told_once() -> None:
    told = after_report(running(), figures(watts=149.0))
    assert all(is_quiet(told, figures(watts=watts)) for watts in (151.0, 149.0, 155.0, 144.0))
    assert energy(new_status(told, figures(watts=180.0))).watts == 180.0


@pytest.mark.parametrize("watts", [105.0, 195.0, 1049.0, 3.2, 0.0])
def test_noise_of_five_percent_settles(watts: float) -> None:
    """Whatever comes first, at most one more write follows."""
    of, writes = running(), 0
    for share in (0.95, 1.05, 0.95, 1.0, 1.05, 0.97, 0.95, 1.05):
        after = after_report(of, figures(watts=watts * share))
        writes += after.job is not of.job
        of = after
    assert writes <= 2


def test_no_watts_are_unknown_and_not_zero() -> None:
    told = after_report(running(), figures(watts=200.0))
    assert energy(new_status(told, figures(watts=None))).watts is None


def test_joules_are_told_when_they_have_grown_noticeably() -> None:
    told = after_report(running(), figures(joules={Component.GPU: 100_000.0}))
    assert is_quiet(told, figures(joules={Component.GPU: 101_900.0}))
    assert energy(new_status(told, figures(joules={Component.GPU: 102_500.0}))).joules == 102_500.0


def test_joules_never_fall() -> None:
    told = after_report(running(), figures(joules={Component.GPU: 100_000.0}))
    assert is_quiet(told, figures(joules={Component.GPU: 50_000.0}))
    assert energy(new_status(told, figures(joules={Component.GPU: 50_000.0}, watts=900.0))).joules == 100_000.0


def test_joules_that_nobody_tells_stay_as_they_were() -> None:
    told = after_report(running(), figures(joules={Component.GPU: 100_000.0}))
    assert energy(new_status(told, figures(joules={}, watts=900.0))).joules == 100_000.0
    assert energy(new_status(running(), figures(joules={}))).joules is None


def test_figures_of_another_attempt_are_not_told() -> None:
    told = after_report(running(), figures())
    status = new_status(told, figures(attempt=2, watts=900.0, joules={Component.GPU: 1e6}, at=LATER))
    assert energy(status).watts is None
    assert energy(status).joules == 5000.0


@pytest.mark.parametrize("phase", [Phase.PLACING, Phase.SUSPENDING, Phase.QUEUED, Phase.SUCCEEDED])
def test_only_a_running_job_is_told(phase: Phase) -> None:
    of = running(phase=phase)
    assert is_quiet(of, figures())


def test_nothing_is_told_while_this_operator_has_not_asked() -> None:
    restarted = replace(asked(), telemetry_asked_at=None)
    told = after_report(running(), figures())
    assert is_quiet(running(), None, restarted)
    assert is_quiet(told, None, restarted)
    assert energy(new_status(told, None)).watts is None


def test_a_waiting_job_is_not_told() -> None:
    assert is_quiet(job("train").build(), figures(attempt=0))
