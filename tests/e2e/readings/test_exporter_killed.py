"""An exporter that crashes is started again, its counters go on, and no joule is lost."""

from __future__ import annotations

import time

import pytest

from ballast.api.exporter import ENERGY
from tests.e2e.kube import JsonObject
from tests.e2e.readings import exporters
from tests.e2e.readings.allocated import wait_a_tick
from tests.e2e.readings.jobs import gpu_joules, is_settled, training
from tests.e2e.readings.stories import Stage, Told

pytestmark = pytest.mark.slow

SECONDS = 60
UNTIL_IT_IS_KILLED_SECONDS = 15


def exporter_killed(stage: Stage) -> JsonObject:
    """Its exporter is killed once."""
    namespace = stage.namespace
    namespace.submit(training("train", stage.v100, seconds=SECONDS))
    namespace.wait_for_phase("train", "Running")
    time.sleep(UNTIL_IT_IS_KILLED_SECONDS)
    [pod] = namespace.pods("train")
    before = exporters.wait_for_sum_of(ENERGY, pod)
    exporters.kill(pod)
    [pod] = namespace.wait_for_pods(lambda pods: exporters.restarts(pods[0]) == 1, "its exporter is started again")
    after = exporters.wait_for_sum_of(ENERGY, pod)
    namespace.wait_for_phase("train", "Succeeded", timeout_seconds=SECONDS + 30)
    end = namespace.wait_for_job("train", is_settled, "its last reading is in the ledger")
    wait_a_tick()
    return {"before": before, "after": after, "end": end, "boards": stage.boards.of(namespace.name, "train")}


STORIES = (exporter_killed,)


def test_its_counters_go_on(told: Told) -> None:
    story = told.end_of(exporter_killed)
    assert story["after"] >= story["before"] > 0


def test_the_ledger_has_what_the_board_counted(told: Told) -> None:
    story = told.end_of(exporter_killed)
    assert gpu_joules(story["end"]) == pytest.approx(story["boards"], rel=0.01)
    assert len(story["end"]["status"]["attempts"]) == 1, "the trainer did not notice"
