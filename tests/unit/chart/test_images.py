"""The chart asks for the images that `make image` builds."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.cluster.helm import CHART
from tests.cluster.image_inputs import TARGETS

VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
PARTS = {"operator": VALUES, "agent": VALUES["agent"], "exporter": VALUES["exporter"]}


@pytest.mark.parametrize("part", PARTS)
def test_an_image_is_one_that_is_built_here(part: str) -> None:
    image = PARTS[part]["image"]
    assert f"{image['repository']}:{image['tag']}" == TARGETS[part].image


def test_each_that_is_built_is_asked_for_but_the_trainer_which_jobs_name() -> None:
    assert set(TARGETS) == {*PARTS, "trainer"}
