"""What the agent tells is what the exporter reads: the JSON of `PodReadings`, without pydantic."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from ballast.api.readings import GpuShare, PodReadings, Share
from ballast.api.source import Component, Source
from ballast.exporter.readings import BadReadings, parse

AT = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
SINCE = datetime(2026, 1, 1, tzinfo=UTC)
GPU = GpuShare(
    uuid="GPU-1", active_joules=10.5, idle_joules=2.0, watts=99.5, source=Source.COUNTER, power_limit_watts=250.0
)
PART = GpuShare(uuid="GPU-2", mig_device="MIG-3", active_joules=1.0, idle_joules=0.0, watts=3.0, source=Source.INTEGRAL)
CPU = Share(active_joules=7.0, idle_joules=0.0, watts=4.0, source=Source.ESTIMATED)
DRAM = Share(active_joules=0.5, idle_joules=0.25, watts=1.0, source=Source.COUNTER)


def model(**given: Any) -> PodReadings:
    values: dict[str, Any] = {"pod_uid": "uid-1", "namespace": "team", "name": "sweep-0", "node": "a", "at": AT}
    values |= {"since": SINCE, "joules": 21.25, "watts": 107.5, **given}
    return PodReadings(**values)


def told(**given: Any) -> str:
    """The answer, as the agent's server writes it."""
    return model(**given).model_dump_json(by_alias=True, exclude_none=True)


def test_all_of_an_answer_is_read() -> None:
    readings = parse(told(gpus=(GPU, PART), cpu=CPU, dram=DRAM))
    assert (readings.pod_uid, readings.at, readings.since) == ("uid-1", AT.timestamp(), SINCE.timestamp())
    gpu, part, cpu, dram = readings.shares
    for share, sent in ((gpu, GPU), (part, PART), (cpu, CPU), (dram, DRAM)):
        assert (share.active_joules, share.idle_joules) == (sent.active_joules, sent.idle_joules)
        assert (share.watts, share.source) == (sent.watts, sent.source)
    assert [share.component for share in readings.shares] == [
        Component.GPU,
        Component.GPU,
        Component.CPU,
        Component.DRAM,
    ]
    assert (gpu.uuid, gpu.mig_device, gpu.power_limit_watts) == ("GPU-1", "", 250.0)
    assert (part.uuid, part.mig_device, part.power_limit_watts) == ("GPU-2", "MIG-3", None)


def test_it_is_the_same_as_in_a_manifest() -> None:
    given: dict[str, Any] = {"gpus": (GPU, PART), "cpu": CPU, "dram": DRAM}
    assert parse(json.dumps(model(**given).to_manifest())) == parse(told(**given))


def test_a_pod_of_which_nothing_is_metered_has_no_shares() -> None:
    assert parse(told(joules=0.0, watts=0.0)).shares == ()


def test_what_a_later_agent_adds_is_passed_over() -> None:
    content = json.loads(told(cpu=CPU))
    content["colour"] = content["cpu"]["colour"] = "blue"
    assert parse(json.dumps(content)) == parse(told(cpu=CPU))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("at", None),
        ("at", "yesterday"),
        ("at", "2026-01-01T00:00:00"),
        ("since", 5),
        ("podUid", ...),
        ("cpu", {"activeJoules": 1.0}),
        ("cpu", {"activeJoules": -1.0, "idleJoules": 0.0, "watts": 0.0, "source": "Counter"}),
        ("cpu", {"activeJoules": True, "idleJoules": 0.0, "watts": 0.0, "source": "Counter"}),
        ("cpu", {"activeJoules": 1.0, "idleJoules": 0.0, "watts": 0.0, "source": "Rumour"}),
        ("gpus", [7]),
        ("gpus", [{"activeJoules": 1.0, "idleJoules": 0.0, "watts": 0.0, "source": "Counter"}]),
    ],
)
def test_an_answer_that_makes_no_sense_is_refused_as_a_whole(field: str, value: object) -> None:
    content = json.loads(told())
    if value is ...:
        del content[field]
    else:
        content[field] = value
    with pytest.raises(BadReadings, match="run the same version of Ballast everywhere"):
        parse(json.dumps(content))


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "[" * 100_000, '"x"'])
def test_what_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(BadReadings):
        parse(text)
