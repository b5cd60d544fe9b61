"""Counted operations and bytes by published picojoules: one price for all arithmetic, and a chip's for spikes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from frugal.bench.operations import joules_per_example
from frugal.bench.records import Phase
from frugal.costs.catalogue import TECHNOLOGIES
from frugal.technique import Value
from tests.unit.frugal.bench.made_up import trial

_LOGIC = TECHNOLOGIES["45nm"]
_MAC = _LOGIC.operations["mac-fp32"].picojoules * 1e-12
_BYTE = _LOGIC.bytes["sram"].picojoules * 1e-12


def test_an_answer_costs_its_multiply_adds_and_reading_the_model_once() -> None:
    plain = trial("plain", samples=10, flops=10 * 2000.0, size=500)
    assert joules_per_example(plain) == pytest.approx(1000 * _MAC + 500 * _BYTE)


def test_learning_costs_multiply_adds_alone() -> None:
    plain = trial("plain", phase=Phase.TRAINING, samples=10, flops=10 * 2000.0, size=500)
    assert joules_per_example(plain) == pytest.approx(1000 * _MAC)


def test_a_quantized_answer_is_priced_by_what_its_layers_compute_in() -> None:
    figures: dict[str, dict[str, Value]] = {"quantization": {"kind": "static", "mac_int8": 900, "mac_fp32": 100}}
    few_bits = replace(trial("int8", samples=10, flops=0.0, size=125), figures=figures)
    int8 = _LOGIC.operations["mac-int8"].picojoules * 1e-12
    assert joules_per_example(few_bits) == pytest.approx(900 * int8 + 100 * _MAC + 125 * _BYTE)
    assert joules_per_example(replace(few_bits, phase=Phase.TRAINING, flops=10 * 2000.0)) == pytest.approx(1000 * _MAC)


def test_a_precision_without_a_published_figure_is_not_guessed() -> None:
    assert joules_per_example(replace(trial("bf16"), figures={"amp": {"dtype": "bf16"}})) is None
    fp8 = replace(trial("fp8", phase=Phase.TRAINING), figures={"fp8": {}})
    assert joules_per_example(fp8) is None
    assert joules_per_example(replace(fp8, phase=Phase.INFERENCE)) is not None  # its layers are float32 again
    assert joules_per_example(replace(trial("fp16"), figures={"amp": {"dtype": "fp16"}})) is not None


def test_a_model_that_became_smaller_answers_in_full_precision_whatever_it_learned_in() -> None:
    figures: dict[str, dict[str, Value]] = {
        "amp": {"dtype": "fp16"},
        "pruning": {"parameters_before": 100, "parameters_after": 50},
    }
    smaller = replace(trial("amp and pruning", samples=10, flops=10 * 2000.0, size=500), figures=figures)
    assert joules_per_example(smaller) == pytest.approx(1000 * _MAC + 500 * _BYTE)
    same = replace(smaller, figures={**figures, "pruning": {"parameters_before": 100, "parameters_after": 100}})
    fp16 = _LOGIC.operations["mac-fp16"].picojoules * 1e-12
    assert joules_per_example(same) == pytest.approx(1000 * fp16 + 500 * _BYTE)


def test_spikes_are_priced_as_a_neuromorphic_chip_has_them_and_their_training_not_at_all() -> None:
    counts: dict[str, Value] = {
        "first_layer_macs": 100,
        "synaptic_operations_per_example": 1000.0,
        "neuron_updates_per_example": 10,
    }
    spiking = replace(trial("spiking"), figures={"spiking": counts})
    chip = TECHNOLOGIES["loihi-with-host"].operations
    expected = 100 * chip["mac-fp32"].picojoules + 1000 * chip["synaptic-op"].picojoules
    expected += 10 * chip["neuron-update"].picojoules
    assert joules_per_example(spiking) == pytest.approx(expected * 1e-12)
    assert joules_per_example(replace(spiking, phase=Phase.TRAINING)) is None
