"""Knowledge distillation: a small model learns from a big one's answers, or from its features, and from the labels.

Answers (logits): the student matches the teacher's softened probabilities; Hinton, Vinyals & Dean, "Distilling the
Knowledge in a Neural Network" (2015). Features (hint): a layer of the student, through a learned projection, matches a
layer of the teacher, as in FitNets (Romero et al., 2015), here at the same time as the answers. Per example,

    loss = (1 - weight) * loss before + weight * T^2 * KL(teacher / T || student / T) + hint_weight * hint
    hint = |projection(student's features) - teacher's features|^2 / |teacher's features|^2

What must hold: the teacher never changes; the projection is trained by an optimizer of its own and is no part of the
model, so neither checkpoints of the model nor what is deployed hold any of it. Nor does a loss scaler, which scales the
gradients of the model's parameters back and nobody else's: a hint is refused beside one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from frugal.data import DataSplits
from frugal.errors import TechniqueError
from frugal.evaluation import evaluate_deployed
from frugal.methods import teachers
from frugal.methods.features import Tap
from frugal.run import Run
from frugal.technique import Batch, Evaluation, Stage, Technique, Value

SMALLEST_SCALE = 1e-6  # of a hint: features that are all 0 teach nothing


@dataclass
class Distillation(Technique):
    """Learns from a teacher.

    Attributes:
        teacher: A model's name, trained first in this run, or the checkpoint folder of an earlier run.
        teacher_epochs: Passes over the data for a teacher trained in this run.
        temperature: How much the answers are softened; 1 leaves them as they are.
        weight: Share of the teacher's answers in the loss; the labels have the rest. 0 leaves answers out.
        hint_weight: Weight of the hint; 0 leaves it out, as amp,dtype=fp16 demands.
        student_layer: The student's layer that gets the hint, by its name in the model; by default what goes into its
            last linear layer.
        teacher_layer: The teacher's layer that gives it, likewise.
    """

    teacher: str = "cnn"
    teacher_epochs: int = 10
    temperature: float = 4.0
    weight: float = 0.9
    hint_weight: float = 0.0
    student_layer: str = ""
    teacher_layer: str = ""
    _teacher: nn.Module = field(init=False, repr=False)
    _teachers: Evaluation | None = field(default=None, init=False, repr=False)
    _hint: _Hint | None = field(default=None, init=False, repr=False)

    name = "distillation"
    stage = Stage.LOSS

    def __post_init__(self) -> None:
        teachers.check(self.teacher)
        if self.teacher_epochs < 1:
            raise TechniqueError(f"distillation: teacher_epochs={self.teacher_epochs}: use at least 1")
        if not 0 < self.temperature < float("inf"):
            raise TechniqueError(f"distillation: temperature={self.temperature}: use a number above 0, 2 to 10 say")
        if not 0 <= self.weight <= 1:
            raise TechniqueError(f"distillation: weight={self.weight}: use a share from 0 to 1")
        if not 0 <= self.hint_weight < float("inf"):
            raise TechniqueError(f"distillation: hint_weight={self.hint_weight}: use 0 or a positive number")
        if self.weight == self.hint_weight == 0:
            raise TechniqueError("distillation: weight=0: nothing is distilled: set weight or hint_weight above 0")

    def prepare_data(self, run: Run, data: DataSplits) -> DataSplits:
        """The first hook that sees the other techniques: refuse a loss scaler before a teacher is trained."""
        scaled = any(other.name == "amp" and other.options().get("dtype") == "fp16" for other in run.techniques)
        if self.hint_weight > 0 and scaled:
            raise TechniqueError(
                f"distillation: hint_weight={self.hint_weight} cannot be combined with amp,dtype=fp16, whose loss "
                "scaling would reach the hint's own optimizer: use hint_weight=0, or amp,dtype=bf16"
            )
        return data

    def build_model(self, run: Run, model: nn.Module) -> nn.Module:
        """Gets the teacher; the student stays as it is."""
        self._teacher = teachers.obtain(run, self.teacher, self.teacher_epochs)
        return model

    def wrap_forward(self, run: Run, forward: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        """Called whenever the run gets a model: the hint goes into that one."""
        before = self._hint
        if self.hint_weight > 0 and (before is None or before.student is not run.model):
            if before is not None:
                before.remove_from(run.model, self._teacher)
            self._hint = _Hint(run, run.model, self._teacher, self.student_layer, self.teacher_layer)
            if before is not None and before.widths == self._hint.widths:
                self._hint.load_state_dict(before.state_dict())
        return forward

    def start(self, run: Run) -> None:
        """See `Technique.start`."""
        self._teachers = evaluate_deployed(run, self._teacher, run.data.validation)

    def compute_losses(self, run: Run, batch: Batch, outputs: Tensor, losses: Tensor) -> Tensor:
        """See `Technique.compute_losses`."""
        with torch.no_grad():
            answers = self._teacher(batch.inputs)
        if self.weight > 0:
            losses = (1 - self.weight) * losses + self.weight * soft_losses(outputs, answers, self.temperature)
        if self._hint is not None:
            losses = losses + self.hint_weight * self._hint.losses()
        return losses

    def before_update(self, run: Run) -> None:
        """See `Technique.before_update`."""
        if self._hint is not None:
            self._hint.average_gradients(run)

    def update(self, run: Run, proceed: Callable[[], None]) -> None:
        """See `Technique.update`."""
        proceed()
        if self._hint is not None:
            self._hint.learn()

    def finish(self, run: Run, model: nn.Module) -> nn.Module:
        """The model as it is, without anything of ours on it."""
        if self._hint is not None:
            self._hint.remove_from(model, self._teacher)
        return model

    def results(self, run: Run) -> Mapping[str, Value]:
        """Sizes of teacher and student, and what the teacher achieves."""
        return {
            "teacher_parameters": _parameters(self._teacher),
            "student_parameters": _parameters(run.model),
            "teacher_val_accuracy": None if self._teachers is None else self._teachers.accuracy,
        }

    def state_dict(self) -> dict[str, Any]:
        """The teacher too: its folder may have changed, or be gone, when the run resumes."""
        return {
            "teacher": self._teacher.state_dict(),
            "hint": None if self._hint is None else self._hint.state_dict(),
        }

    def load_state_dict(self, run: Run, state: dict[str, Any]) -> None:
        """See `Technique.load_state_dict`."""
        self._teacher.load_state_dict(state["teacher"])
        if self._hint is not None:
            self._hint.load_state_dict(state["hint"])


def soft_losses(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Each example's distance of softened answers ``[n]`` from logits ``[n, classes]``: T^2 * KL(teacher || student).

    The factor keeps gradients at the scale of the labels' (Hinton et al., section 2).
    """
    divergence = functional.kl_div(
        (student.float() / temperature).log_softmax(dim=1),
        (teacher.float() / temperature).log_softmax(dim=1),
        reduction="none",
        log_target=True,
    )
    return temperature**2 * divergence.sum(dim=1)


