"""torch.compile: the model as one compiled graph instead of operation after operation, with CUDA graphs on request.

What must hold: the compiled model equals the eager one up to rounding; where it cannot be compiled the run ends with an
error that says what is missing and never goes on uncompiled; which kernels run depends on a batch's size only, not on
the sizes before it, or a resumed run would round differently. Compilation costs seconds to minutes per graph and per
size: it pays in long trainings. Ansel et al., "PyTorch 2" (ASPLOS 2024); CUDA graphs: Nguyen et al., "Accelerating
PyTorch with CUDA Graphs" (PyTorch blog, 2021).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch._dynamo.exc import TorchDynamoException

from frugal.errors import TechniqueError
from frugal.run import Run
from frugal.technique import Batch, Claim, Forward, Stage, Technique

MODES = ("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs")
CUDA_GRAPH_MODES = ("reduce-overhead", "max-autotune")
INDUCTOR = "inductor"


@dataclass(frozen=True)
class Compile(Technique):
    """Compiles the model.

    Attributes:
        mode: default, reduce-overhead (CUDA graphs), max-autotune (these and measured kernels, slow to compile), or
            max-autotune-no-cudagraphs.
        fullgraph: Refuse a model that does not compile in one piece. Turned off, its pieces run compiled, the rest not.
        dynamic: One graph for batches of every size. Turned off, each size gets a graph of its own: somewhat faster,
            but more than a few sizes are refused.
        backend: inductor; eager and aot_eager compile nothing and help to find what fails.
    """

    mode: str = "default"
    fullgraph: bool = True
    dynamic: bool = True
    backend: str = INDUCTOR

    name = "compile"
    stage = Stage.EXECUTION
    claims = frozenset({Claim.COMPILER})

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise TechniqueError(f"compile: mode={self.mode!r}: use one of {', '.join(MODES)}")
        known = torch.compiler.list_backends(exclude_tags=())
        if self.backend not in known:
            raise TechniqueError(f"compile: backend={self.backend!r}: use one of {', '.join(known)}")
        if self.backend != INDUCTOR and self.mode != "default":
            raise TechniqueError(f"compile: mode={self.mode!r}: modes are inductor's; leave out mode or backend")

    def build_model(self, run: Run, model: nn.Module) -> nn.Module:
        """See `Technique.build_model`."""
        if self.mode in CUDA_GRAPH_MODES and run.device.type != "cuda":
            # torch would quietly do without.
            raise TechniqueError(
                f"compile: mode={self.mode!r}: CUDA graphs need a CUDA GPU, this run is on {run.device.type!r}: "
                "use mode=default or mode=max-autotune-no-cudagraphs"
            )
        return model

    def wrap_forward(self, run: Run, forward: Forward) -> Forward:
        """See `Technique.wrap_forward`."""
        # What earlier models of this process left would count against the number of graphs that torch allows.
        torch.compiler.reset()
        compiled: Forward = torch.compile(
            forward,
            mode=None if self.backend != INDUCTOR else self.mode,
            fullgraph=self.fullgraph,
            dynamic=None if self.dynamic else False,
            backend=self.backend,
        )

        def call(inputs: Tensor) -> Tensor:
            if self.dynamic:
                # From the first batch on: torch by itself begins with a graph for its size alone, which later batches
                # of that size may or may not get, depending on what came between.
                torch._dynamo.maybe_mark_dynamic(inputs, 0)
            if self._uses_cuda_graphs and not torch.is_grad_enabled():
                torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
            try:
                outputs = compiled(inputs)
            except TorchDynamoException as error:
                raise self._refusal(error) from error
            # A CUDA graph writes every result to the same place.
            return outputs.clone() if self._uses_cuda_graphs else outputs

        return call

    def transform_batch(self, run: Run, batch: Batch) -> Batch:
        """See `Technique.transform_batch`."""
        if self._uses_cuda_graphs:
            # Once a step and not once a call: gradients of its micro-batches must stay until the last one.
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        return batch

    @property
    def _uses_cuda_graphs(self) -> bool:
        return self.mode in CUDA_GRAPH_MODES

    def _refusal(self, error: TorchDynamoException) -> TechniqueError:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        reason = " ".join(lines[:2]) or type(error).__name__  # the second says what the first is about
        return TechniqueError(
            f"compile: mode={self.mode!r}: the model cannot be compiled ({reason}): inductor needs a C++ compiler on "
            "the CPU (apt-get install g++) and Triton on a GPU; a model that does not compile in one piece needs "
            "fullgraph=false, one with many batch sizes dynamic=true; or leave compile out"
        )
