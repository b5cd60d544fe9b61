"""When more joules would no longer buy a better model: what is watched, and the policies that call a halt.

Invariant: a policy sees only what the trainer reported, and what stands here says everything about how it judges, so
that a stop can be computed again from the log. Each policy type has its own required parameters; there are no defaults
for thresholds, because there is no good one for all metrics.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ballast.api.base import ApiModel, Enforcement, Integer, Number, Rule, positive
from ballast.api.jobenergy import Key
from ballast.api.lists import Keyed, NotEmpty
from ballast.api.quantities import Joules
from ballast.api.variants import Variants

MetricName = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[A-Za-z_][-A-Za-z0-9_./:]*$")]

_Count = Annotated[Integer, Field(ge=1, le=1_000_000)]
_Strip = Annotated[Integer, Field(ge=2, le=1000)]
_Threshold = Annotated[Number, Field(gt=0, le=1_000_000)]


class Patience(ApiModel):
    """Stops after so many evaluations without a better value."""

    type: Literal["Patience"] = "Patience"
    evaluations: _Count = Field(description="Evaluations in a row that may pass without a better value.")
    min_delta: Annotated[Number, Field(ge=0)] | None = Field(
        default=None, description="By how much a value must be better to count, in the metric's unit; absent: at all."
    )


class GeneralizationLoss(ApiModel):
    """Stops when the metric is so many percent above the lowest that it has been (Prechelt's GL)."""

    type: Literal["GeneralizationLoss"] = "GeneralizationLoss"
    alpha: _Threshold = Field(description="The threshold in percent, typically 1 to 5.")


class ProductivityQuotient(ApiModel):
    """Stops when the loss of generalization outgrows the progress of training (Prechelt's PQ)."""

    type: Literal["ProductivityQuotient"] = "ProductivityQuotient"
    alpha: _Threshold = Field(description="The threshold of the quotient, typically 0.5 to 3.")
    strip: _Strip = Field(description="Evaluations over which the progress of training is measured, typically 5.")


class UpStrips(ApiModel):
    """Stops when the metric got worse over so many strips in a row (Prechelt's UP)."""

    type: Literal["UpStrips"] = "UpStrips"
    strips: Annotated[Integer, Field(ge=1, le=1000)] = Field(description="Strips in a row, typically 2 to 4.")
    strip: _Strip = Field(description="Evaluations in a strip, typically 5.")


class MedianStopping(ApiModel):
    """Stops a job whose best value is worse than the median of its group's averages at the same step."""

    type: Literal["MedianStopping"] = "MedianStopping"
    min_trials: _Count = Field(description="Jobs of the group that must have got as far before anything is stopped.")
    group: Key = Field(description="Jobs of the namespace that name the same group are compared with each other.")


class EnergyPerImprovement(ApiModel):
    """Stops when one percent of improvement costs more than so many joules."""

    type: Literal["EnergyPerImprovement"] = "EnergyPerImprovement"
    max_joules_per_percent: Joules = Field(
        description="Energy that an improvement of the best value by one percent may cost, as in 2MJ."
    )

    rules: ClassVar[tuple[Rule, ...]] = (positive("maxJoulesPerPercent"),)


class SuccessiveHalving(ApiModel):
    """At each rung, keeps the best of the group and stops the rest; the first rung is startStep."""

    type: Literal["SuccessiveHalving"] = "SuccessiveHalving"
    reduction: Annotated[Integer, Field(ge=2, le=10)] = Field(
        description="One in so many goes on, and the next rung is so many times as far; typically 3."
    )
    group: Key = Field(description="Jobs of the namespace that name the same group are compared with each other.")


class LearningCurve(ApiModel):
    """Stops when the extrapolated learning curve hardly promises an improvement."""

    type: Literal["LearningCurve"] = "LearningCurve"
    min_improvement: Annotated[Number, Field(gt=0)] = Field(
        description="The improvement on the best value that would be worth going on for, in the metric's unit."
    )
    probability: Annotated[Number, Field(gt=0, lt=1)] = Field(
        description="The job is stopped if that improvement is less probable than this, typically 0.05."
    )


class Target(ApiModel):
    """Stops when the metric is as good as it needs to be."""

    type: Literal["Target"] = "Target"
    value: Number = Field(description="The value that is good enough.")


class Divergence(ApiModel):
    """Stops when the metric is not a finite number any more."""

    type: Literal["Divergence"] = "Divergence"


POLICIES = (
    Patience,
    GeneralizationLoss,
    ProductivityQuotient,
    UpStrips,
    MedianStopping,
    EnergyPerImprovement,
    SuccessiveHalving,
    LearningCurve,
    Target,
    Divergence,
)

Policy = Annotated[
    Patience
    | GeneralizationLoss
    | ProductivityQuotient
    | UpStrips
    | MedianStopping
    | EnergyPerImprovement
    | SuccessiveHalving
    | LearningCurve
    | Target
    | Divergence,
    Variants(*POLICIES, description="One way to call a halt: a type, and the fields that belong to it."),
]


class Goal(StrEnum):
    """Which way the metric gets better."""

    MINIMIZE = "Minimize"
    """Down: a loss, an error."""
    MAXIMIZE = "Maximize"
    """Up: an accuracy."""


class Combination(StrEnum):
    """How many policies must agree."""

    ANY = "Any"
    """One is enough."""
    ALL = "All"
    """Every one."""


class OnPlateau(StrEnum):
    """What is done with a job that no longer improves."""

    STOP = "Stop"
    """It saves a checkpoint and ends."""
    THROTTLE = "Throttle"
    """It goes on at the operating point that takes the fewest joules."""


def _types(spec: EarlyStoppingSpec) -> set[str]:
    return {policy.type for policy in spec.policies}


class EarlyStoppingSpec(ApiModel):
    """What is watched, and what calls a halt."""

    metric: MetricName = Field(
        description="The metric by which the model is judged, as the trainer reports it. Fixed while the job is"
        " admitted: the values so far are of the old one."
    )
    training_metric: MetricName | None = Field(
        default=None,
        description="The training error, as the trainer reports it; ProductivityQuotient needs it. Fixed while the"
        " job is admitted.",
    )
    goal: Goal = Field(
        default=Goal.MINIMIZE,
        description="Minimize: the metric is a loss or an error. Maximize: it is an accuracy. Fixed while the job is"
        " admitted.",
    )
    start_step: Annotated[Integer, Field(ge=0, le=1_000_000_000_000)] = Field(
        default=0, description="No verdict before this step; the first rung of SuccessiveHalving."
    )
    smoothing: Annotated[Number, Field(ge=0, lt=1)] = Field(
        default=0, description="Weight of the past in an exponential moving average of the metric; 0: none."
    )
    combine: Combination = Field(
        default=Combination.ANY, description="Any: one policy is enough. All: every policy must agree."
    )
    mode: Enforcement = Field(
        default=Enforcement.ENFORCE,
        description="Enforce: the verdict is carried out. Advise: a condition says what would have been done.",
    )
    on_plateau: OnPlateau = Field(
        default=OnPlateau.STOP,
        description="Stop: the job saves a checkpoint and ends as EarlyStopped. Throttle: it goes on at the operating"
        " point that takes the fewest joules.",
    )
    policies: Annotated[tuple[Policy, ...], Field(max_length=len(POLICIES)), Keyed("type"), NotEmpty()] = Field(
        description="What calls a halt; each type once."
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="has(self.trainingMetric) || self.policies.all(p, p.type != 'ProductivityQuotient')",
            message="trainingMetric must be set for ProductivityQuotient: it needs the training error too",
            holds=lambda self: self.training_metric is not None or "ProductivityQuotient" not in _types(self),
            field=("trainingMetric",),
        ),
        Rule(
            cel=(
                "self.goal == 'Minimize'"
                " || self.policies.all(p, !(p.type in ['GeneralizationLoss', 'ProductivityQuotient']))"
            ),
            message="goal must be Minimize for GeneralizationLoss and ProductivityQuotient: they are ratios of errors;"
            " take UpStrips or Patience for a metric that grows",
            holds=lambda self: (
                self.goal is Goal.MINIMIZE or _types(self).isdisjoint({"GeneralizationLoss", "ProductivityQuotient"})
            ),
            field=("goal",),
        ),
        Rule(
            cel="self.startStep > 0 || self.policies.all(p, p.type != 'SuccessiveHalving')",
            message="startStep must be at least 1 for SuccessiveHalving: it is the first rung",
            holds=lambda self: self.start_step > 0 or "SuccessiveHalving" not in _types(self),
            field=("startStep",),
        ),
    )