class _Hint:
    """Compares a layer of the student, projected, with a layer of the teacher."""

    def __init__(
        self, run: Run, student: nn.Module, teacher: nn.Module, student_layer: str, teacher_layer: str
    ) -> None:
        self.student = student
        self._from_student = Tap(student, student_layer, "distillation: student_layer")
        self._from_teacher = Tap(teacher, teacher_layer, "distillation: teacher_layer")
        self.widths = self._from_student.width(run), self._from_teacher.width(run)
        # The same in every process, whatever each has drawn; and nobody's draws change.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(run.config.seed)
            self._projection = nn.Linear(*self.widths).to(run.device)
        self._optimizer = torch.optim.AdamW(self._projection.parameters(), lr=run.config.lr)

    def losses(self) -> Tensor:
        """Relative squared error of each example ``[n]``, from the latest pass of both models.

        Relative to the teacher's own features, so that the hint's weight means the same whatever their scale.
        """
        wanted = self._from_teacher.take().float()
        given: Tensor = self._projection(self._from_student.take()).float()
        scale = wanted.square().sum(dim=1).clamp_min(SMALLEST_SCALE)
        return (given - wanted).square().sum(dim=1) / scale

    def average_gradients(self, run: Run) -> None:
        """Over the processes: the projection is outside of the model whose gradients the trainer exchanges."""
        if run.world.size == 1:
            return
        for parameter in self._projection.parameters():
            if parameter.grad is not None:
                parameter.grad.copy_(run.world.sum(parameter.grad) / run.world.size)

    def learn(self) -> None:
        """One step, unless gradients overflowed, which the projection would never recover from."""
        gradients = [p.grad for p in self._projection.parameters() if p.grad is not None]
        if all(bool(gradient.isfinite().all()) for gradient in gradients):
            self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)

    def remove_from(self, model: nn.Module, teacher: nn.Module) -> None:
        """Leave no trace on ``model``, which is the student or was made of its layers, nor on the teacher."""
        self._from_student.remove_from(model)
        self._from_teacher.remove_from(teacher)

    def state_dict(self) -> dict[str, Any]:
        return {"projection": self._projection.state_dict(), "optimizer": self._optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._projection.load_state_dict(state["projection"])
        self._optimizer.load_state_dict(state["optimizer"])


def _parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())
