"""torch.compile: the compiled training equals the eager one, or the run is refused; it is never quietly eager."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch._dynamo
import torch.distributed as dist
from torch import Tensor, nn

from frugal import registry
from frugal.composition import Composition
from frugal.distributed import World
from frugal.errors import TechniqueError
from frugal.run import Run
from frugal.technique import Claim, Stage, Technique
from frugal.techniques.accumulation import Accumulation
from frugal.techniques.channels_last import ChannelsLast
from frugal.techniques.compile import Compile
from frugal.techniques.distillation import Distillation
from frugal.trainer import Trainer

from ..builders import blobs, config, same, train, weights
from ..toys import NoDropout
from .resuming import assert_resumes

COMPILER = os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++")
needs_compiler = pytest.mark.skipif(not COMPILER, reason="inductor on the CPU needs a C++ compiler, and there is none")
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA graphs need a CUDA GPU, and there is none")


@pytest.fixture
def backend() -> Iterator[Callable[[Callable[..., Any]], str]]:
    """Registers a compiler for the time of a test, and gives its name."""
    names: list[str] = []

    def register(compiler: Callable[..., Any]) -> str:
        names.append(f"for-a-test-{len(names)}")
        torch._dynamo.register_backend(compiler, names[-1])
        return names[-1]

    yield register
    for name in names:
        torch._dynamo.backends.registry._BACKENDS.pop(name)
        torch._dynamo.backends.registry._COMPILER_FNS.pop(name)


class _Talking(Technique):
    """A model that does something in its forward pass that cannot be part of a graph."""

    name = "talking"
    stage = Stage.ARCHITECTURE

    def build_model(self, run: Run, model: nn.Module) -> nn.Module:
        class Talk(nn.Module):
            def forward(self, inputs: Tensor) -> Tensor:
                torch._dynamo.graph_break()
                return inputs

        return nn.Sequential(Talk(), model)


@pytest.mark.parametrize(("dynamic", "graphs"), [(True, 2), (False, 3)])
def test_graphs_depend_on_sizes_alone(backend: Callable[..., str], dynamic: bool, graphs: int) -> None:
    """Training has batches of 16 and 5, evaluation one of 40: a graph for each mode, or for each size."""
    made = []

    def counting(graph: Any, inputs: Any) -> Any:
        made.append(graph)
        return graph.forward

    for _ in range(2):  # a second run in the same process gets its own
        made.clear()
        train(config(epochs=1), [Compile(backend=backend(counting), dynamic=dynamic)])
        assert len(made) == graphs


def test_a_compiler_that_fails_ends_the_run(backend: Callable[..., str]) -> None:
    def broken(graph: Any, inputs: Any) -> Any:
        raise RuntimeError("no cc1plus")

    with pytest.raises(TechniqueError, match=r"cannot be compiled \(.*no cc1plus.*apt-get install g\+\+"):
        train(config(), [Compile(backend=backend(broken))])


def test_a_model_in_pieces_is_refused_unless_allowed(tmp_path: Path) -> None:
    with pytest.raises(TechniqueError, match=r"cannot be compiled .*graph_break.* needs fullgraph=false"):
        train(config(), [_Talking(), Compile(backend="eager")])
    train(config(tmp_path / "pieces"), [_Talking(), Compile(backend="eager", fullgraph=False)])
    train(config(tmp_path / "eager"), [_Talking()])
    assert same(weights(tmp_path / "pieces"), weights(tmp_path / "eager"))


@pytest.fixture
def gang(tmp_path: Path) -> Iterator[World]:
    """The first of two processes, as far as the trainer can tell; the second one's gradients are nowhere."""
    dist.init_process_group("gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1)
    yield World(size=2)
    dist.destroy_process_group()


def test_the_exchange_of_gradients_stays_outside_of_the_graph(gang: World) -> None:
    """DistributedDataParallel cannot be compiled in one piece: the model within it is."""
    techniques: list[list[Technique]] = [
        [NoDropout()],
        [NoDropout(), Compile(backend="eager"), Accumulation(micro_batches=3)],
    ]
    plain, compiled = (Trainer(config(epochs=1), some, data=blobs(), world=gang).train() for some in techniques)
    assert compiled.val_loss == pytest.approx(plain.val_loss)


def test_hint_layers_are_seen_through_the_graph(tmp_path: Path) -> None:
    def teaching() -> Distillation:
        return Distillation("mlp", teacher_epochs=1, hint_weight=1)

    train(config(tmp_path / "compiled", epochs=1), [Compile(backend="eager"), teaching()])
    train(config(tmp_path / "eager", epochs=1), [teaching()])
    assert same(weights(tmp_path / "compiled"), weights(tmp_path / "eager"))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("mode=fast", "mode='fast': use one of default, reduce-overhead"),
        ("backend=gcc", "backend='gcc': use one of .*inductor"),
        ("backend=eager,mode=max-autotune", "mode='max-autotune': modes are inductor's"),
    ],
)
def test_refuses_options(spec: str, message: str) -> None:
    with pytest.raises(TechniqueError, match=message):
        registry.create(f"compile,{spec}")


@pytest.mark.parametrize("mode", ["reduce-overhead", "max-autotune"])
def test_refuses_cuda_graphs_on_the_cpu(mode: str) -> None:
    with pytest.raises(TechniqueError, match=f"mode='{mode}': CUDA graphs need a CUDA GPU, this run is on 'cpu'"):
        train(config(), [Compile(mode)])


def test_is_the_only_compiler() -> None:
    class Other(Technique):
        name = "other"
        stage = Stage.EXECUTION
        claims = frozenset({Claim.COMPILER})

    with pytest.raises(TechniqueError, match="both decide the compiler"):
        Composition([Compile(), Other()])


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize("layout", [[], [ChannelsLast()]], ids=["default", "channels-last"])
def test_compiled_training_equals_eager(tmp_path: Path, layout: list[Technique]) -> None:
    eager = train(config(tmp_path / "eager", model="cnn"), [NoDropout()])
    compiled = train(config(tmp_path / "compiled", model="cnn"), [NoDropout(), *layout, Compile()])
    assert compiled.val_loss == pytest.approx(eager.val_loss, rel=1e-4)
    for one, other in zip(weights(tmp_path / "eager").values(), weights(tmp_path / "compiled").values(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize("step", [6, 7])
def test_resumes_compiled(tmp_path: Path, step: int) -> None:
    """Before and after the batch that is shorter than the others."""
    assert_resumes(tmp_path, lambda: [Compile()], step=step, epochs=2)


@needs_compiler
@pytest.mark.slow
def test_missing_compiler_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from torch._inductor import config as inductor
    from torch._inductor.utils import fresh_cache

    monkeypatch.setattr(inductor.cpp, "cxx", ("/nowhere/g++",))
    missing = r"cannot be compiled \(.*(CxxCompiler|nowhere).*apt-get install g\+\+"
    with fresh_cache(), pytest.raises(TechniqueError, match=missing):
        train(config(), [Compile()])


@needs_cuda
@pytest.mark.slow
def test_cuda_graphs_equal_eager(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"model": "cnn", "device": "cuda"}
    eager = train(config(tmp_path / "eager", **settings), [NoDropout()])
    graphs = train(config(tmp_path / "graphs", **settings), [NoDropout(), Compile("reduce-overhead")])
    assert graphs.val_loss == pytest.approx(eager.val_loss, rel=1e-3)
