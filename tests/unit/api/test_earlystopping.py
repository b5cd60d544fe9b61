"""Early stopping policies: typed in Python, one flat object in the CRD."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from ballast.api.base import ApiModel
from ballast.api.crds import structural_schema
from ballast.api.earlystopping import POLICIES, EnergyPerImprovement, Goal, Patience
from ballast.api.trainingjob import InvalidTrainingJob, TrainingJob
from ballast.api.variants import Variants
from tests.unit.api.builders import complete_job, training_job


def _parse(*policies: Any) -> TrainingJob:
    return TrainingJob.parse(training_job(earlyStopping={"metric": "val_loss", "policies": list(policies)}))


def test_every_policy_is_read_as_its_type() -> None:
    spec = TrainingJob.parse(complete_job()).spec.early_stopping
    assert spec is not None
    assert tuple(type(policy) for policy in spec.policies) == POLICIES


def test_quantities_are_in_base_units() -> None:
    spec = _parse({"type": "EnergyPerImprovement", "maxJoulesPerPercent": "2MJ"}).spec.early_stopping
    assert spec is not None
    assert spec.policies == (EnergyPerImprovement(max_joules_per_percent="2MJ"),)
    assert spec.policies[0].max_joules_per_percent == 2_000_000


def test_nothing_is_stopped_unless_asked_for() -> None:
    assert TrainingJob.parse(training_job()).spec.early_stopping is None


def test_defaults() -> None:
    spec = _parse({"type": "Patience", "evaluations": 3}).spec.early_stopping
    assert spec is not None
    assert (spec.goal, spec.start_step, spec.smoothing) == (Goal.MINIMIZE, 0, 0)
    assert spec.policies == (Patience(evaluations=3),)


@pytest.mark.parametrize(
    ("policy", "says"),
    [
        ({}, r"policies\[0\]\.type: Input should be one of Patience, "),
        ({"type": "Hope"}, r"policies\[0\]\.type: Input should be one of Patience, .* \(is 'Hope'\)"),
        ({"type": ["Patience"]}, r"policies\[0\]\.type: Input should be one of"),
        ("Patience", r"policies\[0\]: Input should be an object with a type"),
        ({"type": "Patience"}, r"policies\[0\]: type Patience needs evaluations and may have minDelta, and no other"),
        ({"type": "Divergence", "alpha": 1}, r"policies\[0\]: type Divergence takes no other field"),
        ({"type": "Patience", "evaluations": 3, "mood": 1}, r"policies\[0\]\.mood: unknown field: remove it"),
        ({"type": "Patience", "evaluations": 0}, r"policies\[0\]\.evaluations: .* greater than or equal to 1"),
    ],
)
def test_bad_policies(policy: Any, says: str) -> None:
    with pytest.raises(InvalidTrainingJob, match=rf"spec\.earlyStopping\.{says}"):
        _parse(policy)


def test_each_type_stands_once() -> None:
    with pytest.raises(InvalidTrainingJob, match="must not hold items with the same type twice: Target"):
        _parse({"type": "Target", "value": 1}, {"type": "Target", "value": 2})


def test_shapes_that_bound_a_field_differently_are_a_mistake_in_the_model() -> None:
    class Few(ApiModel):
        """Few."""

        type: Literal["Few"] = "Few"
        count: Annotated[int, Field(le=9)] = Field(description="How many.")

    class Many(ApiModel):
        """Many."""

        type: Literal["Many"] = "Many"
        count: Annotated[int, Field(ge=9)] = Field(description="How many.")

    class Holder(ApiModel):
        """Holds one of them."""

        value: Annotated[Few | Many, Variants(Few, Many, description="One of them.")] = Field(description="It.")

    with pytest.raises(TypeError, match="count of Many has other bounds"):
        structural_schema(Holder)
