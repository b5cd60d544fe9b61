"""Reading an EnergyBudget: units, periods, and what is done when nothing is said."""

from __future__ import annotations

from decimal import Decimal

import pytest

from ballast.api.energybudget import EnergyBudget, InvalidEnergyBudget, Measure
from tests.unit.api.kinds import complete_budget, energy_budget

_ENERGY = {"limit": "200kWh"}


def test_limits_are_in_base_units() -> None:
    spec = EnergyBudget.parse(complete_budget()).spec
    assert spec.energy is not None
    assert spec.carbon is not None
    assert spec.power is not None
    assert (spec.energy.limit, spec.carbon.limit, spec.power.limit) == (
        Decimal(720_000_000),
        Decimal(80_000),
        Decimal(40_000),
    )


@pytest.mark.parametrize("period", ["Hour", "Day", "Week", "Month", "P2W", "P1D", "P999D", "P1DT12H", "PT1H", "PT36H"])
def test_good_periods(period: str) -> None:
    assert EnergyBudget.parse(energy_budget(energy=_ENERGY, period=period)).spec.period == period


@pytest.mark.parametrize(
    "period", ["", "day", "Days", "P", "PT", "P0D", "P1Y", "P1M", "PT30M", "P1DT", "P1W2D", "P1.5D", "P1000D", "1D"]
)
def test_bad_periods(period: str) -> None:
    with pytest.raises(InvalidEnergyBudget, match=r"spec\.period"):
        EnergyBudget.parse(energy_budget(energy=_ENERGY, period=period))


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+5", "EST5EDT"])
def test_good_time_zones(zone: str) -> None:
    assert EnergyBudget.parse(energy_budget(energy=_ENERGY, timeZone=zone)).spec.time_zone == zone


@pytest.mark.parametrize("zone", ["", "+02:00", "Europe/", "/Berlin", "Europe Berlin", "a/b/c/d", "../etc/passwd"])
def test_bad_time_zones(zone: str) -> None:
    with pytest.raises(InvalidEnergyBudget, match=r"spec\.timeZone"):
        EnergyBudget.parse(energy_budget(energy=_ENERGY, timeZone=zone))


def test_a_spent_budget_without_actions_starts_nothing_more() -> None:
    (action,) = EnergyBudget.parse(energy_budget(energy=_ENERGY)).spec.effective_actions
    assert (action.at, action.do) == (100, Measure.HOLD)


def test_given_actions_are_the_only_ones() -> None:
    spec = EnergyBudget.parse(energy_budget(carbon={"limit": "80kg"}, actions=[{"at": 50, "do": "Warn"}])).spec
    assert [action.do for action in spec.effective_actions] == [Measure.WARN]


def test_a_power_limit_needs_no_actions() -> None:
    assert EnergyBudget.parse(energy_budget(power={"limit": "40kW"})).spec.effective_actions == ()


def test_a_cluster_scoped_object_is_named_without_a_namespace() -> None:
    with pytest.raises(InvalidEnergyBudget, match="EnergyBudget vision is invalid: "):
        EnergyBudget.parse(energy_budget(period="Week"))
