"""EnergyBudget: what an admin lets a part of the cluster use, and what happens on the way there.

Invariant: a budget says who it is for, how much, and in which time, and each of them is unmistakable: an empty
selector, a limit of nothing, or actions without anything that they go by are refused.
"""

from __future__ import annotations

from enum import StrEnum
from itertools import pairwise
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ballast.api.base import ApiModel, Enforcement, Integer, Rule, positive
from ballast.api.budgetstatus import EnergyBudgetStatus
from ballast.api.kinds import AGE, Column, InvalidObject, Kind, Resource
from ballast.api.labelselector import Labels, LabelSelector, good_keys
from ballast.api.lists import Distinct, Keyed, NotEmpty
from ballast.api.quantities import GramsCO2e, Joules, Watts

KIND = "EnergyBudget"
PLURAL = "energybudgets"
MAX_NAMESPACES = 256

_Namespace = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
_COUNT = "[1-9][0-9]{0,2}"
# Years, months and minutes are left out on purpose: months differ in length (there is Month for them), and no signal
# of carbon or price is finer than an hour.
PERIOD_PATTERN = rf"^(Hour|Day|Week|Month|P{_COUNT}W|P{_COUNT}D(T{_COUNT}H)?|PT{_COUNT}H)$"
TIME_ZONE_PATTERN = r"^[A-Za-z][-+_A-Za-z0-9]*(/[-+_A-Za-z0-9]+){0,2}$"


class InvalidEnergyBudget(InvalidObject):
    """An EnergyBudget that breaks the schema or a rule."""


class BudgetSelector(ApiModel):
    """What a budget is for; what is absent selects everything, and all that is there must hold."""

    namespaces: Annotated[tuple[_Namespace, ...], Field(max_length=MAX_NAMESPACES), Distinct(), NotEmpty()] | None = (
        Field(default=None, description="Jobs in one of these namespaces.")
    )
    namespace_selector: LabelSelector | None = Field(default=None, description="Jobs in namespaces with these labels.")
    node_selector: Labels | None = Field(
        default=None, description="Pods on, and power of, nodes with these labels, as in a pod's nodeSelector."
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="has(self.namespaces) || has(self.namespaceSelector) || has(self.nodeSelector)",
            message="namespaces, namespaceSelector or nodeSelector must be set: to select the whole cluster, leave out"
            " the whole selector",
            holds=lambda self: bool(self.namespaces or self.namespace_selector or self.node_selector),
            field=("namespaces",),
        ),
        good_keys("nodeSelector"),
    )


class EnergyLimit(ApiModel):
    """Energy in a period."""

    limit: Joules = Field(description="Energy that may be used in a period, as in 200kWh.")

    rules: ClassVar[tuple[Rule, ...]] = (positive("limit"),)


class CarbonLimit(ApiModel):
    """Greenhouse gas in a period."""

    limit: GramsCO2e = Field(description="CO2 equivalent that may be emitted in a period, as in 80kg.")

    rules: ClassVar[tuple[Rule, ...]] = (positive("limit"),)


class PowerLimit(ApiModel):
    """Power at every moment."""

    limit: Watts = Field(description="Power that may be drawn at any moment, as in 40kW.")

    rules: ClassVar[tuple[Rule, ...]] = (positive("limit"),)


class Measure(StrEnum):
    """What is done when a share of a period limit is spent, mildest first."""

    WARN = "Warn"
    """An event, a condition and an alert; nothing else."""
    THROTTLE = "Throttle"
    """Running jobs go to the operating points that take the fewest joules."""
    HOLD = "Hold"
    """Nothing new is started."""
    SUSPEND = "Suspend"
    """Running jobs save a checkpoint and go back to the queue, lowest priority first."""


class Action(ApiModel):
    """What is done when a share of a period limit is spent."""

    at: Annotated[Integer, Field(ge=1, le=200)] = Field(
        description="Share of a period limit that is spent, in percent; of several limits the fullest counts."
    )
    do: Measure = Field(
        description="Warn: an event, a condition and an alert. Throttle: running jobs go to the operating points that"
        " take the fewest joules. Hold: nothing new is started. Suspend: running jobs save a checkpoint and go back to"
        " the queue, lowest priority first."
    )


HOLD_WHEN_SPENT = (Action(at=100, do=Measure.HOLD),)
"""What a period limit without actions means."""


