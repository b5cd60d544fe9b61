"""Automatic mixed precision: matrix products in 16 bits, weights and sums in 32.

bf16 has the range of float32 and needs nothing more, on the GPU as on the CPU. fp16 has more digits and less range:
the loss is scaled up so that small gradients do not vanish, and a step whose gradients overflowed is skipped
(Micikevicius et al., "Mixed Precision Training", 2018; bf16: Kalamkar et al., 2019). The scaler's state is part of the
checkpoint.

What must hold: gradients are true to scale once this technique's `before_update` has run. Techniques of earlier stages
see them scaled: masking them there is fine, clipping belongs to a later stage. Processes see the same averaged
gradients, so all skip the same steps; the schedule goes on past a skipped step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor
from torch.amp import GradScaler

from frugal.errors import ConfigError, TechniqueError
from frugal.technique import Claim, Stage, Technique, Value

if TYPE_CHECKING:
    from torch.optim import Optimizer

    from frugal.config import TrainConfig
    from frugal.data import DataSplits
    from frugal.run import Run

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
FP8_CAPABILITY = (8, 9)  # NVIDIA Ada and Hopper, the first with matrix products of 8-bit floats


@dataclass
class Amp(Technique):
    """Trains and evaluates under autocast.

    Attributes:
        dtype: bf16, or fp16 (CUDA only).
        init_scale: What an fp16 run's losses are multiplied with at first; grows and shrinks as gradients allow.
        skipped: Steps that overflowed.
    """

    dtype: str = "bf16"
    init_scale: float = 2.0**16
    skipped: int = field(default=0, init=False)

    name = "amp"
    stage = Stage.PRECISION
    claims = frozenset({Claim.TRAINING_PRECISION})

    def __post_init__(self) -> None:
        if self.dtype not in (*DTYPES, "fp8"):
            raise TechniqueError(f"amp: dtype={self.dtype!r}: use one of {', '.join(DTYPES)}")
        if not 1 <= self.init_scale <= 2.0**24:
            raise TechniqueError(f"amp: init_scale={self.init_scale}: use a number from 1 to 2**24, such as 65536")
        self._scaler: GradScaler | None = None
        self._guarded: _Guarded | None = None

    def check(self, config: TrainConfig) -> None:
        """The CPU knows bf16 only: refused early where it was asked for by name."""
        if config.device == "cpu" and self.dtype != "bf16":
            raise ConfigError("device", config.device, _needs_more(self.dtype, "a CPU"))

    def prepare_data(self, run: Run, data: DataSplits) -> DataSplits:
        """The first hook that knows the device: refuse here what it cannot do."""
        refusal = why_not(self.dtype, run.device)
        if refusal is not None:
            raise TechniqueError(refusal)
        if self.dtype == "fp16":
            self._scaler = GradScaler(run.device.type, init_scale=self.init_scale)
        return data

    def forward_context(self, run: Run) -> AbstractContextManager[object]:
        """Autocast, in training and evaluation."""
        return torch.autocast(run.device.type, dtype=DTYPES[self.dtype])

    def backward(self, run: Run, loss: Tensor, proceed: Callable[[Tensor], None]) -> None:
        """Of the scaled loss."""
        proceed(loss if self._scaler is None else self._scaler.scale(loss))

    def before_update(self, run: Run) -> None:
        """The gradients of all micro-batches are there: scale them back."""
        if self._scaler is not None:
            self._guarded = _Guarded(run.optimizer)
            self._scaler.unscale_(self._guarded.as_optimizer())

    def update(self, run: Run, proceed: Callable[[], None]) -> None:
        """Skipped if gradients are infinite or no numbers."""
        if self._scaler is None or self._guarded is None:
            proceed()
            return
        self._guarded.proceed = proceed
        self._scaler.step(self._guarded.as_optimizer())
        self._scaler.update()
        self.skipped += not self._guarded.stepped
        self._guarded = None

    def results(self, run: Run) -> Mapping[str, Value]:
        """How the scaler fared."""
        if self._scaler is None:
            return {"dtype": self.dtype}
        return {"dtype": self.dtype, "scale": self._scaler.get_scale(), "skipped_steps": self.skipped}

    def state_dict(self) -> dict[str, Any]:
        """The scaler's, and the count."""
        return {"scaler": {} if self._scaler is None else self._scaler.state_dict(), "skipped": self.skipped}

    def load_state_dict(self, run: Run, state: dict[str, Any]) -> None:
        """Put both back."""
        self.skipped = state["skipped"]
        if self._scaler is not None:
            self._scaler.load_state_dict(state["scaler"])


class _Guarded:
    """An optimizer as a scaler sees it, whose step is the techniques' chain rather than the bare optimizer's."""

    def __init__(self, optimizer: Optimizer) -> None:
        self.param_groups = optimizer.param_groups
        self.proceed: Callable[[], None] | None = None
        self.stepped = False

    def step(self) -> None:
        """Called by the scaler only if all gradients are finite."""
        assert self.proceed is not None  # noqa: S101  # set by `update`, which is who calls the scaler
        self.proceed()
        self.stepped = True

    def as_optimizer(self) -> Optimizer:
        """For the type checker: the scaler uses no more than what is here."""
        return cast("Optimizer", self)


def why_not(dtype: str, device: torch.device) -> str | None:
    """Why ``device`` cannot train in ``dtype``, with the remedy; None if it can."""
    if device.type != "cuda":
        return None if dtype == "bf16" else _needs_more(dtype, "a CPU")
    name, capability = torch.cuda.get_device_name(device), torch.cuda.get_device_capability(device)
    if dtype == "fp8" and capability < FP8_CAPABILITY:
        return _needs_more(dtype, f"{name} of compute capability {capability[0]}.{capability[1]}")
    if dtype == "fp8":
        return f"amp,dtype=fp8: {name} has 8-bit floats, torch's autocast has none: use --with fp8"
    if dtype == "bf16" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return f"amp,dtype=bf16: {name} has no bf16 of its own: use --with amp,dtype=fp16"
    return None


def _needs_more(dtype: str, device: str) -> str:
    needed = {"fp8": "a GPU of compute capability 8.9 or later (Ada, Hopper)", "fp16": "a CUDA GPU"}[dtype]
    return f"amp,dtype={dtype} needs {needed}, this is {device}: use --with amp,dtype=bf16"
