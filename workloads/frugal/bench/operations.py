"""The second kind of estimate: what a model's operations and bytes cost by published picojoules.

For what this machine's kernels cannot show. Multiply-adds are counted by precision, and a finished model's stored bytes
are read once for each pass over it from memory on the chip; both are priced by `frugal.costs.catalogue`, the same for a
case and its baseline: 45 nm logic, a byte as from its cache of 1 MB, however large the model. Spiking networks alone
are priced as what they are for, a neuromorphic chip, whose figure for an operation includes its memory. Activations,
reading weights while training, teachers and the distances that a core-set is chosen by are left out; zeros count.
"""

from __future__ import annotations

from collections.abc import Mapping

from frugal.bench.records import Phase, Trial
from frugal.costs.catalogue import TECHNOLOGIES
from frugal.costs.estimate import estimate, spiking_operations
from frugal.technique import Value

LOGIC = "45nm"
NEUROMORPHIC = "loihi-with-host"
NAME = (
    "published picojoules: 45 nm logic with weights in SRAM, read once an answer (Horowitz 2014); "
    "spiking networks: Loihi, with the first layer's multiply-adds on 45 nm logic if there are any (Davies et al. 2018)"
)


def joules_per_example(trial: Trial) -> float | None:
    """Of one answer, or of learning from one example; None where a precision has no published figure on 45 nm logic."""
    spiking = trial.figures.get("spiking")
    if spiking is not None:
        if trial.phase is Phase.TRAINING:
            return None  # nobody trains on such a chip as we do
        return estimate(spiking_operations(spiking), {}, TECHNOLOGIES[NEUROMORPHIC]).joules
    macs = _macs(trial)
    if not TECHNOLOGIES[LOGIC].operations.keys() >= {kind for kind, count in macs.items() if count}:
        return None
    bytes_moved = {"sram": float(trial.bytes)} if trial.phase is Phase.INFERENCE else {}
    return estimate(macs, bytes_moved, TECHNOLOGIES[LOGIC]).joules


def arithmetic_joules(trial: Trial) -> float | None:
    """Of one answer on 45 nm logic, spikes as additions, weights as if they lay where they are used."""
    return _on_logic(trial, width_bytes=0)


def joules_with_a_weight_each(trial: Trial) -> float | None:
    """The same, where each operation reads its own 32-bit weight from memory on the chip."""
    return _on_logic(trial, width_bytes=4)


def _on_logic(trial: Trial, width_bytes: int) -> float | None:
    spiking = trial.figures.get("spiking")
    counts = _macs(trial) if spiking is None else spiking_operations(spiking)
    if trial.phase is not Phase.INFERENCE or not TECHNOLOGIES[LOGIC].operations.keys() >= counts.keys():
        return None
    weighted = sum(count for kind, count in counts.items() if kind != "neuron-update")
    return estimate(counts, {"sram": weighted * width_bytes}, TECHNOLOGIES[LOGIC]).joules


def examples_paid_for(trial: Trial) -> float:
    """What `joules_per_example` is to be multiplied with: a core-set's proxy learns too, before the training begins."""
    if trial.phase is Phase.INFERENCE:
        return trial.samples
    return trial.samples + _number(trial.figures.get("coreset", {}).get("proxy_samples"))


def _macs(trial: Trial) -> Mapping[str, float]:
    """Multiply-adds of one example by kind."""
    if trial.phase is Phase.INFERENCE and "quantization" in trial.figures:
        figures = trial.figures["quantization"]
        return {name.replace("_", "-"): _number(value) for name, value in figures.items() if name.startswith("mac_")}
    dtype = trial.figures.get("amp", {}).get("dtype", "fp32")
    pruned = trial.figures.get("pruning", {})
    if trial.phase is Phase.INFERENCE and pruned.get("parameters_after") != pruned.get("parameters_before"):
        dtype = "fp32"  # the smaller model is another one than that which autocast surrounds
    if trial.phase is Phase.TRAINING and "fp8" in trial.figures:  # its deployed model computes in fp32 again
        dtype = "fp8"
    return {f"mac-{dtype}": trial.flops / trial.samples / 2}


def _number(value: Value) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
