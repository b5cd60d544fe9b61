"""What of the demo a user's cluster can show."""

from __future__ import annotations

import pytest

from tests.demo.sites import why_no_gpu_power

EXPORTER = "registry.example/exporter:1"


def test_gpus_that_can_be_limited_and_metered() -> None:
    assert why_no_gpu_power(["node"], "registry.example/agent:1", EXPORTER) == ""


@pytest.mark.parametrize(
    ("nodes", "agent", "exporter", "why"),
    [
        ([], "agent", EXPORTER, "no real node here has an NVIDIA GPU"),
        (["node"], "", EXPORTER, "--agent-image would have to be named"),
        (["node"], "", "", "--agent-image and --exporter-image would have to be named"),
    ],
)
def test_why_not(nodes: list[str], agent: str, exporter: str, why: str) -> None:
    assert why_no_gpu_power(nodes, agent, exporter) == why
