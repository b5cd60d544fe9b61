"""Early stopping: no more epochs once they no longer make the model better.

The trainer's own (``to=trainer``): after ``patience`` evaluations in a row without a better value, the run ends as a
success (Prechelt, "Early Stopping - But When?", 1998, on this rule and others).

The operator's (``to=operator``): the trainer never stops by itself, it only reports. In a TrainingJob's pod every
evaluation goes to the exporter beside it (`frugal.exporter_sink`), as ``val_loss`` and ``val_accuracy``. Where the
job's ``spec.earlyStopping.metric`` names one of them, the exporter numbers its values, and the operator judges them by
``spec.earlyStopping.policies`` (Patience is the same rule as here; others compare jobs, or weigh joules). Its verdict
arrives as SIGTERM: the trainer saves a checkpoint and exits with 143, and the job ends as EarlyStopped. So the rule
stands in the manifest only, and the options of this technique are refused.

What must hold: a resumed run stops after the same evaluation as an unbroken one. Evaluations are alike in all
processes, hence so are decisions.
"""

from __future__ import annotations

import copy
import logging
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from frugal.errors import TechniqueError
from frugal.exporter_sink import URL_VARIABLE
from frugal.technique import Evaluation, Stage, Technique, Value

if TYPE_CHECKING:
    from frugal.data import DataSplits
    from frugal.run import Run

log = logging.getLogger(__name__)

METRICS = ("val_loss", "val_accuracy")
DECIDERS = ("trainer", "operator")


@dataclass
class EarlyStopping(Technique):
    """Stops a run that no longer improves, or leaves that to the operator.

    Attributes:
        metric: val_loss, or val_accuracy (which gets better upwards).
        patience: Evaluations in a row, one an epoch, that may pass without a better value.
        min_delta: By more than how much a value must beat the best to count as better, in the metric's unit.
        restore_best: End with the weights of the best evaluation, also if the last epoch is reached. They are taken,
            and put back, in this technique's turn of `after_epoch`: what another one of stage CONTROL, named later,
            changes in its turn is not in what was kept. Its last change stands if its turn comes after the restoring,
            and is lost if it was that one which ended the run. Name it first, and what is kept has its change,
            which the evaluation had not seen; the finished model is judged anew in any case.
        to: Who decides: trainer or operator.
    """

    metric: str = "val_loss"
    patience: int = 5
    min_delta: float = 0.0
    restore_best: bool = False
    to: str = "trainer"

    name = "early-stopping"
    stage = Stage.CONTROL

    def __post_init__(self) -> None:
        if self.metric not in METRICS:
            raise TechniqueError(f"early-stopping: metric={self.metric!r}: use one of {', '.join(METRICS)}")
        if self.patience < 1:
            raise TechniqueError(f"early-stopping: patience={self.patience}: use a whole number of at least 1")
        if not 0 <= self.min_delta < math.inf:
            raise TechniqueError(f"early-stopping: min_delta={self.min_delta}: use 0 or a small positive number")
        if self.to not in DECIDERS:
            raise TechniqueError(f"early-stopping: to={self.to!r}: use one of {', '.join(DECIDERS)}")
        if self.to == "operator":
            self._refuse_options()
        self._best: float | None = None
        self._best_epoch = 0
        self._waited = 0
        self._stopped = False
        self._weights: dict[str, Tensor] | None = None  # of the best evaluation, until they are restored
        self._restored = False

    def prepare_data(self, run: Run, data: DataSplits) -> DataSplits:
        """The first hook that sees the other techniques: refuse what old weights would undo."""
        others = [technique.name for technique in run.techniques if technique.stage is Stage.WEIGHTS]
        if self.restore_best and others:
            raise TechniqueError(
                f"early-stopping: restore_best=true would bring back weights from before {others[0]!r} changed them: "
                "leave one out"
            )
        return data

    def start(self, run: Run) -> None:
        """Say so if nobody listens."""
        if self.to == "operator" and run.world.is_main and not os.environ.get(URL_VARIABLE):
            log.warning(
                "early-stopping,to=operator, but $%s is not set: no exporter hears of the evaluations, "
                "and nobody will stop this run",
                URL_VARIABLE,
            )

    def after_epoch(self, run: Run, evaluation: Evaluation) -> None:
        """Judge the evaluation."""
        if self.to == "operator":
            return
        value = evaluation.loss if self.metric == "val_loss" else evaluation.accuracy
        if self._is_better(value):
            self._best, self._best_epoch, self._waited = value, run.epoch + 1, 0
            if self.restore_best:
                self._weights = {name: tensor.detach().to("cpu", copy=True) for name, tensor in _state(run).items()}
        else:
            self._waited += 1
            if self._waited >= self.patience and run.stop_reason is None:
                self._stopped = True
                run.request_stop(
                    f"{self.metric} has not been better than {self._best} for {self._waited} evaluations"
                    if self._best is not None
                    else f"{self.metric} was never a number in {self._waited} evaluations"
                )
        if run.stop_reason is not None or run.epoch + 1 >= run.config.epochs:
            self._restore(run)

    def finish(self, run: Run, model: nn.Module) -> nn.Module:
        """Restored weights are not those that the last epoch's evaluation saw: a copy makes the trainer judge anew."""
        self._restore(run)  # if a technique after this one ended the run
        return copy.deepcopy(model) if self._restored and model is run.model else model

    def results(self, run: Run) -> Mapping[str, Value]:
        """What it decided, and how many epochs that spared."""
        if self.to == "operator":
            return {"to": self.to}
        return {
            "to": self.to,
            "stopped": self._stopped,
            "best": self._best,
            "best_epoch": self._best_epoch,
            "epochs_spared": run.config.epochs - run.epoch if self._stopped else 0,
            "restored": self._restored,
        }

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next verdict depends on."""
        return {
            "best": self._best,
            "best_epoch": self._best_epoch,
            "waited": self._waited,
            "stopped": self._stopped,
            "weights": self._weights,
            "restored": self._restored,
        }

    def load_state_dict(self, run: Run, state: dict[str, Any]) -> None:
        """Put it back."""
        self._best, self._best_epoch, self._waited = state["best"], state["best_epoch"], state["waited"]
        self._stopped, self._weights, self._restored = state["stopped"], state["weights"], state["restored"]

    def _is_better(self, value: float) -> bool:
        if not math.isfinite(value):
            return False
        if self._best is None:
            return True
        gain = self._best - value if self.metric == "val_loss" else value - self._best
        return gain > self.min_delta

    def _restore(self, run: Run) -> None:
        """In place and as soon as the run is known to end: techniques that finish the model come after."""
        if self._weights is None:
            return
        weights, self._weights = self._weights, None
        if {name: tensor.shape for name, tensor in weights.items()} != {
            name: tensor.shape for name, tensor in _state(run).items()
        }:
            log.warning("the model has changed its shape since its best evaluation: its last weights are kept")
            return
        run.model.load_state_dict(weights)
        self._restored = True

    def _refuse_options(self) -> None:
        for option in fields(self):
            value = getattr(self, option.name)
            if option.name != "to" and value != option.default:
                raise TechniqueError(
                    f"early-stopping: {option.name}={value} is not used with to=operator: "
                    "leave it out and say it in the TrainingJob's spec.earlyStopping"
                )


def _state(run: Run) -> dict[str, Tensor]:
    state: dict[str, Tensor] = run.model.state_dict()
    return state
