"""Estimates add up, leave nothing out in silence, and favour nobody."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frugal.costs.catalogue import TECHNOLOGIES
from frugal.costs.estimate import EstimateError, estimate, spiking_operations
from frugal.costs.technology import Figure, Technology
from frugal.errors import FrugalError

CHIP = Technology(
    name="chip",
    operations={"mac-fp32": Figure(picojoules=5, source="x"), "ac-fp32": Figure(picojoules=0.5, source="x")},
    bytes={"dram": Figure(picojoules=100, source="x")},
    remarks="leaves out the rest",
)
counts = st.floats(min_value=0, max_value=1e15)


def test_by_hand() -> None:
    found = estimate({"mac-fp32": 1000, "ac-fp32": 200}, {"dram": 30}, CHIP)
    assert found.operations == pytest.approx({"mac-fp32": 5e-9, "ac-fp32": 1e-10})
    assert found.bytes == pytest.approx({"dram": 3e-9})
    assert found.joules == pytest.approx(8.1e-9)
    assert (found.technology, found.remarks) == ("chip", "leaves out the rest")


@given(macs=counts, adds=counts, moved=counts, factor=st.floats(min_value=0.1, max_value=10))
def test_parts_add_up_and_twice_the_work_costs_twice(macs: float, adds: float, moved: float, factor: float) -> None:
    def joules(macs: float, adds: float, moved: float) -> float:
        return estimate({"mac-fp32": macs, "ac-fp32": adds}, {"dram": moved}, CHIP).joules

    whole = joules(macs, adds, moved)
    assert whole == pytest.approx(joules(macs, 0, 0) + joules(0, adds, 0) + joules(0, 0, moved))
    assert joules(factor * macs, factor * adds, factor * moved) == pytest.approx(factor * whole)


@pytest.mark.parametrize(
    ("operations", "moved", "message"),
    [
        (
            {"mac-int4": 1},
            {},
            "technology 'chip' has no figure for the operation 'mac-int4'; it has: mac-fp32, ac-fp32",
        ),
        ({}, {"sram": 1}, "technology 'chip' has no figure for the byte 'sram'; it has: dram"),
        ({"mac-fp32": -1}, {}, "operation 'mac-fp32': a count of -1"),
        ({"mac-fp32": math.nan}, {}, "a count of nan"),
        ({}, {"dram": math.inf}, "byte 'dram': a count of inf"),
    ],
)
def test_refuses_what_it_has_no_figure_for(operations: dict[str, float], moved: dict[str, float], message: str) -> None:
    with pytest.raises(EstimateError, match=message) as refusal:
        estimate(operations, moved, CHIP)
    assert isinstance(refusal.value, FrugalError)


def test_what_does_not_occur_needs_no_figure() -> None:
    assert estimate({"mac-int4": 0, "mac-fp32": 1}, {"sram": 0}, CHIP).joules == 5e-12


def test_an_estimate_tells_by_what() -> None:
    assert estimate({}, {}, CHIP).estimated_by == "published picojoules: chip"


def network(steps: int, activity: float) -> dict[str, object]:
    """Figures of a spiking network with a thousand neurons, each with a hundred synapses."""
    neurons, synapses = 1000, 100
    return {
        "first_layer_macs": 5000,
        "synaptic_operations_per_example": neurons * steps * activity * synapses,
        "neuron_updates_per_example": neurons * steps,
        "dense_macs": 5000 + neurons * synapses,
    }


@given(steps=st.integers(1, 64), activity=st.floats(0, 1), name=st.sampled_from(["45nm", "7nm-asic"]))
def test_spiking_saves_only_if_steps_times_activity_is_low_enough(steps: int, activity: float, name: str) -> None:
    technology = TECHNOLOGIES[name]
    figures = network(steps, activity)
    dense = estimate({"mac-fp32": float(str(figures["dense_macs"]))}, {}, technology).joules
    spiking = estimate(spiking_operations(figures), {}, technology).joules
    price = {kind: figure.picojoules for kind, figure in technology.operations.items()}
    # For each synapse: additions in steps x activity, and a hundredth of a neuron's updates, against one multiply-add.
    per_synapse = steps * (activity * price["ac-fp32"] + (price["mac-fp32"] + price["ac-fp32"]) / 100)
    if not math.isclose(per_synapse, price["mac-fp32"], rel_tol=1e-9):
        assert (spiking < dense) == (per_synapse < price["mac-fp32"])


def test_a_busy_network_costs_more_than_its_dense_twin_and_a_silent_one_less() -> None:
    def saved(steps: int, activity: float) -> float:
        figures = network(steps, activity)
        dense = estimate({"mac-fp32": 105_000}, {}, TECHNOLOGIES["45nm"]).joules
        return 1 - estimate(spiking_operations(figures), {}, TECHNOLOGIES["45nm"]).joules / dense

    assert saved(steps=16, activity=0.5) < 0
    assert saved(steps=4, activity=0.1) > 0.6


@pytest.mark.parametrize("figures", [{}, {"first_layer_macs": 1, "synaptic_operations_per_example": "many"}])
def test_figures_of_another_technique_are_refused(figures: dict[str, object]) -> None:
    with pytest.raises(EstimateError, match=r"no figure '.*': take the figures of a run with --with spiking"):
        spiking_operations(figures)