class EnergyBudgetSpec(ApiModel):
    """Who may use how much in which time."""

    selector: BudgetSelector | None = Field(
        default=None, description="What the budget is for; absent: everything in the cluster."
    )
    period: Annotated[str, Field(min_length=1, max_length=16, pattern=PERIOD_PATTERN)] = Field(
        default="Day",
        description="The time that limits of energy and carbon are for. Hour, Day, Week (from Monday) and Month follow"
        " the calendar in timeZone; an ISO-8601 duration of weeks, days or hours, as in P2W or P1DT12H, is counted from"
        " the budget's creation.",
    )
    time_zone: Annotated[str, Field(min_length=1, max_length=64, pattern=TIME_ZONE_PATTERN)] = Field(
        default="UTC", description="The time zone of the calendar, by its IANA name, as in Europe/Berlin."
    )
    energy: EnergyLimit | None = Field(default=None, description="Energy in a period.")
    carbon: CarbonLimit | None = Field(default=None, description="Greenhouse gas in a period.")
    power: PowerLimit | None = Field(
        default=None, description="Power at every moment: what GPUs may draw by their limits, not what they happen to."
    )
    enforcement: Enforcement = Field(
        default=Enforcement.ENFORCE,
        description="Enforce: actions are carried out and power is kept. Advise: a condition says what would have been"
        " done.",
    )
    actions: Annotated[tuple[Action, ...], Field(max_length=len(Measure)), Keyed("do"), NotEmpty()] | None = Field(
        default=None,
        description="What is done as a period limit fills up, in ascending order; absent: Hold at 100. A power limit"
        " needs none: it is always kept.",
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="has(self.energy) || has(self.carbon) || has(self.power)",
            message="energy, carbon or power must be set: a budget needs a limit",
            holds=lambda self: bool(self.energy or self.carbon or self.power),
            field=("energy",),
        ),
        Rule(
            cel="!has(self.actions) || has(self.energy) || has(self.carbon)",
            message="actions must be absent without energy or carbon: they go by the share of a period limit, and a"
            " power limit is always kept",
            holds=lambda self: self.actions is None or bool(self.energy or self.carbon),
            field=("actions",),
        ),
        Rule(
            cel=(
                "!has(self.actions) || (self.actions.map(a, a.at).isSorted()"
                " && self.actions.all(a, self.actions.exists_one(b, b.at == a.at)))"
            ),
            message="actions must ascend by at, each at another share: sort them",
            holds=lambda self: all(a.at < b.at for a, b in pairwise(self.actions or ())),
            field=("actions",),
        ),
    )

    @property
    def effective_actions(self) -> tuple[Action, ...]:
        """The actions as they apply, ascending; none without a period limit."""
        if self.energy is None and self.carbon is None:
            return ()
        return self.actions or HOLD_WHEN_SPENT


class EnergyBudget(Kind):
    """Energy, greenhouse gas and power that a part of the cluster may use, and what happens on the way there."""

    invalid: ClassVar[type[InvalidObject]] = InvalidEnergyBudget
    resource: ClassVar[Resource] = Resource(
        kind=KIND,
        plural=PLURAL,
        short_names=("eb",),
        scope="Cluster",
        columns=(
            Column("Period", "string", ".spec.period", "The time that limits of energy and carbon are for."),
            Column("Energy", "string", ".spec.energy.limit", "Energy in a period."),
            Column("Carbon", "string", ".spec.carbon.limit", "CO2 equivalent in a period."),
            Column("Power", "string", ".spec.power.limit", "Power at every moment."),
            Column("Used%", "integer", ".status.usedPercent", "What is spent of the fullest period limit."),
            Column("Watts", "integer", ".status.power.watts", "Power that is drawn."),
            Column("Running", "integer", ".status.running", "Jobs that run."),
            Column("Held", "integer", ".status.held", "Jobs that wait for this budget."),
            Column("Within", "string", ".status.conditions[?(@.type=='WithinLimits')].status", "Are limits kept?"),
            AGE,
            Column("Used", "string", ".status.used", "What is spent.", wide_only=True),
            Column("Mode", "string", ".spec.enforcement", "Enforce or Advise.", wide_only=True),
            Column("Ends", "string", ".status.periodEnd", "When the period ends.", wide_only=True),
        ),
    )

    kind: Literal["EnergyBudget"] = "EnergyBudget"
    spec: EnergyBudgetSpec
    status: EnergyBudgetStatus = EnergyBudgetStatus()
