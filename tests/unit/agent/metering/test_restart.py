"""Totals survive a restart of the agent, and so does what was used meanwhile; a reboot voids them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.agent.metering.gpu_nodes import FakeGpu, GpuNode


def restarted(node: GpuNode, seconds: float) -> None:
    node.metering.save()
    node.pass_time(seconds)
    node.start()
    node.tick()


def test_the_same_holder_is_charged_for_the_time_without_an_agent(node: GpuNode, gpu: FakeGpu) -> None:
    uid = node.pod("train")
    node.hold("GPU-0", uid)
    node.tick()
    node.run(10)
    since = node.readings(uid).since
    restarted(node, 60)
    node.run(10)
    assert node.joules(uid) == pytest.approx(gpu.joules) == 8000
    assert node.metered().joules == pytest.approx(8000)
    assert node.readings(uid).since == since


def test_without_the_same_holder_nobody_is(node: GpuNode) -> None:
    first, second = node.pod("first"), node.pod("second")
    node.hold("GPU-0", first)
    node.tick()
    node.run(10)
    node.metering.save()
    node.pass_time(60)
    node.hold("GPU-0", second)
    node.start()
    node.tick()
    node.run(1)
    assert (node.joules(first), node.joules(second)) == pytest.approx((1000, 100))
    assert node.metered().unattributed_joules == pytest.approx(6000)


def test_idle_watts_are_remembered(node: GpuNode, gpu: FakeGpu) -> None:
    gpu.utilization = 0.0
    node.tick()
    node.run(30)
    restarted(node, 5)
    assert node.metered().idle.measured == 100


def test_totals_are_saved_from_time_to_time_by_itself(node: GpuNode) -> None:
    uid = node.pod("train")
    node.hold("GPU-0", uid)
    node.tick()
    node.run(30)
    node.start()  # as after SIGKILL
    assert node.joules(uid) == pytest.approx(3000, abs=1000)
    node.run(1)
    assert node.joules(uid) == pytest.approx(3100)  # the counter went on


def test_after_a_reboot_everything_begins_anew(node: GpuNode, gpu: FakeGpu) -> None:
    uid = node.pod("train")
    node.hold("GPU-0", uid)
    node.tick()
    node.run(10)
    node.metering.save()
    node.boot = "another"
    gpu.counter = 0
    node.start()
    node.tick()
    node.run(1)
    assert node.joules(uid) == pytest.approx(100)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "null",
        json.dumps({"version": 1, "bootId": "boot", "gpus": {"GPU-0": {}}, "pods": {}}),
        json.dumps({"version": 1, "bootId": "boot", "gpus": [], "pods": []}),
        json.dumps({"version": 1, "bootId": "boot", "gpus": {}, "pods": {"a": {"since": "x"}}}),
        json.dumps({"version": 2, "bootId": "boot"}),
    ],
)
def test_a_file_that_makes_no_sense_stops_nothing(tmp_path: Path, content: str) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "accounts.json").write_text(content)
    node = GpuNode(tmp_path, FakeGpu())
    uid = node.pod("train")
    node.hold("GPU-0", uid)
    node.tick()
    node.run(2)
    assert node.joules(uid) == pytest.approx(200)


def test_a_folder_that_cannot_be_written_is_told_once_and_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "state").write_text("a file where the folder should be")
    node = GpuNode(tmp_path, FakeGpu())
    node.tick()
    node.run(40)
    assert sum("cannot save" in record.message for record in caplog.records) == 1
