"""A pod whose labels somebody changes belongs to whom they name now, and to nobody else, and takes what it takes."""

from __future__ import annotations

from typing import Any

from ballast.api.labels import JOB_UID_LABEL
from ballast.observe.cluster_state import Kind
from tests.builders import job, node, pod
from tests.unit.observe.watched import Watched

FIRST, SECOND = job("first").running_on("a"), job("second").running_on("a")
POD = pod(0, of=FIRST).running_on("a").held()


def labelled(version: int, **labels: str) -> dict[str, Any]:
    manifest = POD.at_version(version).manifest()
    manifest["metadata"]["labels"] = {**manifest["metadata"]["labels"], **labels} if labels else {}
    return manifest


def test_a_pod_that_another_job_has_now_is_not_the_first_ones_too() -> None:
    seen = Watched().sees(FIRST, SECOND, POD)
    seen.state.observe(Kind.POD, labelled(2, **{JOB_UID_LABEL: "uid-of-second"}))
    pods = {each.name: [pod.uid for pod in each.pods] for each in seen.snapshot().changed}
    assert pods == {"first": [], "second": [POD.uid]}


def test_a_stray_that_gets_its_labels_is_no_orphan_any_more() -> None:
    seen = Watched()
    seen.state.replace_all(Kind.TRAINING_JOB, [FIRST.manifest()], "10")
    seen.state.observe(Kind.POD, labelled(1))
    assert [orphan.uid for orphan in seen.snapshot().orphans] == [POD.uid]
    seen.sees(POD.at_version(2))
    assert seen.snapshot().orphans == ()


def test_without_its_labels_it_takes_what_it_takes() -> None:
    seen = Watched().sees(node("a"), FIRST, POD)
    before = seen.snapshot().nodes[0].free
    seen.state.observe(Kind.POD, labelled(2))
    assert seen.snapshot().nodes[0].free == before
