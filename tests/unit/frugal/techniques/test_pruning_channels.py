"""Pruned channels are cut out: the finished model is smaller and answers as the masked one did."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from frugal.costs.flops import measure
from frugal.errors import TechniqueError
from frugal.run import Run
from frugal.technique import Stage, Technique
from frugal.techniques.pruning import Pruning

from ..builders import config, train
from .watch import Watch


@pytest.mark.parametrize("scope", ["global", "layer"])
@pytest.mark.parametrize("model", ["mlp", "cnn"])
def test_finished_model_is_smaller_and_equal(model: str, scope: str) -> None:
    watch = Watch()
    result = train(config(model=model), [Pruning(structure="channels", sparsity=0.5, scope=scope), watch])

    inputs = torch.randn(50, 1, 4, 4, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        masked, cut = watch.trained(inputs), watch.finished(inputs)
    torch.testing.assert_close(cut, masked, rtol=1e-5, atol=1e-6)

    before, after = measure(watch.trained, (1, 4, 4)), measure(watch.finished, (1, 4, 4))
    assert after.parameters < 0.6 * before.parameters
    assert after.bytes < 0.6 * before.bytes
    assert after.flops < 0.6 * before.flops
    assert result.techniques["pruning"] == {
        "sparsity": 0.5,
        "nonzero_parameters": after.nonzero,
        "parameters_before": before.parameters,
        "parameters_after": after.parameters,
        "bytes_before": before.bytes,
        "bytes_after": after.bytes,
        "flops_before": before.flops,
        "flops_after": after.flops,
    }


def test_each_layer_loses_its_share() -> None:
    watch = Watch()
    train(config(), [Pruning(structure="channels", sparsity=0.75, scope="layer"), watch])
    assert isinstance(watch.finished, nn.Sequential)
    assert [layer.out_features for layer in watch.finished if isinstance(layer, nn.Linear)] == [32, 16, 4]


def test_no_layer_loses_all() -> None:
    watch = Watch()
    result = train(config(), [Pruning(structure="channels", sparsity=0.999), watch])
    assert isinstance(watch.finished, nn.Sequential)
    assert [layer.out_features for layer in watch.finished if isinstance(layer, nn.Linear)] == [1, 1, 4]
    assert result.techniques["pruning"]["sparsity"] == (128 + 64 - 2) / (128 + 64)


def test_model_that_is_no_chain_is_refused_before_training() -> None:
    class Softplus(Technique):
        name = "softplus"
        stage = Stage.ARCHITECTURE

        def build_model(self, run: Run, model: nn.Module) -> nn.Module:
            assert isinstance(model, nn.Sequential)
            return nn.Sequential(*(nn.Softplus() if isinstance(layer, nn.ReLU) else layer for layer in model))

    watch = Watch()
    with pytest.raises(TechniqueError, match=r"layer '2' \(Softplus\) is not known to .* turn zeros into zeros"):
        train(config(), [Pruning(structure="channels"), Softplus(), watch])
    assert not watch.weights
    train(config(epochs=1), [Pruning(), Softplus()])
