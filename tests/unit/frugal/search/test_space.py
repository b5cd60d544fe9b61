"""What can be drawn: architectures that build and answer, stacks of techniques that exist."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import optuna
import pytest
import torch

from frugal import registry
from frugal.bench.records import Phase
from frugal.search.space import OFF, ArchitectureSpace, Design, Space, StackSpace, specs, stack_space
from frugal.techniques.architecture import Architecture


def _drawn(space: Space, count: int) -> Iterator[Design]:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=7))
    return (space.draw(study.ask()) for _ in range(count))


def _architecture(design: Design) -> Architecture:
    (spec,) = design
    made = registry.create(spec)
    assert isinstance(made, Architecture)
    return made


def _stack(phase: Phase, *, gpu: bool = False, leave_out: tuple[str, ...] = ()) -> StackSpace:
    return stack_space(phase, model="cnn", installed=registry.available(), gpu=gpu, leave_out=leave_out)


def test_every_drawn_architecture_answers_for_small_and_large_images() -> None:
    for design in _drawn(ArchitectureSpace(layers=3, channels=(1, 3), units=(1, 4)), 60):
        architecture = _architecture(design)
        for shape in ((1, 8, 8), (1, 28, 28)):
            assert architecture.build(shape, 10)(torch.zeros(1, *shape)).shape == (1, 10)


def test_every_option_is_drawn_and_none_beyond_its_bounds() -> None:
    space = ArchitectureSpace()
    drawn = [_architecture(design) for design in _drawn(space, 300)]
    convolutional = [one for one in drawn if one.kind == "cnn"]
    assert {one.kind for one in drawn} == {"cnn", "mlp"}
    assert {one.kernel for one in convolutional} == set(space.kernels)
    # The first convolution is never separable: alone, it would be drawn under two names.
    assert {one.separable for one in convolutional if len(one.layer_widths) == 1} == {False}
    assert {one.separable for one in convolutional if len(one.layer_widths) == 2} == {False, True}
    assert {one.activation for one in drawn} == set(space.activations)
    assert {len(one.layer_widths) for one in drawn} == {1, 2, 3, 4}
    assert {stride for one in convolutional for stride in one.layer_strides} == {1, 2}
    assert {width for one in convolutional for width in one.layer_widths} == {4, 8, 16, 32, 64}
    assert {width for one in drawn if one.kind == "mlp" for width in one.layer_widths} == {8, 16, 32, 64, 128, 256}
    assert {one.kind for one in map(_architecture, _drawn(ArchitectureSpace(kinds=("mlp",)), 20))} == {"mlp"}


@pytest.mark.parametrize(("phase", "gpu"), [*itertools.product(Phase, (False, True))])
def test_every_choice_of_a_stack_is_a_technique_with_options_that_it_has(phase: Phase, gpu: bool) -> None:
    for choices in _stack(phase, gpu=gpu).slots.values():
        assert choices[0] == OFF
        for spec in specs(tuple(choices[1:]), epochs=3):
            registry.create(spec)


def test_a_stack_takes_at_most_one_choice_from_each_slot_and_can_be_plain() -> None:
    space = StackSpace(slots={"one": [OFF, "a", "b"], "other": [OFF, "c"]})
    assert set(_drawn(space, 80)) == {(), ("a",), ("b",), ("c",), ("a", "c"), ("b", "c")}


def test_phase_machine_and_user_decide_what_is_offered() -> None:
    answers, learning = _stack(Phase.INFERENCE).slots, _stack(Phase.TRAINING).slots
    assert "examples" not in answers
    assert set(learning) - set(answers) == {"examples", "early-stopping"}
    assert {"amp", "compile"} <= set(_stack(Phase.INFERENCE, gpu=True).slots)
    assert {"amp", "compile"}.isdisjoint(answers)
    # Integer kernels answer on the CPU.
    assert not any("static" in choice for choice in _stack(Phase.INFERENCE, gpu=True).slots["quantization"])
    few = _stack(Phase.TRAINING, leave_out=("coreset", "pruning")).slots
    assert "pruning" not in few
    assert [choice.split(",")[0] for choice in few["examples"]] == [OFF, "infobatch"]
    assert stack_space(Phase.INFERENCE, model="mlp", installed=[], gpu=False).slots == {}


def test_a_teacher_learns_as_long_as_its_student() -> None:
    (spec,) = specs((_stack(Phase.INFERENCE).slots["distillation"][1],), epochs=7)
    assert registry.create(spec).options()["teacher_epochs"] == 7
