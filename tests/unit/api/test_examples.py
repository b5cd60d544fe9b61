"""Every example is one that the models accept."""

from __future__ import annotations

import pytest

from ballast.api.trainingjob import TrainingJob
from tests.unit.api.builders import Manifest
from tests.unit.api.examples import example_jobs

_EXAMPLES = example_jobs()


def test_there_are_examples() -> None:
    assert _EXAMPLES


@pytest.mark.parametrize("manifest", _EXAMPLES.values(), ids=_EXAMPLES.keys())
def test_example_is_accepted(manifest: Manifest) -> None:
    TrainingJob.parse(manifest)
