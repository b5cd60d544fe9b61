"""Loss and accuracy of a model over a part of the data, shared out over the processes.

Every process sees every n-th example and the sums are added up, so the result is that of one process (up to rounding).
"""

from __future__ import annotations

from itertools import chain

import torch
from torch import Tensor, nn
from torch.nn import functional

from frugal.data import Examples
from frugal.run import Run
from frugal.technique import Evaluation, Forward

BATCH = 512


def evaluate(run: Run, examples: Examples) -> Evaluation:
    """The model in training, judged on ``examples``."""
    run.world.share_buffers(run.model)
    was_training = run.model.training
    run.model.eval()
    try:
        with run.techniques.forward_context(run):
            return _evaluate(run, examples, run.eval_forward, run.device)
    finally:
        run.model.train(was_training)


def evaluate_deployed(run: Run, model: nn.Module, examples: Examples) -> Evaluation:
    """The finished model, where its weights are and at its own precision."""
    model.eval()
    tensor: Tensor | None = next(chain(model.parameters(), model.buffers()), None)
    return _evaluate(run, examples, model, torch.device("cpu") if tensor is None else tensor.device)


@torch.no_grad()
def _evaluate(run: Run, examples: Examples, forward: Forward, device: torch.device) -> Evaluation:
    sums = torch.zeros(3, dtype=torch.float64)  # loss, correct, examples
    mine = torch.arange(len(examples))[run.world.rank :: run.world.size]
    for indices in filter(len, torch.split(mine, BATCH)):  # fewer examples than processes leave some without
        inputs, labels = examples.batch(indices, device)
        outputs = forward(inputs).float()
        losses = functional.cross_entropy(outputs, labels, reduction="none")
        correct = (outputs.argmax(dim=1) == labels).sum()
        sums += torch.stack([losses.double().sum(), correct.double(), correct.new_tensor(len(labels)).double()]).cpu()
    loss, correct_total, count = run.world.sum(sums).tolist()
    return Evaluation(loss=loss / count, accuracy=correct_total / count, samples=int(count))
