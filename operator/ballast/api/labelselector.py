"""Kubernetes' label selector (metav1.LabelSelector), bounded, and never empty by accident.

Invariant: what is accepted selects by something. Kubernetes reads an empty selector as "everything" in one place and
as "nothing" in another; here it is refused, and to leave it out means everything.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field
from pydantic.alias_generators import to_snake

from ballast.api.base import ApiModel, Rule
from ballast.api.lists import ATOMIC, NotEmpty

MAX_LABELS = 16
MAX_EXPRESSIONS = 16
MAX_VALUES = 64

MAX_KEY_LENGTH = 317
KEY_PATTERN = r"^([a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?$"

LabelKey = Annotated[str, Field(min_length=1, max_length=MAX_KEY_LENGTH, pattern=KEY_PATTERN)]
LabelValue = Annotated[str, Field(max_length=63, pattern=r"^([A-Za-z0-9]([-_.A-Za-z0-9]*[A-Za-z0-9])?)?$")]
Labels = Annotated[dict[str, LabelValue], Field(min_length=1, max_length=MAX_LABELS)]
"""Labels and the values that they must have, as in a pod's nodeSelector."""


def good_keys(field: str) -> Rule:
    """The rule that the keys of `Labels` are such; a schema bounds the values of a map, but not its keys."""
    attribute = to_snake(field)
    return Rule(
        cel=f"!has(self.{field}) || self.{field}.all(k, k.size() <= {MAX_KEY_LENGTH} && k.matches('{KEY_PATTERN}'))",
        message=f"{field} must have good label keys: letters, digits, dashes, dots and underscores, and if wanted a"
        " domain and a slash in front, as in topology.kubernetes.io/zone",
        holds=lambda self: all(
            len(key) <= MAX_KEY_LENGTH and re.fullmatch(KEY_PATTERN[1:-1], key)
            for key in getattr(self, attribute) or ()
        ),
        field=(field,),
    )


class Operator(StrEnum):
    """How a label is compared."""

    IN = "In"
    """It has one of the values."""
    NOT_IN = "NotIn"
    """It has none of the values, or is not there."""
    EXISTS = "Exists"
    """It is there."""
    DOES_NOT_EXIST = "DoesNotExist"
    """It is not there."""

    @property
    def compares(self) -> bool:
        """Whether it needs values."""
        return self in (Operator.IN, Operator.NOT_IN)


class LabelExpression(ApiModel):
    """One requirement on one label."""

    key: LabelKey = Field(description="The label.")
    operator: Operator = Field(
        description="In: it has one of the values. NotIn: it has none of them, or is not there. Exists, DoesNotExist:"
        " it is, or is not, there."
    )
    values: Annotated[tuple[LabelValue, ...], Field(max_length=MAX_VALUES, json_schema_extra=ATOMIC), NotEmpty()] | (
        None
    ) = Field(default=None, description="The values; with In and NotIn only, and always.")

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="(self.operator in ['In', 'NotIn']) == has(self.values)",
            message="values must be set with operator In or NotIn, and absent with Exists or DoesNotExist",
            holds=lambda self: self.operator.compares == (self.values is not None),
            field=("values",),
        ),
    )


class LabelSelector(ApiModel):
    """Selects by labels; all requirements must hold."""

    match_labels: Labels | None = Field(default=None, description="Labels and the values that they must have.")
    match_expressions: (
        Annotated[
            tuple[LabelExpression, ...],
            Field(max_length=MAX_EXPRESSIONS, json_schema_extra=ATOMIC),
            NotEmpty(),
        ]
        | None
    ) = Field(default=None, description="Requirements on labels; all must hold.")

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="has(self.matchLabels) || has(self.matchExpressions)",
            message="matchLabels or matchExpressions must be set: to select everything, leave out the whole selector",
            holds=lambda self: self.match_labels is not None or self.match_expressions is not None,
            field=("matchLabels",),
        ),
        good_keys("matchLabels"),
    )
