"""A process's place and device follow from what torchrun and the machine say."""

from __future__ import annotations

import pytest
import torch

from frugal.distributed import World, choose_device
from frugal.errors import ConfigError


def test_alone_without_torchrun() -> None:
    assert World.from_environment({}) == World()
    assert World().is_main


def test_place_given_by_torchrun() -> None:
    environ = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}
    assert World.from_environment(environ) == World(rank=3, size=4, local_rank=1, local_size=2)


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: request.param > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: request.param)


@pytest.mark.parametrize(
    ("gpus", "wanted", "local_rank", "device"),
    [
        (0, "auto", 0, "cpu"),
        (2, "auto", 1, "cuda:1"),
        (2, "cpu", 1, "cpu"),
        (1, "auto", 0, "cpu"),
        (2, "cuda", 0, "cuda:0"),
    ],
    indirect=["gpus"],
)
@pytest.mark.usefixtures("gpus")
def test_device(wanted: str, local_rank: int, device: str) -> None:
    assert choose_device(wanted, World(rank=local_rank, size=2, local_rank=local_rank, local_size=2)) == torch.device(
        device
    )


@pytest.mark.parametrize("gpus", [1], indirect=True)
@pytest.mark.usefixtures("gpus")
def test_missing_gpu_is_an_error_only_if_asked_for() -> None:
    with pytest.raises(ConfigError, match=r"process 1 of this node finds 1 CUDA GPUs: request one nvidia\.com/gpu"):
        choose_device("cuda", World(rank=1, size=2, local_rank=1, local_size=2))
