"""The published networks are those where they are defined, and fit smaller images without mixing examples."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torchvision.ops import StochasticDepth  # type: ignore[import-untyped]

from frugal import catalog, models
from frugal.costs.flops import measure
from frugal.data import load_digits
from frugal.models.published import group_norm
from frugal.run import Run
from frugal.technique import Stage, Technique
from frugal.techniques.accumulation import Accumulation

from ..builders import config, train, weights
from ..techniques.resuming import assert_resumes
from ..techniques.watch import Momentum

PUBLISHED = [name for name, reference in catalog.MODELS.items() if "published" in reference]
SMALL = [*PUBLISHED, "vit"]


@pytest.mark.parametrize(
    ("name", "parameters", "gigaflops"),
    [
        # Parameters (to the number) and billions of multiply-adds that torchvision tells of its trained weights.
        ("squeezenet", 1_235_496, 0.349),
        ("mobilenet-v2", 3_504_872, 0.301),
        ("mobilenet-v3-small", 2_542_856, 0.057),
        ("efficientnet-b0", 5_288_548, 0.386),
        # TensorFlow's table of MobileNetV2 says 1.66 M and 59 M; torchvision rounds some widths otherwise.
        ("mobilenet-v2-035", 1_677_128, 0.059),
    ],
)
def test_at_the_published_size_it_costs_what_was_published(name: str, parameters: int, gigaflops: float) -> None:
    cost = measure(models.build(name, (3, 224, 224), classes=1000), (3, 224, 224))
    assert cost.parameters == parameters
    assert cost.flops / 2e9 == pytest.approx(gigaflops, abs=0.0006)


def _last_map(model: nn.Module, shape: models.Shape) -> tuple[int, ...]:
    features = model.get_submodule("features")
    with torch.no_grad():
        return tuple(features(torch.zeros(1, *shape)).shape[2:])


@pytest.mark.parametrize("name", ["squeezenet", "mobilenet-v2-035", "mobilenet-v3-small", "efficientnet-b0"])
@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32)])
def test_a_small_image_keeps_a_map_of_some_pixels_to_the_end(name: str, shape: models.Shape) -> None:
    model = models.build(name, shape, classes=10).eval()
    assert model(torch.zeros(2, *shape)).shape == (2, 10)
    assert all(3 <= side <= 4 for side in _last_map(model, shape))


@pytest.mark.parametrize("name", SMALL)
def test_an_example_is_answered_alike_whatever_shares_its_batch_in_training_too(name: str) -> None:
    torch.manual_seed(0)
    model = NoDraws().build_model(None, models.build(name, (1, 8, 8), classes=3)).train()  # type: ignore[arg-type]
    examples = torch.randn(3, 1, 8, 8)
    with torch.no_grad():
        together = model(examples)
        alone = torch.cat([model(example[None]) for example in examples])
    torch.testing.assert_close(together, alone, rtol=1e-3, atol=1e-4)
    assert together.std() > 1e-3 or name == "vit", "answers that differ, or nothing is shown"
    assert not list(model.buffers()), "nothing is learned beside weights"


def test_accumulated_micro_batches_equal_the_large_batch(tmp_path: Path) -> None:
    for name, parts in (("large", []), ("parts", [Accumulation(micro_batches=5)])):
        settings = config(tmp_path / name, model="mobilenet-v3-small", epochs=1, batch_size=32)
        train(settings, [NoDraws(), Momentum(), *parts])
    large, accumulated = weights(tmp_path / "large"), weights(tmp_path / "parts")
    assert large.keys() == accumulated.keys()
    for key, value in large.items():
        torch.testing.assert_close(value, accumulated[key], rtol=1e-2, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in SMALL if name != "mobilenet-v2"])  # its narrow twin stands for it
def test_learns_to_tell_two_digits_apart(name: str) -> None:
    def two(part: object) -> tuple[Tensor, Tensor]:
        labels: Tensor = part.labels  # type: ignore[attr-defined]
        chosen = labels < 2
        return part.inputs[chosen], labels[chosen]  # type: ignore[attr-defined]

    digits = load_digits(Path("/nowhere"))
    (inputs, labels), (unseen, expected) = two(digits.train), two(digits.validation)
    torch.manual_seed(0)
    model = models.build(name, digits.shape, classes=2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-4)
    for _ in range(32):
        batch = torch.randperm(len(inputs))[:8]
        optimizer.zero_grad()
        torch.autograd.backward(nn.functional.cross_entropy(model(inputs[batch]), labels[batch]))
        optimizer.step()
    with torch.no_grad():
        right = (model.eval()(unseen).argmax(dim=1) == expected).float().mean()
    assert right > 0.75


@pytest.mark.slow
@pytest.mark.parametrize("name", ["efficientnet-b0", "vit"])  # whole layers dropped at random; an attention of our own
def test_resumes_exactly(tmp_path: Path, name: str) -> None:
    assert_resumes(tmp_path, list, step=3, model=name, epochs=1)


@pytest.mark.parametrize(("channels", "groups"), [(8, 1), (16, 1), (24, 1), (88, 4), (96, 6), (576, 36)])
def test_groups_have_at_least_sixteen_channels_and_divide_them(channels: int, groups: int) -> None:
    assert group_norm(channels).num_groups == groups


@pytest.mark.slow
def test_torchvision_is_loaded_only_for_its_models() -> None:
    code = """if True:
        import sys
        from frugal import models
        models.build("cnn", (1, 8, 8), 10)
        assert "torchvision" not in sys.modules
        models.build("squeezenet", (1, 8, 8), 10)
        assert "torchvision" in sys.modules
    """
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(sys.path)})


class NoDraws(Technique):
    """Nothing is dropped at random, so that only the split of a batch can differ."""

    name = "no-draws"
    stage = Stage.ARCHITECTURE

    def build_model(self, run: Run, model: nn.Module) -> nn.Module:
        for module in model.modules():
            if isinstance(module, nn.Dropout | StochasticDepth):
                module.p = 0.0
        return model
