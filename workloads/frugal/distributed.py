"""The processes that train together, as torchrun describes them, and the few things they must agree on.

A `World` of one does everything locally, so callers never ask which case they are in. Control messages (stop requests,
checkpoint bytes, metrics) travel over gloo on the CPU in a group of their own, so that they never wait for a GPU.
Every method but `from_environment` is collective: all processes must call it, in the same order.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from frugal.errors import ConfigError

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class World:
    """This process's place among those that train together."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1
    control: Any = None  # a dist.ProcessGroup; None is the default one

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> World:
        """The place that torchrun assigned, or a world of one."""
        if "RANK" not in environ or "WORLD_SIZE" not in environ:
            return cls()
        return cls(
            rank=int(environ["RANK"]),
            size=int(environ["WORLD_SIZE"]),
            local_rank=int(environ.get("LOCAL_RANK", 0)),
            local_size=int(environ.get("LOCAL_WORLD_SIZE", 1)),
        )

    @property
    def is_main(self) -> bool:
        """Whether this process reports and saves for all."""
        return self.rank == 0

    def largest(self, value: int) -> int:
        """The largest of the processes' values."""
        if self.size == 1:
            return value
        agreed = torch.tensor([value], dtype=torch.int64)
        dist.all_reduce(agreed, op=dist.ReduceOp.MAX, group=self.control)
        return int(agreed.item())

    def sum(self, values: Tensor) -> Tensor:
        """The elementwise sum over the processes, on the CPU."""
        total = values.detach().cpu().clone()
        if self.size > 1:
            dist.all_reduce(total, group=self.control)
        return total

    def from_main(self, payload: bytes | None) -> bytes | None:
        """The main process's bytes, in every process."""
        if self.size == 1:
            return payload
        length = torch.tensor([-1 if payload is None else len(payload)], dtype=torch.int64)
        dist.broadcast(length, src=0, group=self.control)
        if length.item() < 0:
            return None
        buffer = torch.empty(int(length.item()), dtype=torch.uint8)
        if payload is not None and self.is_main:
            buffer.copy_(torch.frombuffer(bytearray(payload), dtype=torch.uint8))
        if buffer.numel():
            dist.broadcast(buffer, src=0, group=self.control)
        return bytes(buffer.numpy().tobytes())

    def gather(self, value: T) -> list[T]:
        """Every process's value by rank; empty in all but the main process."""
        if self.size == 1:
            return [value]
        values: list[Any] | None = [None] * self.size if self.is_main else None
        dist.gather_object(value, values, dst=0, group=self.control)
        return values or []

    def share_buffers(self, model: nn.Module) -> None:
        """Give every process the main process's buffers (running statistics), as evaluation needs the same model."""
        if self.size > 1:
            for buffer in model.buffers():
                dist.broadcast(buffer, src=0)

    def barrier(self) -> None:
        """Wait until every process is here."""
        if self.size > 1:
            dist.barrier(group=self.control)


def choose_device(wanted: str, world: World) -> torch.device:
    """The device of this process: its own GPU where there is one per process, else the CPU.

    Raises:
        ConfigError: CUDA was asked for and is not there.
    """
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if wanted == "cuda" and gpus <= world.local_rank:
        raise ConfigError(
            "device",
            wanted,
            f"process {world.local_rank} of this node finds {gpus} CUDA GPUs: request one nvidia.com/gpu per process, "
            "or use --device cpu",
        )
    if wanted == "cpu" or gpus < world.local_size:
        return torch.device("cpu")
    return torch.device("cuda", world.local_rank)


@contextmanager
def joined(world: World, device: torch.device) -> Iterator[World]:
    """The world, connected: nccl carries gradients between GPUs, gloo everything else.

    A process group that is there already is used and left as it is: several trainings may follow one another.
    """
    if world.size == 1:
        yield world
        return
    on_gpu = device.type == "cuda"
    ours = not dist.is_initialized()
    if on_gpu:
        torch.cuda.set_device(device)
    if ours:
        dist.init_process_group("nccl" if on_gpu else "gloo", device_id=device if on_gpu else None)
    yield replace(world, control=dist.new_group(backend="gloo") if on_gpu else None)
    # Not in a finally: after a failure the peers may be gone, and saying goodbye would hang.
    if ours:
        dist.destroy_process_group()
