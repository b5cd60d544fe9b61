"""Networks by their options: they build for images of any size, cost what their layers cost, and train."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from frugal import models, registry
from frugal.costs.flops import measure
from frugal.errors import TechniqueError
from frugal.methods.activations import KINDS
from frugal.techniques.architecture import Architecture
from frugal.techniques.distillation import Distillation
from frugal.techniques.pruning import Pruning

from ..builders import config, train, weights
from .resuming import assert_resumes

SHAPE = (1, 28, 28)


def _text(numbers: list[int]) -> str:
    return "-".join(map(str, numbers))


@st.composite
def _architectures(draw: st.DrawFn) -> Architecture:
    layers = draw(st.integers(1, 5))
    widths = _text(draw(st.lists(st.integers(1, 9), min_size=layers, max_size=layers)))
    activation = draw(st.sampled_from(sorted(KINDS)))
    if draw(st.booleans()):
        return Architecture(kind="mlp", widths=widths, activation=activation)
    strides = _text(draw(st.lists(st.integers(1, 2), min_size=layers, max_size=layers)))
    return Architecture(
        widths=widths,
        strides=draw(st.sampled_from(["", strides])),
        kernel=draw(st.sampled_from([1, 3, 5, 7])),
        separable=draw(st.booleans()),
        activation=activation,
    )


@settings(max_examples=40, deadline=None)
@given(_architectures(), st.sampled_from([(1, 1, 1), (1, 8, 8), (3, 9, 13), (1, 28, 28)]))
def test_every_permitted_setting_answers_for_images_of_any_size(
    architecture: Architecture, shape: tuple[int, int, int]
) -> None:
    model = architecture.build(shape, 7)
    assert model(torch.zeros(2, *shape)).shape == (2, 7)


def test_defaults_have_the_layers_of_the_plain_cnn() -> None:
    built = Architecture(strides="1-2-1").build(SHAPE, 10)
    assert [str(layer) for layer in built] == [str(layer) for layer in models.build("cnn", SHAPE, 10).children()]


def test_without_strides_all_but_the_first_layer_halve_the_image() -> None:
    convolutions = [layer for layer in Architecture().build(SHAPE, 10) if isinstance(layer, nn.Conv2d)]
    assert [layer.stride for layer in convolutions] == [(1, 1), (2, 2), (2, 2)]


@pytest.mark.parametrize(
    ("cheaper", "than"),
    [
        (Architecture(widths="8-16-32"), Architecture()),
        (Architecture(separable=True), Architecture()),
        (Architecture(widths="16-32", strides="1-2"), Architecture(widths="16-32-64", strides="1-2-1")),
        (Architecture(kind="mlp", widths="32"), Architecture(kind="mlp", widths="128-64")),
    ],
)
def test_smaller_has_fewer_flops_bytes_and_parameters(cheaper: Architecture, than: Architecture) -> None:
    small, large = (measure(one.build(SHAPE, 10), SHAPE) for one in (cheaper, than))
    assert small.flops < large.flops
    assert small.bytes < large.bytes
    assert small.parameters < large.parameters


def test_strides_make_an_answer_cheaper_and_the_model_no_smaller() -> None:
    early, late = (measure(Architecture(strides=s).build(SHAPE, 10), SHAPE) for s in ("2-2-1", "1-1-2"))
    assert early.flops < late.flops / 3
    assert early.parameters == late.parameters


def test_separable_convolutions_cost_what_their_two_steps_cost() -> None:
    model = Architecture(widths="4-6", strides="1-1", separable=True).build((1, 8, 8), 10)
    whole, apart, mixed = (4 * 1 * 9, 4 * 9, 4 * 6)
    assert measure(model, (1, 8, 8)).flops == 2 * (64 * (whole + apart + mixed) + 6 * 10)


def test_trains_in_the_place_of_the_model_and_tells_its_cost(tmp_path: Path) -> None:
    result = train(config(tmp_path, epochs=12, lr=0.01, model="mlp"), [Architecture(widths="8-16")])
    assert weights(tmp_path)["0.weight"].shape == (8, 1, 3, 3)
    figures = result.techniques["architecture"]
    expected = measure(Architecture(widths="8-16").build((1, 4, 4), 4), (1, 4, 4))
    assert figures == {"parameters": expected.parameters, "bytes": expected.bytes, "flops": expected.flops}
    assert result.parameters == expected.parameters
    assert result.best_val_accuracy is not None
    assert result.best_val_accuracy > 0.6  # a guess is right once in four


def test_resumes_with_pruning_of_its_channels(tmp_path: Path) -> None:
    whole = assert_resumes(
        tmp_path,
        lambda: [Architecture(widths="8-8", activation="hardswish"), Pruning(structure="channels", rounds=3)],
        step=9,
    )
    figures = whole.techniques["pruning"]
    assert int(str(figures["flops_after"])) < int(str(figures["flops_before"]))


def test_is_a_student_and_can_be_a_teacher(tmp_path: Path) -> None:
    train(config(tmp_path / "teacher"), [Architecture(kind="mlp", widths="32", activation="silu")])
    student = train(
        config(tmp_path / "student"),
        [Architecture(kind="mlp", widths="4"), Distillation(teacher=str(tmp_path / "teacher"))],
    )
    assert student.parameters == 16 * 4 + 4 + 4 * 4 + 4


def test_refuses_a_second_technique_that_decides_the_model() -> None:
    class Another(Architecture):
        name = "another"

    with pytest.raises(TechniqueError, match="'architecture' and 'another' both decide the model"):
        train(config(), [Architecture(), Another()])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("kind=transformer", "kind='transformer': use one of cnn, mlp"),
        ("widths=16--32", "widths='16--32': use at most 12 whole numbers from 1 to 4096"),
        ("widths=0", "widths='0': use at most 12"),
        ("widths=1-1-1-1-1-1-1-1-1-1-1-1-1", "use at most 12 whole numbers"),
        ("strides=1-2", "strides='1-2': name as many strides as widths=16-32-64 has layers"),
        ("strides=1-2-3", "strides='1-2-3': use at most 12 whole numbers from 1 to 2"),
        ("kernel=4", "kernel=4: use an odd number"),
        ("activation=tanh", "activation='tanh': use one of relu"),
        ("dropout=1", "dropout=1.0: use a share"),
        ("kind=mlp,separable=true", "kind='mlp': strides, kernel and separable are for kind=cnn"),
    ],
)
def test_refuses_what_cannot_be_built(options: str, message: str) -> None:
    with pytest.raises(TechniqueError, match=message):
        registry.create(f"architecture,{options}")
