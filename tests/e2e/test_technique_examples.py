"""Every technique's example trains to completion in a pod on the real node, and reports the figures it points at."""

from __future__ import annotations

import re

import pytest

from tests.cluster import Cluster
from tests.e2e.kube import JsonObject
from tests.e2e.namespace import Namespace, trainer_end
from tests.technique_examples import TechniqueExample, technique_examples

AT_ONCE = 6
"""More would only share the same cores, and hold their memory for longer."""

TIMEOUT_SECONDS = 600.0
"""For six trainings, each with torch's imports, on cores that may be busy with other things."""

EXAMPLES = [example for example in technique_examples() if not example.needs_gpu]
BATCHES = [EXAMPLES[start : start + AT_ONCE] for start in range(0, len(EXAMPLES), AT_ONCE)]


@pytest.mark.slow
@pytest.mark.usefixtures("deployed_operator")
@pytest.mark.parametrize("examples", BATCHES, ids=lambda examples: f"{examples[0].name}-to-{examples[-1].name}")
def test_each_trains_and_tells_its_figures(
    namespace: Namespace, cluster: Cluster, examples: list[TechniqueExample]
) -> None:
    for example in examples:
        once = {**example.manifest["spec"], "retryLimit": 0}  # a failure shall be seen, not tried again
        namespace.kube.create(namespace.jobs_path, {**example.manifest, "spec": once})
    for example in examples:
        namespace.wait_for_phase(example.name, "Succeeded", timeout_seconds=TIMEOUT_SECONDS)

    for example in examples:
        [pod] = namespace.pods(example.name)
        code, result = trainer_end(pod)
        assert code == 0, example.name
        if example.trains:
            _assert_result(example, result)
        else:
            said = cluster.kubectl("-n", namespace.name, "logs", pod["metadata"]["name"], "-c", "trainer")
            lacking = {*example.figures, *(spec for stack in example.stacks for spec in stack)} - set(_words(said))
            assert not lacking, f"{example.name} does not tell {sorted(lacking)}:\n{said}"


def _assert_result(example: TechniqueExample, result: JsonObject) -> None:
    """The result names the techniques, and has each figure that the manifest points at."""
    assert result["outcome"] == "completed", example.name
    techniques: JsonObject = result["techniques"]
    assert techniques.keys() == {spec.partition(",")[0] for stack in example.stacks for spec in stack}
    told = {**result, **{name: value for figures in techniques.values() for name, value in figures.items()}}
    lacking = [name for name in example.figures if told.get(name) is None]
    assert not lacking, f"{example.name} does not tell {lacking}: {result}"


def _words(text: str) -> list[str]:
    return re.findall(r"[\w,=.:-]+", text)
