"""Techniques are ordered by stage and refused where they exclude each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import pytest
from torch import Tensor, nn

from frugal.composition import Composition
from frugal.errors import ConfigError, TechniqueError
from frugal.run import Run
from frugal.technique import Claim, Stage, Technique

from .builders import config, train
from .toys import Accumulation, Smoothing


class Tracing(Technique):
    """Notes the calls of its hooks."""

    calls: ClassVar[list[str]] = []
    stage = Stage.LOSS

    def __init__(self, name: str, stage: Stage) -> None:
        self.name = name  # type: ignore[misc]
        self.stage = stage  # type: ignore[misc]

    def build_model(self, run: Run, model: nn.Module) -> nn.Module:
        self.calls.append(f"{self.name}.build_model")
        return model

    def backward(self, run: Run, loss: Tensor, proceed: Callable[[Tensor], None]) -> None:
        self.calls.append(f"{self.name}.backward>")
        proceed(loss)
        self.calls.append(f"<{self.name}.backward")

    def update(self, run: Run, proceed: Callable[[], None]) -> None:
        self.calls.append(f"{self.name}.update>")
        proceed()
        self.calls.append(f"<{self.name}.update")


def test_stages_order_hooks_whatever_the_user_wrote_first() -> None:
    Tracing.calls.clear()
    train(config(epochs=1, batch_size=101), [Tracing("b", Stage.PRECISION), Tracing("a", Stage.WEIGHTS)])
    assert Tracing.calls == [
        "a.build_model",
        "b.build_model",
        "a.backward>",
        "b.backward>",
        "<b.backward",
        "<a.backward",
        "a.update>",
        "b.update>",
        "<b.update",
        "<a.update",
    ]


def test_the_users_order_holds_within_a_stage() -> None:
    names = [t.name for t in Composition([Tracing("b", Stage.LOSS), Tracing("a", Stage.LOSS)])]
    assert names == ["b", "a"]


def test_two_that_decide_the_same_are_refused() -> None:
    class Focal(Technique):
        name = "focal"
        stage = Stage.LOSS
        claims = frozenset({Claim.CRITERION})

    with pytest.raises(TechniqueError, match="'smoothing' and 'focal' both decide the criterion: leave one out"):
        train(config(), [Smoothing(), Focal()])


def test_named_exclusion_works_from_either_side() -> None:
    class Lonely(Technique):
        name = "lonely"
        stage = Stage.DATA
        excludes = frozenset({"accumulation"})

    for techniques in ([Lonely(), Accumulation()], [Accumulation(), Lonely()]):
        with pytest.raises(TechniqueError, match="'lonely' cannot be combined with 'accumulation'"):
            Composition(techniques)


def test_the_same_twice_is_refused() -> None:
    with pytest.raises(TechniqueError, match="'smoothing' is given twice"):
        Composition([Smoothing(0.1), Smoothing(0.2)])


def test_technique_may_refuse_a_configuration() -> None:
    class Picky(Technique):
        name = "picky"
        stage = Stage.EXECUTION

        def check(self, config: object) -> None:
            raise ConfigError("batch_size", 16, "use a multiple of 32")

    with pytest.raises(ConfigError, match="use a multiple of 32"):
        train(config(), [Picky()])
