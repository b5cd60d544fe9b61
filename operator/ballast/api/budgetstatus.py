"""The status of an EnergyBudget: what is spent, promised and expected, and the ledger.

Invariant: `settled` and `history` can't be rebuilt from the world, because jobs are deleted: they are the durable
ledger, written before a job's finalizer goes. Everything else is computed anew. The object stays small: a settled job
is kept only until its finalizer is seen gone, and the history is capped.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from ballast.api.base import Integer, Number, ObservedModel, Time
from ballast.api.conditions import MAX_CONDITIONS, Condition
from ballast.api.lists import Keyed
from ballast.api.nodestatus import Uid

MAX_SETTLED = 1024
MAX_HISTORY = 100

_Count = Annotated[Integer, Field(ge=0)]
_Amount = Annotated[Number, Field(ge=0)]


class BudgetCondition(StrEnum):
    """The conditions of an EnergyBudget."""

    WITHIN_LIMITS = "WithinLimits"
    """No limit is exceeded."""
    THROTTLING = "Throttling"
    """Running jobs are slowed down for its sake."""
    HOLDING = "Holding"
    """No job is started."""
    SUSPENDING = "Suspending"
    """Running jobs are suspended for its sake."""
    TELEMETRY_FRESH = "TelemetryFresh"
    """What is spent is measured and up to date; meanwhile the most that could be drawn is charged."""


class Consumption(ObservedModel):
    """Energy, and what it emitted and cost."""

    joules: _Amount = Field(default=0, description="Energy, in joules.")
    estimated_joules: _Amount = Field(
        default=0, description="The part of it that was not measured but charged at what could have been drawn."
    )
    grams_co2e: _Amount = Field(
        default=0, alias="gramsCO2e", description="Greenhouse gas of it, in grams of CO2 equivalent."
    )
    cost: Number = Field(default=0, description="Price of it, in the currency of the price signal.")


class SettledJob(Consumption):
    """What a job that has ended used in the present period."""

    uid: Uid = Field(description="The job's UID; it goes when the job's finalizer is gone.")


class PastPeriod(Consumption):
    """What was used in a period that is over."""

    start: Time = Field(description="When the period began.")
    end: Time = Field(description="When it ended.")


class Reserved(ObservedModel):
    """What is promised to running jobs and not yet used."""

    joules: _Amount = Field(default=0, description="Energy, in joules.")
    grams_co2e: _Amount = Field(
        default=0, alias="gramsCO2e", description="Greenhouse gas of it, in grams of CO2 equivalent."
    )
    watts: _Amount = Field(default=0, description="Power that the GPUs may draw, in watts.")


class Forecast(ObservedModel):
    """What the period will have used at its end, if things go on like this."""

    joules: _Amount = Field(default=0, description="Energy, in joules.")
    grams_co2e: _Amount = Field(
        default=0, alias="gramsCO2e", description="Greenhouse gas of it, in grams of CO2 equivalent."
    )


class PowerNow(ObservedModel):
    """Power of what the budget covers."""

    watts: _Amount | None = Field(default=None, description="What is drawn now, in watts; absent while not measured.")
    bound_watts: _Amount | None = Field(
        default=None, description="What could be drawn at most, in watts: this is held against the limit."
    )


class EnergyBudgetStatus(ObservedModel):
    """What is spent, promised and expected."""

    observed_generation: _Count | None = Field(
        default=None, description="The metadata.generation that this status is about."
    )
    period_start: Time | None = Field(default=None, description="When the present period began.")
    period_end: Time | None = Field(default=None, description="When it ends.")
    used_percent: _Amount | None = Field(
        default=None, description="The largest share of a period limit that is spent, in percent; actions go by it."
    )
    used: Annotated[str, Field(max_length=64)] | None = Field(
        default=None, description="What is spent and what may be, in short, for people; consumed has it exactly."
    )
    consumed: Consumption | None = Field(default=None, description="What is used in the present period.")
    reserved: Reserved | None = Field(default=None, description="What is promised to running jobs and not yet used.")
    forecast: Forecast | None = Field(
        default=None, description="What the period will have used at its end, if things go on like this."
    )
    power: PowerNow | None = Field(default=None, description="Power of what the budget covers.")
    running: _Count | None = Field(default=None, description="Jobs that it covers and that run.")
    held: _Count | None = Field(default=None, description="Jobs that would run if it were not for this budget.")
    settled: Annotated[tuple[SettledJob, ...], Field(max_length=MAX_SETTLED), Keyed("uid")] = Field(
        default=(), description="Ledger: jobs that have ended in the present period and are not folded into it yet."
    )
    history: Annotated[tuple[PastPeriod, ...], Field(max_length=MAX_HISTORY), Keyed("start")] = Field(
        default=(), description=f"Ledger: the newest {MAX_HISTORY} periods that are over, oldest first."
    )
    conditions: Annotated[tuple[Condition, ...], Field(max_length=MAX_CONDITIONS), Keyed("type")] = Field(
        default=(), description="What is true of the budget now, since when and why."
    )
