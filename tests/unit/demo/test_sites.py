"""What of the demo a user's cluster can show."""

from __future__ import annotations

import pytest

from tests.demo.sites import why_no_gpu_power

PROMETHEUS = "http://prometheus.example:9090"


def test_gpus_that_can_be_limited_and_metered() -> None:
    assert why_no_gpu_power(["node"], "registry.example/agent:1", PROMETHEUS) == ""


@pytest.mark.parametrize(
    ("nodes", "image", "url", "why"),
    [
        ([], "agent", PROMETHEUS, "no real node here has an NVIDIA GPU"),
        (["node"], "", PROMETHEUS, "--agent-image would have to be named"),
        (["node"], "", "", "--agent-image and --prometheus would have to be named"),
    ],
)
def test_why_not(nodes: list[str], image: str, url: str, why: str) -> None:
    assert why_no_gpu_power(nodes, image, url) == why
