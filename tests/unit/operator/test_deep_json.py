"""What one object holds in too many levels is left out when a list of objects is read, and the rest is read."""

from __future__ import annotations

import json

import pytest

from ballast.api.trainingjob import InvalidTrainingJob, TrainingJob
from ballast.deep_json import KEPT_DEPTH, cut, tolerate
from tests.builders import job

TOO_DEEP = 9000
"""What the API server takes is a little more."""


@pytest.fixture(autouse=True)
def _restored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json.JSONDecoder, "raw_decode", json.JSONDecoder.raw_decode)
    tolerate()


def nested(depth: int, inside: str = "") -> str:
    return "[" * depth + inside + "]" * depth


def with_field(value: str) -> str:
    """Return a TrainingJob with a field in its template that no pod has."""
    return json.dumps(job("deep").with_pod_spec(foo="HERE").manifest()).replace('"HERE"', value)


@pytest.mark.parametrize(
    "value", [nested(TOO_DEEP), '{"a":' * TOO_DEEP + "1" + "}" * TOO_DEEP], ids=["lists", "objects"]
)
def test_the_others_are_read(value: str) -> None:
    text = f'{{"items": [{with_field(value)}, {json.dumps(job("other").manifest())}]}}'
    for listed in (json.loads(text), json.loads(text.encode())):
        assert listed["items"][1] == job("other").manifest()
        assert listed["items"][0]["metadata"] == job("deep").manifest()["metadata"]


def test_brackets_in_strings_are_no_levels() -> None:
    text = '{"a": "[\\"[[\\\\", "b": [1, {"c": "]}"}]}'
    assert cut(text) == text
    deep = f'["]\\"", {nested(KEPT_DEPTH, "{}, [1], 2")}, {nested(KEPT_DEPTH - 1)}, "["]'
    assert cut(deep) == f'["]\\"", {nested(KEPT_DEPTH - 1, "null")}, {nested(KEPT_DEPTH - 1)}, "["]'


@pytest.mark.parametrize("text", ["[" * TOO_DEEP, nested(TOO_DEEP) + "x]"])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"Expecting|Extra"):
        json.loads(text)


@pytest.mark.parametrize("depth", [70, 300, 900, 980, TOO_DEEP])
def test_a_job_with_such_a_template_is_invalid(depth: int) -> None:
    """It could not be copied, nor its pods' manifest be written."""
    with pytest.raises(InvalidTrainingJob, match=r"spec\.template: must not be nested deeper than 64 levels"):
        TrainingJob.parse(json.loads(with_field(nested(depth))))
    TrainingJob.parse(json.loads(with_field(nested(50))))
